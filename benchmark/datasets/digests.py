"""Checksums of audio files, remembered by size and time of change, so that what is finished is not read again."""

import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

log = logging.getLogger(__name__)

_HASHERS = 4
_SETTLED_S = 1.0


class Digests:
    """A ledger of checksums in a small database under the data folder; a context manager.

    A file counts as unchanged while its size, its times of change (in nanoseconds) and its inode are the same. One that
    was changed a moment ago is read again next time: clocks of file systems are too coarse to see a second change.
    """

    def __init__(self, data_root: Path | None) -> None:
        """Open the ledger under `data_root`, or one that is forgotten where it is None."""
        if data_root is not None:
            data_root.mkdir(parents=True, exist_ok=True)
        try:
            self._db = _opened(":memory:" if data_root is None else data_root / ".digests.sqlite")
        except sqlite3.DatabaseError as error:
            # A full disk, a folder that may not be written, or a damaged file: it only saves time.
            log.warning("%s: checksums are not remembered (%s)", data_root, error)
            self._db = _opened(":memory:")

    def __enter__(self) -> "Digests":
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def of_files(self, paths: Iterable[Path]) -> dict[Path, str]:
        """SHA-256 of each file; `missing` for one that is not there, `unreadable` for one that cannot be opened."""
        paths = sorted(set(paths))
        known = dict(
            (path, (stamp, digest))
            for path, stamp, digest in self._db.execute("SELECT path, stamp, sha256 FROM digests")
        )
        result: dict[Path, str] = {}
        stale: list[tuple[Path, str]] = []
        for path in paths:
            stamp = _stamp(path)
            if stamp is None:
                result[path] = "missing"
                continue
            entry = known.get(str(path.absolute()))
            if entry is not None and entry[0] == stamp:
                result[path] = entry[1]
            else:
                stale.append((path, stamp))
        fresh: list[tuple[str, str, str]] = []
        began = time.time()
        with ThreadPoolExecutor(_HASHERS) as threads:
            digests = list(threads.map(_sha256, [path for path, _ in stale]))
        for (path, stamp), digest in zip(stale, digests, strict=True):
            result[path] = digest
            if digest != "unreadable" and path.stat().st_ctime < began - _SETTLED_S:
                row = (str(path.absolute()), stamp, digest)
                fresh.append(row)
        try:
            with self._db:
                self._db.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", fresh)
        except sqlite3.DatabaseError as error:
            log.warning("checksums are not remembered (%s)", error)
        return result


def _opened(place: str | Path) -> sqlite3.Connection:
    database = sqlite3.connect(place, timeout=60)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE IF NOT EXISTS digests (path TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT)")
    return database


def _stamp(path: Path) -> str | None:
    try:
        status = path.stat()
    except OSError:
        return None
    # The time of the last change of anything (ctime) cannot be set back, as copying tools do with the other one.
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "unreadable"
