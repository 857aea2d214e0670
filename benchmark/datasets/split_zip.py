"""Zip files that are published in segments (`.z01`, `.z02`, ..., `.zip`), as `zip -s` writes them.

End to end the segments hold every file, but the directory at the end counts from the beginning of each segment (PKWARE's
APPNOTE.TXT 6.3.9, sections 4.3.12, 4.3.14, 4.3.16 and 8). Here it is written anew, as that of a single file.
"""

import re
import struct
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from benchmark.errors import UserError

_SEGMENT = re.compile(r"\.z\d\d+", re.IGNORECASE)
_ENTRY = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ZIP64 = 1


def is_split_zip(names: Sequence[str]) -> bool:
    """Whether parts of these names are the segments of one zip file."""
    return any(_SEGMENT.fullmatch(PurePosixPath(name).suffix) for name in names)


def make_single(joined: Path, sizes: Sequence[int]) -> None:
    """Make the segments that lie end to end in `joined` one zip file, in place.

    Args:
        sizes: bytes of each segment, in order.

    Raises:
        UserError: the directory is not where it should be: a segment is damaged, or another order is right.
    """
    starts = [0, *accumulate(sizes)]
    try:
        with joined.open("r+b") as file:
            position, length, count = _directory(file, starts)
            file.seek(position)
            entries = _moved(file.read(length), count, starts)
            file.seek(position)
            file.write(entries)
            file.write(_ending(count, len(entries), position))
            file.truncate()
    except (struct.error, IndexError, ValueError) as error:
        raise UserError(f"{joined}: is no zip file in segments ({error}); are they all there, in order?") from None


def _directory(file: BinaryIO, starts: Sequence[int]) -> tuple[int, int, int]:
    """Where the directory begins in the joined file, its bytes, and its entries."""
    file.seek(max(0, starts[-1] - _FULL16 - _END.size))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise ValueError("it has no end of directory")
    _, _, disk, _, count, length, offset, _ = _END.unpack_from(tail, at)
    before = at - _LOCATOR64.size
    if before >= 0 and tail[before : before + 4] == b"PK\x06\x07":
        _, disk64, offset64, _ = _LOCATOR64.unpack_from(tail, before)
        file.seek(starts[disk64] + offset64)
        signature, _, _, _, _, disk, _, count, length, offset = _END64.unpack(file.read(_END64.size))
        if signature != b"PK\x06\x06":
            raise ValueError("its zip64 end of directory is not where it should be")
    return starts[disk] + offset, length, count


def _moved(directory: bytes, count: int, starts: Sequence[int]) -> bytes:
    """The entries of the directory, counted from the beginning of the joined file."""
    entries, at = [], 0
    for _ in range(count):
        values = list(_ENTRY.unpack_from(directory, at))
        if values[0] != b"PK\x01\x02":
            raise ValueError("an entry of its directory is not where it should be")
        name_end = at + _ENTRY.size + values[10]
        extra_end = name_end + values[11]
        following = extra_end + values[12]
        sizes = [values[9], values[8], values[16], values[13]]
        full, extra = _take_zip64(directory[name_end:extra_end], sizes)
        plain, packed, offset, disk = full
        offset += starts[disk]
        large = [value for value in (plain, packed, offset) if value >= _FULL32]
        if large:
            extra += struct.pack(f"<2H{len(large)}Q", _ZIP64, 8 * len(large), *large)
        values[8], values[9], values[16] = (min(value, _FULL32) for value in (packed, plain, offset))
        values[11], values[13] = len(extra), 0
        head = _ENTRY.pack(*values) + directory[at + _ENTRY.size : name_end]
        entries.append(head + extra + directory[extra_end:following])
        at = following
    return b"".join(entries)


def _take_zip64(extra: bytes, values: Sequence[int]) -> tuple[list[int], bytes]:
    """Sizes, offset and segment of an entry, with what its zip64 field says of them; the other fields as they are."""
    found, kept, at = list(values), b"", 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        body = extra[at + 4 : at + 4 + length]
        if kind == _ZIP64:
            for i, (code, full) in enumerate((("<Q", _FULL32), ("<Q", _FULL32), ("<Q", _FULL32), ("<L", _FULL16))):
                if values[i] == full:
                    (found[i],) = struct.unpack_from(code, body)
                    body = body[struct.calcsize(code) :]
        else:
            kept += extra[at : at + 4 + length]
        at += 4 + length
    return found, kept


def _ending(count: int, length: int, position: int) -> bytes:
    end64 = b""
    if count >= _FULL16 or length >= _FULL32 or position >= _FULL32:
        end64 = _END64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, position)
        end64 += _LOCATOR64.pack(b"PK\x06\x07", 0, position + length, 1)
    counts = min(count, _FULL16)
    return end64 + _END.pack(b"PK\x05\x06", 0, 0, counts, counts, min(length, _FULL32), min(position, _FULL32), 0)
