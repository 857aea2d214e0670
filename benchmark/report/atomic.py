"""Files that are there whole or not at all."""

import os
from pathlib import Path


def write_bytes(path: Path, data: bytes) -> bool:
    """Write `data` under a temporary name and rename it; a file that already holds it is left alone.

    Returns:
        Whether the file changed.
    """
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def write_text(path: Path, text: str) -> bool:
    """Write `text` in UTF-8, with its line ends as they are; see `write_bytes`."""
    return write_bytes(path, text.encode("utf-8"))
