"""Rows of a described dataset: the files that a glob finds or a table lists, with the fields that are known of each."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from benchmark.audio.io import probe
from benchmark.config.schema_dataset import ItemsConfig, SidecarConfig, SplitListsConfig, TableConfig
from benchmark.datasets.tables import column_names, plain_value, read_table
from benchmark.datasets.tree import Tree
from benchmark.errors import ClipError, UserError


@dataclass(frozen=True)
class FileRow:
    """A file below the dataset's folder, and its fields."""

    path: str
    fields: dict[str, Any]

    def known(self) -> dict[str, Any]:
        """The fields, and what the path says by itself: `path`, `name`, `stem`, `folder` (the innermost)."""
        path = PurePosixPath(self.path)
        return {"path": self.path, "name": path.name, "stem": path.stem, "folder": path.parent.name, **self.fields}


def make_rows(items: ItemsConfig, tree: Tree, where: str) -> list[FileRow]:
    """Rows of one entry of `items`; `where` opens the message of an error.

    Raises:
        UserError: the glob finds nothing, a path does not fit its expression, or a table or a sidecar is wrong.
    """
    rows = _from_table(items, tree, where) if items.table else _from_glob(items, tree, where)
    if items.path_regex:
        rows = _search(rows, items, where)
    if items.sidecar:
        rows = [FileRow(row.path, {**row.fields, **_sidecar(row, items.sidecar, tree, where)}) for row in rows]
    if items.fields:
        rows = [_with_fields(row, items.fields, where) for row in rows]
    if items.slice_s:
        rows = [part for row in rows for part in _slices(row, items.slice_s, items.hop_s or items.slice_s, tree)]
    return rows


def join_table(rows: list[FileRow], table: TableConfig, tree: Tree, where: str) -> list[FileRow]:
    """The rows with the fields that `table` has for them.

    Raises:
        UserError: the table is wrong, has a row twice, or lacks one.
    """
    content = [
        row
        for file in _table_files(table.file, tree, where)
        for row in read_table(tree.root / file, table.columns, table.separator)
    ]
    names = column_names(content)
    wanted = table.fields if table.fields is not None else {name: name for name in names}
    for column in wanted.values():
        if column not in names:
            raise UserError(f"{where}: {table.file} has no column {column!r}; columns that it has: {', '.join(names)}")
    by_key: dict[str, dict[str, Any]] = {}
    for entry in content:
        key = fill(table.match, entry, f"{where}: match")
        if key in by_key:
            raise UserError(f"{where}: {table.file} has {key!r} twice; choose `match` so that each row is one")
        by_key[key] = {field: entry.get(column, "") for field, column in wanted.items()}
    joined, lacking = [], []
    for row in rows:
        found = by_key.get(fill(table.with_, row.known(), f"{where}: with"))
        if found is not None:
            joined.append(FileRow(row.path, {**row.fields, **found}))
        elif table.missing == "keep":
            joined.append(row)
        else:
            lacking.append(row.path)
    if lacking and table.missing == "error":
        raise UserError(
            f"{where}: {table.file} has no row for {_some(lacking, len(rows))}; set `missing` to keep or drop them"
        )
    return joined


def apply_lists(rows: list[FileRow], config: SplitListsConfig, field: str, tree: Tree, where: str) -> list[FileRow]:
    """The rows with their official part in `field`; those in no list get `rest`, or go.

    Raises:
        UserError: a list is missing, names nothing that is there, or two lists name the same file.
    """
    part_of: dict[str, str] = {}
    for part, file in config.lists.items():
        for entry in _lines(file, tree, f"{where}: split_lists.lists.{part}"):
            path = str(PurePosixPath(config.base) / entry)
            if part_of.setdefault(path, part) != part:
                raise UserError(f"{where}: split_lists: {path!r} is in {part_of[path]!r} and in {part!r}")
        if not any(row.path in part_of and part_of[row.path] == part for row in rows):
            raise UserError(f"{where}: split_lists.lists.{part}: no file of {file} is among the items; mend `base`")
    return [
        FileRow(row.path, {**row.fields, field: part})
        for row in rows
        if (part := part_of.get(row.path, config.rest)) is not None
    ]


def fill(template: str, fields: Mapping[str, Any], where: str) -> str:
    """`template` with each {field} replaced by its value; lists are joined by commas.

    Raises:
        UserError: a field is not known.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in fields:
            raise UserError(f"{where}: {template!r}: no field {name!r}; fields: {', '.join(map(str, fields))}")
        found = fields[name]
        return ",".join(map(str, found)) if isinstance(found, list) else str(found)

    return re.sub(r"\{([^{}]+)\}", value, template)


def _from_glob(items: ItemsConfig, tree: Tree, where: str) -> list[FileRow]:
    files = tree.match(items.glob, items.exclude)
    if not files:
        raise UserError(f"{where}: no sound matches {', '.join(items.glob)} below {tree.root}; mend `glob`")
    return [FileRow(file, {}) for file in files]


def _from_table(items: ItemsConfig, tree: Tree, where: str) -> list[FileRow]:
    rows = []
    for file in _table_files(str(items.table), tree, where):
        stem = PurePosixPath(file).stem
        for entry in read_table(tree.root / file, items.columns, items.separator):
            path = fill(items.path, {"table": stem, **entry}, f"{where}: path")
            rows.append(FileRow(path.replace("\\", "/").removeprefix("./"), {"table": stem, **entry}))
    unwanted = set(tree.match(items.exclude)) if items.exclude else set()
    return [row for row in rows if row.path not in unwanted]


def _table_files(glob: str, tree: Tree, where: str) -> list[str]:
    files = [glob] if glob in tree else tree.match([glob], sounds=False)
    if not files:
        raise UserError(f"{where}: there is no table {glob} below {tree.root}")
    return files


def _search(rows: list[FileRow], items: ItemsConfig, where: str) -> list[FileRow]:
    pattern = re.compile(str(items.path_regex))
    matches = [(row, pattern.search(row.path)) for row in rows]
    misfits = [row.path for row, match in matches if match is None]
    if misfits and items.unmatched == "error":
        raise UserError(f"{where}: path_regex does not fit {_some(misfits, len(rows))}; mend it, or `unmatched: skip`")
    return [
        FileRow(row.path, {**row.fields, **{name: text or "" for name, text in match.groupdict().items()}})
        for row, match in matches
        if match is not None
    ]


def _with_fields(row: FileRow, templates: Mapping[str, str], where: str) -> FileRow:
    fields = dict(row.fields)
    for name, template in templates.items():
        fields[name] = fill(template, FileRow(row.path, fields).known(), f"{where}: fields.{name}")
    return FileRow(row.path, fields)


def _sidecar(row: FileRow, config: SidecarConfig, tree: Tree, where: str) -> dict[str, Any]:
    path = str(PurePosixPath(row.path).with_suffix(config.suffix))
    for old, new in config.replace.items():
        path = path.replace(old, new)
    if config.format == "lines":
        return {config.field: [line[: config.take] for line in _lines(path, tree, where)]}
    try:
        data = json.loads(_text(path, tree, where))
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: {path}: not valid JSON ({error.msg})") from None
    return (
        {name: plain_value(value) for name, value in data.items()} if isinstance(data, dict) else {config.field: data}
    )


def _lines(file: str, tree: Tree, where: str) -> list[str]:
    return [line.strip() for line in _text(file, tree, where).splitlines() if line.strip()]


def _text(file: str, tree: Tree, where: str) -> str:
    try:
        return (tree.root / file).read_text("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{where}: there is no {file} below {tree.root}; mend the description") from None
    except UnicodeDecodeError:
        raise UserError(f"{where}: {file} is not UTF-8 text") from None


def _slices(row: FileRow, length_s: float, hop_s: float, tree: Tree) -> Iterator[FileRow]:
    """Clips of `length_s` seconds, `hop_s` apart; a file that is shorter, or that cannot be read, stays one clip."""
    try:
        rate, _, frames = probe(tree.root / row.path)
        count = max(1, int((frames / rate - length_s) / hop_s + 1 + 1e-9))
    except ClipError:
        count = 1
    for index in range(count):
        start = index * hop_s
        yield FileRow(row.path, {**row.fields, "start": f"{start:.6g}", "end": f"{start + length_s:.6g}"})


def _some(paths: list[str], total: int) -> str:
    return f"{len(paths)} of {total} files (first: {', '.join(paths[:3])})"
