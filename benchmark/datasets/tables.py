"""Tables of text: csv, tsv, space-separated, json and jsonl, as rows of field -> value."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmark.errors import UserError

Row = dict[str, Any]

_SEPARATORS = {"space": " ", "tab": "\t"}
# Cells may hold long vectors or texts; the csv module's own limit is 128 KiB.
csv.field_size_limit(1 << 24)


def read_table(
    path: Path, columns: Sequence[str] | None = None, separator: str | None = None, comment: str | None = None
) -> list[Row]:
    """Rows of a table. Cells of csv and tsv are text; in json and jsonl, numbers and the like become text, lists stay.

    Args:
        path: the suffix says which kind it is: .json, .jsonl, .ndjson, .tsv; anything else is csv.
        columns: names of the columns, for a table without a header.
        separator: `space` (any number of them; where `columns` are given, the last may hold some), `tab`, or a letter; by the
            suffix, or as the header shows, by default.
        comment: lines that begin so are left out.

    A json file holds a list of objects, or an object, whose keys become the field `key`; its values are objects of
    further fields, or become the field `value`.

    Raises:
        UserError: the table is missing or broken; one line that says where.
    """
    kind = path.suffix.lower()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; mend the path") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, not a table; use `folder:`") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text; save the table as UTF-8") from None
    if kind == ".json":
        return _from_json(text, path)
    if kind in {".jsonl", ".ndjson"}:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        return [_plain(_parse_json(line, path, number), path, number) for number, line in lines]
    if comment:
        text = "\n".join("" if line.startswith(comment) else line for line in text.split("\n"))
    return _from_lines(text, path, columns, separator or ("tab" if kind == ".tsv" else None))


def column_names(rows: Sequence[Row]) -> list[str]:
    """Names of the columns, those of all rows together, in order."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _from_lines(text: str, path: Path, columns: Sequence[str] | None, separator: str | None) -> list[Row]:
    cells = _cells(text, separator, columns)
    try:
        names = list(columns) if columns is not None else [name.strip() for name in next(cells)[1]]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"{path}: has two columns {twice!r}; rename one")
        rows = []
        for line, values in cells:
            if len(values) != len(names):
                raise UserError(f"{path}: line {line}: {len(values)} cells instead of {len(names)}; mend or quote it")
            rows.append(dict(zip(names, values, strict=True)))
        return rows
    except StopIteration:
        return []
    except csv.Error as error:
        raise UserError(f"{path}: cannot be read as a table ({error})") from None


def _cells(text: str, separator: str | None, columns: Sequence[str] | None) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of the lines that are not empty."""
    if separator == "space":
        # Where the columns are named, the last may hold spaces.
        cuts = -1 if columns is None else len(columns) - 1
        yield from ((number, line.split(None, cuts)) for number, line in enumerate(text.split("\n"), 1) if line.strip())
        return
    if separator is None:
        head = text.partition("\n")[0]
        # Spreadsheets write semicolons where the comma is the decimal mark.
        separator = max((",", ";", "\t"), key=head.count)
    delimiter = _SEPARATORS.get(separator, separator)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    yield from ((reader.line_num, row) for row in reader if any(cell.strip() for cell in row))


def _from_json(text: str, path: Path) -> list[Row]:
    data = _parse_json(text, path, 1)
    if isinstance(data, dict):
        data = [{"key": key, **(value if isinstance(value, dict) else {"value": value})} for key, value in data.items()]
    if not isinstance(data, list):
        raise UserError(f"{path}: holds neither a list nor an object")
    return [_plain(row, path, number) for number, row in enumerate(data, 1)]


def _parse_json(text: str, path: Path, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: line {line + error.lineno - 1}: not valid JSON ({error.msg})") from None


def _plain(row: Any, path: Path, number: int) -> Row:
    if not isinstance(row, dict):
        raise UserError(f"{path}: entry {number} is no object of fields")
    return {str(name): plain_value(value) for name, value in row.items()}


def plain_value(value: Any) -> Any:
    """A JSON value as a field: scalars as text (null is empty), lists and objects as they are."""
    if isinstance(value, str | list | dict):
        return value
    return "" if value is None else json.dumps(value)
