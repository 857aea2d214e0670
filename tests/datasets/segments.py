"""Zip files cut into segments, as PKWARE's APPNOTE.TXT describes them."""

import struct


def split(archive: bytes, count: int) -> list[bytes]:
    """The segments of a zip file without a comment: a mark in front, entries counted from their segment's beginning."""
    at = archive.rfind(b"PK\x05\x06")
    entries, _, directory = struct.unpack_from("<H2L", archive, at + 10)
    whole = b"PK\x07\x08" + archive
    size = -(-len(whole) // count)
    # No header lies in two segments: the directory and its end are in the last.
    cuts = [*range(size, (count - 1) * size, size), min((count - 1) * size, directory + 4)]
    starts = [0, *cuts[: count - 1]]
    patched = bytearray(whole)
    position = directory + 4
    for _ in range(entries):
        (offset,) = struct.unpack_from("<L", patched, position + 42)
        segment = max(i for i, start in enumerate(starts) if start <= offset + 4)
        struct.pack_into("<H", patched, position + 34, segment)
        struct.pack_into("<L", patched, position + 42, offset + 4 - starts[segment])
        name, extra, comment = struct.unpack_from("<3H", patched, position + 28)
        position += 46 + name + extra + comment
    last = len(starts) - 1
    struct.pack_into("<2H", patched, at + 4 + 4, last, last)
    struct.pack_into("<L", patched, at + 4 + 16, directory + 4 - starts[last])
    return [bytes(patched[start:end]) for start, end in zip(starts, [*starts[1:], len(patched)], strict=True)]
