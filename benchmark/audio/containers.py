"""Whether a file of sound is cut short, by what its container promises.

libsndfile takes what is there of a truncated file without a word; only FLAC and MP3 are seen to break off when they are
decoded.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

# An Ogg page is at most 65,307 bytes long.
_OGG_TAIL = 1 << 17
# Recorders that write to a pipe give no length, or about the largest number, for "until the end".
_ENDLESS = 0x7FFF0000


def missing_bytes(path: Path) -> int:
    """Bytes of sound that the header promises and the file lacks; 0 for kinds of files that do not say.

    Known: WAV, RF64, Wave64, AIFF, AU, Ogg.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        reader = _READERS.get(file.read(4))
        try:
            end = reader(file, size) if reader is not None else 0
        except struct.error:
            # The header itself is cut.
            end = size + 1
    return max(0, end - size)


def _riff(file: BinaryIO, size: int) -> int:
    return _chunks(file, size, "<4sI", b"data")


def _aiff(file: BinaryIO, size: int) -> int:
    return _chunks(file, size, ">4sI", b"SSND")


def _chunks(file: BinaryIO, size: int, layout: str, wanted: bytes) -> int:
    """End of the chunk `wanted`, in a file of chunks with even lengths."""
    position, long_length = 12, 0
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack(layout, file.read(8))
        if name == b"ds64":
            _, long_length = struct.unpack("<QQ", file.read(16))
        if name == wanted:
            length = long_length or length
            return position + 8 + length if long_length or length < _ENDLESS else 0
        position += 8 + length + length % 2
    return 0


def _wave64(file: BinaryIO, size: int) -> int:
    position = 40
    while position + 24 <= size:
        file.seek(position)
        name, length = struct.unpack("<4s12xQ", file.read(24))
        if name == b"data":
            return position + length
        position += max(24, -(-length // 8) * 8)
    return 0


def _au(file: BinaryIO, size: int) -> int:
    start, length = struct.unpack(">II", file.read(8))
    return start + length if length < _ENDLESS else 0


def _ogg(file: BinaryIO, size: int) -> int:
    """End of the last page."""
    offset = max(0, size - _OGG_TAIL)
    file.seek(offset)
    tail = file.read()
    page = tail.rfind(b"OggS\0")
    if page < 0:
        return 0
    header = tail[page : page + 27]
    if len(header) < 27 or len(tail) < page + 27 + header[26]:
        return size + 1
    lacing = tail[page + 27 : page + 27 + header[26]]
    return offset + page + 27 + len(lacing) + sum(lacing)


_READERS: dict[bytes, Callable[[BinaryIO, int], int]] = {
    b"RIFF": _riff,
    b"RF64": _riff,
    b"FORM": _aiff,
    b"riff": _wave64,
    b".snd": _au,
    b"OggS": _ogg,
}
