"""Files over HTTP: mirrors in order, broken transfers resumed, nothing half-made under a final name.

A file that is under way lies beside its target as `<name>.<hash of the address>.part`, and is taken up where it broke
off, by this process or a later one. A file whose checksum is wrong is set aside as `<name>.bad`.
"""

import errno
import hashlib
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import requests
import urllib3
from filelock import FileLock

from benchmark.errors import UserError

log = logging.getLogger(__name__)

# Called with the name of a file, the bytes that are here, and all of its bytes (None if the server does not say).
Progress = Callable[[str, int, int | None], None]

ATTEMPTS = 4
PAUSE_S = 1.0
_TIMEOUT_S = (20, 60)
_CHUNK = 1 << 18
# Room that a transfer leaves on the disk for everything else.
_RESERVE = 64 << 20
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_MEANINGS = {401: "needs a login", 403: "forbidden", 404: "not found", 410: "gone", 429: "too many requests"}


class TransferError(Exception):
    """An address does not give the file. `passing`: trying again may help."""

    def __init__(self, reason: str, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


@dataclass(frozen=True)
class Fetched:
    """A file that is here and whole; `url` is None if it already was."""

    path: Path
    sha256: str
    bytes: int
    url: str | None


def download(
    urls: str | Sequence[str],
    target: Path,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Fetch a file to `target` from the first of `urls` that gives it whole and right.

    Processes that want the same file wait for each other. A file that is there already is taken if its checksum is
    right, or if none is given.

    Args:
        size: bytes that it has; a file with another size is wrong.

    Raises:
        UserError: no address gives the file, or the disk is full.
    """
    urls = [urls] if isinstance(urls, str) else list(urls)
    target.parent.mkdir(parents=True, exist_ok=True)
    expected = _Expected(sha256, md5, size)
    failures = []
    with FileLock(target.with_name(target.name + ".lock")):
        if target.is_file():
            wrong = expected.mismatch(target)
            if wrong is None:
                return Fetched(target, sha256_file(target), target.stat().st_size, None)
            log.warning(
                "%s: %s; it is set aside as %s and fetched again", target, wrong, _set_aside(target, target).name
            )
        for url in urls:
            try:
                part = _fetch_checked(url, target, expected, progress)
            except TransferError as error:
                log.warning("%s: %s", url, error)
                failures.append(f"{url}: {error}")
                continue
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                raise _no_space(target) from None
            digest, count = sha256_file(part), part.stat().st_size
            part.replace(target)
            _forget(part)
            return Fetched(target, digest, count, url)
    raise UserError(
        f"{target.name}: no address gives it: {'; '.join(failures)}; try again later, or fetch it by hand to {target}"
    )


def sha256_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_space(folder: Path, needed: int, what: str) -> None:
    """See that `needed` bytes fit on the disk of `folder`.

    Raises:
        UserError: they do not.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _RESERVE:
        raise UserError(
            f"{what}: needs {needed / 1e9:.2f} GB on the disk of {folder}, {free / 1e9:.2f} GB are free; "
            "free some, or set data.root in params.yaml to another disk"
        )


@dataclass(frozen=True)
class _Expected:
    sha256: str | None
    md5: str | None
    size: int | None

    def mismatch(self, path: Path) -> str | None:
        """What is wrong with the file, or None."""
        if self.size is not None and path.stat().st_size != self.size:
            return f"it has {path.stat().st_size} bytes instead of {self.size}"
        for kind, digest in (("sha256", self.sha256), ("md5", self.md5)):
            if digest is not None:
                with path.open("rb") as file:
                    found = hashlib.file_digest(file, kind).hexdigest()
                if found != digest.lower():
                    return f"its {kind} is {found} instead of {digest}"
        return None


def _fetch_checked(url: str, target: Path, expected: _Expected, progress: Progress | None) -> Path:
    """The file at `url` as a whole and verified .part beside `target`."""
    part = target.with_name(f"{target.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")
    resumed = part.exists()
    _fetch(url, part, target.name, progress)
    wrong = expected.mismatch(part)
    if wrong is not None and resumed:
        # The file may have changed between the two halves: once more, from the beginning.
        _forget(part)
        _fetch(url, part, target.name, progress)
        wrong = expected.mismatch(part)
    if wrong is not None:
        raise TransferError(f"{wrong} (set aside as {_set_aside(part, target).name})")
    return part


def _fetch(url: str, part: Path, name: str, progress: Progress | None) -> None:
    """Fetch `url` to `part` in several attempts, each from where the last broke off; only idle ones count."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise TransferError("is no http or https address")
    failed = 0
    while True:
        before = _size(part)
        try:
            _transfer(url, part, name, progress)
            return
        except TransferError as error:
            failed = 1 if _size(part) > before else failed + 1
            if not error.passing or failed >= ATTEMPTS:
                raise
            log.info("%s: %s; going on at byte %d", url, error, _size(part))
            time.sleep(PAUSE_S * 2 ** (failed - 1))


def _transfer(url: str, part: Path, name: str, progress: Progress | None) -> None:
    """One request: the rest of the file, appended to `part`."""
    have = _size(part)
    # Encodings would make the bytes on the wire others than those of the file.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if _validator(part).exists():
            headers["If-Range"] = _validator(part).read_text("utf-8")
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
            if response.status_code == 416 and have:
                # What is here is as long as the file, or does not belong to it.
                if response.headers.get("Content-Range") == f"bytes */{have}":
                    return
                _forget(part)
                raise TransferError("has changed since the transfer broke off", passing=True)
            _check_status(response)
            resumes = response.status_code == 206
            if resumes and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                _forget(part)
                raise TransferError("answered with another part of the file than asked for", passing=True)
            _check_content(response, name)
            _receive(response, part, have if resumes else 0, name, progress)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise TransferError(_reason(error), passing=not isinstance(error, requests.exceptions.InvalidURL)) from None


def _receive(response: requests.Response, part: Path, have: int, name: str, progress: Progress | None) -> None:
    length = response.headers.get("Content-Length")
    total = have + int(length) if length and length.isdigit() else None
    if total is not None:
        check_space(part.parent, total - have, name)
    _remember_validator(response, part)
    with part.open("ab" if have else "wb") as file:
        while chunk := response.raw.read(_CHUNK, decode_content=False):
            if file.tell() == 0 and _is_web_page(chunk) and not _wants_web_page(name):
                file.close()
                _forget(part)
                raise TransferError("answers with a web page instead of the file (a login, a form, or an error)")
            file.write(chunk)
            have += len(chunk)
            if progress is not None:
                progress(name, have, total)
    if total is not None and have < total:
        raise TransferError(f"broke off after {have} of {total} bytes", passing=True)


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status not in {200, 206}:
        meaning = _MEANINGS.get(status, response.reason or "error")
        raise TransferError(f"HTTP {status} ({meaning})", passing=status in _PASSING)


def _check_content(response: requests.Response, name: str) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in {"text/html", "application/xhtml+xml"} and not _wants_web_page(name):
        raise TransferError("answers with a web page instead of the file (a login, a form, or an error)")


def _wants_web_page(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in {".html", ".htm", ".xhtml"}


def _is_web_page(chunk: bytes) -> bool:
    return chunk[:256].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _remember_validator(response: requests.Response, part: Path) -> None:
    """Keep what tells whether the file is still the same when a transfer is taken up again."""
    tag = response.headers.get("ETag", "")
    # A weak tag does not promise the same bytes.
    validator = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
    if validator:
        _validator(part).write_text(validator, "utf-8")


def _validator(part: Path) -> Path:
    return part.with_name(part.name + "-tag")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator(part).unlink(missing_ok=True)


def _set_aside(path: Path, target: Path) -> Path:
    bad = target.with_name(target.name + ".bad")
    path.replace(bad)
    _validator(path).unlink(missing_ok=True)
    return bad


def _no_space(target: Path) -> UserError:
    return UserError(f"{target}: no space left on the disk; free some and run the same again: what has come is kept")


def _reason(error: Exception) -> str:
    text = str(error)
    causes: Iterable[tuple[type, str]] = (
        (requests.exceptions.SSLError, "its certificate is not trusted"),
        (requests.exceptions.ConnectTimeout, "does not answer in time"),
        ((requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError), "stopped sending"),
        (urllib3.exceptions.IncompleteRead, "broke off"),
        (urllib3.exceptions.ProtocolError, "broke off"),
        (requests.exceptions.ConnectionError, "cannot be reached"),
    )
    for kind, reason in causes:
        if isinstance(error, kind):
            if kind is requests.exceptions.ConnectionError and "reset" in text.lower():
                return "broke off"
            return reason
    return " ".join(text.split())[:160]
