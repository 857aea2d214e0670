"""Parquet files of a dataset hub, which hold the sounds themselves: to files and a table beside them."""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from benchmark.errors import UserError

TABLE = "rows.jsonl"

_ROWS = 64
_KINDS = ((b"RIFF", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"ID3", ".mp3"), (b"\xff", ".mp3"))


def unpack_parquet(file: Path, folder: Path, prefix: str) -> None:
    """Write the sounds of `file` into `folder`, and `rows.jsonl` with the other columns, a row a sound.

    Numbers of classes become their names where the file says them. A file without sounds gives the table alone.

    Args:
        prefix: what the paths in the table begin with, in front of the sounds' names.

    Raises:
        UserError: the file is damaged, has two columns of sound, or one whose sounds are elsewhere.
    """
    import pyarrow
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with parquet.ParquetFile(file) as content, (folder / TABLE).open("w", encoding="utf-8") as table:
            names = _class_names(content.schema_arrow.metadata)
            column = _sound_column(content.schema_arrow, file)
            number = 0
            for batch in content.iter_batches(batch_size=_ROWS):
                for row in batch.to_pylist():
                    sound = row.pop(column) if column is not None else None
                    fields = {name: _value(value, names.get(name)) for name, value in row.items()}
                    if column is not None:
                        name = _write(sound, folder, number, file)
                        fields = {"path": str(PurePosixPath(prefix) / name), **fields}
                    table.write(json.dumps(fields, ensure_ascii=False) + "\n")
                    number += 1
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{file}: damaged or cut short ({reason}); delete it and run the same again") from None


def _sound_column(schema: Any, file: Path) -> str | None:
    """The column of structs with `bytes` and `path`."""
    import pyarrow

    found = [
        entry.name
        for entry in schema
        if pyarrow.types.is_struct(entry.type) and {"bytes", "path"} <= {inner.name for inner in entry.type}
    ]
    if len(found) > 1:
        raise UserError(f"{file}: has several columns of sound ({', '.join(found)}); it cannot be unpacked here")
    return found[0] if found else None


def _class_names(metadata: Mapping[bytes, bytes] | None) -> dict[str, list[str]]:
    """Names of classes by column, as the hub's library writes them into a file's head."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return {
        name: feature["names"] for name, feature in features.items() if isinstance(feature, dict) and "names" in feature
    }


def _value(value: Any, names: list[str] | None) -> Any:
    if names is not None and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return value if isinstance(value, str | int | float | bool | list | None) else str(value)


def _write(sound: Mapping[str, Any] | None, folder: Path, number: int, file: Path) -> str:
    content = (sound or {}).get("bytes")
    if not content:
        raise UserError(f"{file}: row {number} has no sound in it; it cannot be unpacked here")
    suffix = next((kind for start, kind in _KINDS if content.startswith(start)), ".bin")
    name = f"{number:07d}{suffix}"
    (folder / name).write_bytes(content)
    return name
