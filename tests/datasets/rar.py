"""A writer of RAR 5 archives whose members are stored, after the format's public description."""

import struct
import zlib
from collections.abc import Mapping

MAIN, FILE, END = 1, 2, 5
_DATA, _EXTRA = 2, 1
_HAS_CRC = 4
_UNIX = 1
_REDIRECTION = 5


def vint(number: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def block(kind: int, fields: bytes, data: bytes = b"", extra: bytes = b"") -> bytes:
    flags = (_DATA if data or kind == FILE else 0) | (_EXTRA if extra else 0)
    head = vint(kind) + vint(flags)
    head += vint(len(extra)) if extra else b""
    head += vint(len(data)) if flags & _DATA else b""
    head += fields + extra
    head = vint(len(head)) + head
    return struct.pack("<I", zlib.crc32(head)) + head + data


def member(name: str, content: bytes, method: int = 0, size: int | None = None, link: str | None = None) -> bytes:
    """A file; `method` 0 is stored, `size` what it claims to unpack to, `link` what it is a symbolic link to."""
    extra = b""
    if link is not None:
        record = vint(_REDIRECTION) + vint(1) + vint(0) + vint(len(link)) + link.encode()
        extra = vint(len(record)) + record
    raw = name.encode()
    fields = vint(_HAS_CRC) + vint(len(content) if size is None else size) + vint(0o100644)
    fields += struct.pack("<I", zlib.crc32(content)) + vint(method << 7) + vint(_UNIX) + vint(len(raw)) + raw
    return block(FILE, fields, content, extra)


def rar_of(files: Mapping[str, bytes], *members: bytes) -> bytes:
    """An archive of the files, and of further members as they are."""
    body = b"".join([*(member(name, content) for name, content in files.items()), *members])
    return b"Rar!\x1a\x07\x01\x00" + block(MAIN, vint(0)) + body + block(END, vint(0))
