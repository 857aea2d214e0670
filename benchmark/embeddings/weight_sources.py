"""Where weights come from, and what proves that the right file came.

Sources: a member of a wheel on the package index (`pypi`; downloaded, never installed), addresses tried in order
(`http`), or a pinned revision of a hub repository (`huggingface`). A checksum is that of the file which is used, after
it was taken out of its wheel or unpacked from `.gz`.
"""

import gzip
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from filelock import FileLock
from platformdirs import user_cache_path

from benchmark.config.keys import content_key
from benchmark.config.schema_embedding import WeightsConfig
from benchmark.errors import UserError

logger = logging.getLogger(__name__)


def home() -> Path:
    """Where weights are kept: the environment variable LEVERET_HOME, or the platform's cache folder."""
    given = os.environ.get("LEVERET_HOME")
    return Path(given).expanduser() if given else user_cache_path("leveret", appauthor=False)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_name(weights: WeightsConfig) -> str:
    """Under which name the file is kept."""
    if weights.file:
        return PurePosixPath(weights.file).name
    return PurePosixPath(urlsplit(weights.http[0]).path).name if weights.http else "weights"


def fetch(weights: WeightsConfig, folder: Path, where: str) -> Path:
    """Fetch the file into `folder` and give its path; its checksum is not yet looked at.

    Raises:
        UserError: it cannot be had.
    """
    if weights.pypi:
        return _from_wheel(weights, folder, where)
    if weights.huggingface:
        return _from_hub(weights, folder, where)
    return _from_addresses(weights, folder, where)


def _from_wheel(weights: WeightsConfig, folder: Path, where: str) -> Path:
    wheels = home() / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    kept = wheels / content_key([weights.pypi, weights.wheel]) / (weights.wheel or "any.whl")
    kept.parent.mkdir(exist_ok=True)
    # One wheel may hold several files of weights: it is kept, and downloaded once even if two processes want it.
    with FileLock(kept.with_name(kept.name + ".lock")):
        if not kept.is_file() or (weights.sha256_wheel and sha256_file(kept) != weights.sha256_wheel):
            downloaded = _download_wheel(str(weights.pypi), folder, where)
            if weights.sha256_wheel:
                _compare(downloaded, "sha256_wheel", weights.sha256_wheel, sha256_file(downloaded), where, kept)
            downloaded.replace(kept)
    extracted = folder / file_name(weights)
    try:
        # Only the named member is read, and written under a name of our own: no path inside the archive matters.
        with zipfile.ZipFile(kept) as archive, archive.open(str(weights.file)) as member, extracted.open("wb") as out:
            shutil.copyfileobj(member, out)
    except (KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{where}: weights: {kept.name} has no readable member {weights.file}; mend `file`") from error
    return extracted


def _download_wheel(requirement: str, folder: Path, where: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!_-]*", requirement):
        raise UserError(f"{where}: weights: pypi: {requirement!r} is not name==version; mend it")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    # A wheel is a file of weights to us: it need not fit this interpreter, only the requirement.
    command += ["--ignore-requires-python", "--dest", str(folder), requirement]
    logger.info("downloading the wheel %s from the package index", requirement)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise UserError(
            f"{where}: weights: pip cannot download {requirement} ({reason}); check the network and the index"
        )
    return wheels[0]


def _from_hub(weights: WeightsConfig, folder: Path, where: str) -> Path:
    from huggingface_hub import hf_hub_download

    if not weights.revision or not weights.file:
        raise UserError(f"{where}: weights: a hub source needs `file` and `revision`, the commit; add them")
    try:
        path = hf_hub_download(
            str(weights.huggingface), str(weights.file), revision=weights.revision, local_dir=folder / "hub"
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"{where}: weights: {weights.huggingface} cannot be fetched ({_line(error)}); check it"
        ) from error
    return Path(path)


def _from_addresses(weights: WeightsConfig, folder: Path, where: str) -> Path:
    import pooch

    failures = []
    for number, address in enumerate(weights.http or []):
        published = PurePosixPath(urlsplit(address).path).name or "weights"
        try:
            logger.info("downloading %s", address)
            path = Path(pooch.retrieve(address, None, f"{number}-{published}", folder))
        except (OSError, ValueError) as error:
            failures.append(f"{address}: {_line(error)}")
            continue
        return _unpacked(path, file_name(weights))
    raise UserError(
        f"{where}: weights: no address answers ({'; '.join(failures)}); fetch it by hand and name it in `file`"
    )


def _unpacked(path: Path, name: str) -> Path:
    if path.suffix != ".gz" or name.endswith(".gz"):
        return path
    unpacked = path.with_suffix("")
    with gzip.open(path, "rb") as packed, unpacked.open("wb") as out:
        shutil.copyfileobj(packed, out)
    return unpacked


def verify(path: Path, weights: WeightsConfig, where: str, set_aside: Path | None = None) -> None:
    """Compare size and checksums with what `weights` says.

    Args:
        path: the file.
        weights: what is expected.
        where: the file that holds `weights`, for error messages.
        set_aside: the name that the file would have had; a wrong one is kept beside it, with `.bad` at the end.

    Raises:
        UserError: they differ.
    """
    if weights.bytes:
        _compare(path, "bytes", str(weights.bytes), str(path.stat().st_size), where, set_aside)
    if weights.sha256:
        _compare(path, "sha256", weights.sha256, sha256_file(path), where, set_aside)
    if weights.md5:
        with path.open("rb") as file:
            _compare(path, "md5", weights.md5, hashlib.file_digest(file, "md5").hexdigest(), where, set_aside)


def _compare(path: Path, kind: str, expected: str, found: str, where: str, set_aside: Path | None) -> None:
    if found == expected:
        return
    shown = path
    if set_aside is not None:
        shown = set_aside.with_name(set_aside.name + ".bad")
        path.replace(shown)
    raise UserError(
        f"{where}: weights: {shown} has {kind} {found}, expected {expected}; "
        f"fetch it again, or mend `{kind}` if the authors published a new file"
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
