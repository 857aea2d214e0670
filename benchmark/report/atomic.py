"""Files that are there whole or not at all."""

import os
from pathlib import Path

import psutil


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


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left below `folder`; the temporary files of those that are running stay."""
    for path in folder.rglob(".*.tmp"):
        process = path.suffixes[-2][1:] if len(path.suffixes) > 1 else ""
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            path.unlink(missing_ok=True)
