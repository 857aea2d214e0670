"""Where weights come from, and what proves that the right file came.

Sources: a member of a wheel on the package index (`pypi`; downloaded, never installed), addresses tried in order
(`http`), or a pinned revision of a hub repository (`huggingface`). A checksum is that of the file which is used, after
it was taken out of its wheel or unpacked from `.gz`.
"""

import gzip
import hashlib
import logging
import os
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from filelock import FileLock
from platformdirs import user_cache_path

from benchmark.config.keys import content_key
from benchmark.config.schema_embedding import WeightsConfig
from benchmark.datasets.indexes import pip_download
from benchmark.datasets.transfer import download, sha256_file
from benchmark.embeddings.hub_commits import is_commit, whole_commit
from benchmark.errors import UserError

logger = logging.getLogger(__name__)


def home() -> Path:
    """Where weights are kept: the environment variable LEVERET_HOME, or the platform's cache folder."""
    given = os.environ.get("LEVERET_HOME")
    return Path(given).expanduser() if given else user_cache_path("leveret", appauthor=False)


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
            logger.info("downloading the wheel %s from the package index", weights.pypi)
            try:
                downloaded = pip_download(str(weights.pypi), folder)
            except UserError as error:
                raise UserError(f"{where}: weights: {error}") from None
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


def _from_hub(weights: WeightsConfig, folder: Path, where: str) -> Path:
    from huggingface_hub import hf_hub_download

    if not is_commit(weights.revision) or not weights.file:
        raise UserError(
            f"{where}: weights: a hub source needs `file` and `revision`, a commit, as branches and tags move; add them"
        )
    repository = str(weights.huggingface)
    try:
        revision = whole_commit(repository, str(weights.revision))
        path = hf_hub_download(repository, str(weights.file), revision=revision, local_dir=folder / "hub")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{where}: weights: {weights.huggingface} cannot be fetched ({_line(error)}); check it"
        ) from error
    return Path(path)


def _from_addresses(weights: WeightsConfig, folder: Path, where: str) -> Path:
    addresses = list(weights.http or [])
    published = PurePosixPath(urlsplit(addresses[0]).path).name or "weights"
    packed = _is_packed(published, file_name(weights))
    # Checksums are those of what is unpacked.
    expected = {} if packed else {"sha256": weights.sha256, "md5": weights.md5, "size": weights.bytes}
    # Not in `folder`, which goes away: a transfer that broke off is taken up again.
    incoming = home() / "incoming" / content_key(addresses)
    try:
        fetched = download(addresses, incoming / published, **expected)
    except UserError as error:
        raise UserError(f"{where}: weights: {error}") from None
    path = folder / published
    fetched.path.replace(path)
    shutil.rmtree(incoming, ignore_errors=True)
    return _unpacked(path) if packed else path


def _is_packed(published: str, name: str) -> bool:
    return published.endswith(".gz") and not name.endswith(".gz")


def _unpacked(path: Path) -> Path:
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
