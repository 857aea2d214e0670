"""What is refused of archives that nobody here has looked at, whatever their kind."""

from pathlib import Path, PurePosixPath
from typing import IO

from benchmark.errors import UserError

# Uncompressed size over the archive's. FLAC and MP3 stay near 1, WAV below 20; silence and tables may reach more, in
# small archives.
MAX_RATIO = 100
FREE_SIZE = 1 << 30

CHUNK = 1 << 20


class DamagedArchive(UserError):
    """The archive is not what its authors made: cut short, changed on the way, or of another kind."""


class Limit:
    """Counts bytes written, and refuses to go beyond what the archive may plausibly hold."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self.left = max(FREE_SIZE, MAX_RATIO * archive.stat().st_size)

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise UserError(
                f"{self._archive}: unpacks to more than {MAX_RATIO} times its size: refused as a zip bomb; "
                "look into it, unpack it by hand, and name the folder as a `manual` source"
            )


def inside(name: str, archive: Path) -> PurePosixPath:
    """`name` as a path inside the folder, or an error."""
    plain = name.replace("\\", "/")
    path = PurePosixPath(plain)
    drive = len(plain) > 1 and plain[1] == ":"
    if path.is_absolute() or drive or ".." in path.parts or "\0" in plain:
        raise UserError(f"{archive}: {name!r} leads out of its folder: refused; do not trust this file")
    return path


def write_member(source: IO[bytes], path: Path, limit: Limit) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("wb") as out:
        while chunk := source.read(CHUNK):
            limit.take(len(chunk))
            out.write(chunk)
            count += len(chunk)
    return count
