"""Rows of a described dataset: the files that a glob finds or a table lists, with the fields that are known of each."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from benchmark.audio.io import probe
from benchmark.config.schema_dataset import ItemsConfig, LongConfig, SidecarConfig, SplitListsConfig, TableConfig
from benchmark.datasets.hear_tasks import hear_clips
from benchmark.datasets.stems import sibling_fields, submix_fields
from benchmark.datasets.tables import column_names, plain_value, read_table
from benchmark.datasets.templates import fill
from benchmark.datasets.tree import FOREIGN, Tree
from benchmark.errors import ClipError, UserError


@dataclass(frozen=True)
class FileRow:
    """A file below the dataset's folder, and its fields."""

    path: str
    fields: dict[str, Any]

    def known(self) -> dict[str, Any]:
        """The fields, and what the path says by itself: `path`, `name`, `stem`, `folder` (the innermost), `dir` (all)."""
        path = PurePosixPath(self.path)
        said = {"name": path.name, "stem": path.stem, "folder": path.parent.name, "dir": str(path.parent)}
        return {"path": self.path, **said, **self.fields}

    def having(self, more: Mapping[str, Any]) -> "FileRow":
        """The row with more fields."""
        return FileRow(self.path, {**self.fields, **more})


def make_rows(items: ItemsConfig, tree: Tree, where: str) -> list[FileRow]:
    """Rows of one entry of `items`; `where` opens the message of an error.

    Raises:
        UserError: the glob finds nothing, a path does not fit its expression, or a table or a sidecar is wrong.
    """
    if items.hear is not None:
        rows = [FileRow(path, fields) for path, fields in hear_clips(items.hear, tree, where)]
    else:
        rows = _from_table(items, tree, where) if items.table else _from_glob(items, tree, where)
    if items.path_regex:
        rows = _search(rows, items, where)
    if items.sidecar:
        rows = [row.having(_sidecar(row, items.sidecar, tree, where)) for row in rows]
    if items.siblings:
        rows = [row.having(sibling_fields(row.path, row.known(), items.siblings, tree, where)) for row in rows]
    if items.submixes:
        rows = [row.having(submix_fields(row.known(), items.submixes, tree, where)) for row in rows]
    if items.fields:
        rows = [with_fields(row, items.fields, where) for row in rows]
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
        for file in _text_files(table.file, tree, where)
        for row in read_table(tree.root / file, table.columns, table.separator, table.comment)
    ]
    names = column_names(content)
    wanted = table.fields if table.fields is not None else {} if table.wide else {name: name for name in names}
    marks = table.wide.columns if table.wide else []
    for column in (table.long.label, table.long.value) if table.long else (*wanted.values(), *marks):
        if column not in names:
            raise UserError(f"{where}: {table.file} has no column {column!r}; columns that it has: {', '.join(names)}")
    if table.long:
        by_key = _long(content, table.long, table.match, f"{where}: {table.file}")
    else:
        by_key = {}
        for entry in content:
            key = fill(table.match, entry, f"{where}: match")
            if key in by_key:
                raise UserError(f"{where}: {table.file} has {key!r} twice; choose `match` so that each row is one")
            by_key[key] = {field: entry.get(column, "") for field, column in wanted.items()}
            if table.wide:
                by_key[key][table.wide.field] = [column for column in marks if entry.get(column) == "1"]
    joined, lacking = [], []
    for row in rows:
        found = by_key.get(fill(table.with_, row.known(), f"{where}: with"))
        if found is not None:
            joined.append(row.having(found))
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
    """The rows with their official part in `field`; those in no list keep theirs, or get `rest`, or go.

    Raises:
        UserError: a list is missing, names nothing that is there, or two lists name the same file.
    """
    part_of: dict[str, str] = {}
    keys = [fill(config.with_, row.known(), f"{where}: split_lists.with") for row in rows]
    for part, glob in config.lists.items():
        here = f"{where}: split_lists.lists.{part}"
        listed = set()
        for file in _text_files(glob, tree, here, ""):
            for entry in _lines(file, tree, here):
                # Some lists name the class behind a tab.
                path = str(PurePosixPath(config.base) / entry.partition("\t")[0].rstrip())
                if part_of.setdefault(path, part) != part:
                    raise UserError(f"{where}: split_lists: {path!r} is in {part_of[path]!r} and in {part!r}")
                listed.add(path)
        if listed.isdisjoint(keys):
            raise UserError(f"{here}: no file of {glob} is among the items; mend `base`, or `with`")
    return [
        row.having({field: part})
        for row, key in zip(rows, keys, strict=True)
        if (part := part_of.get(key, row.fields.get(field, config.rest))) is not None
    ]


def _long(content: list[dict[str, Any]], config: LongConfig, match: str, where: str) -> dict[str, dict[str, Any]]:
    """Key -> the field with its mapping of class -> 0 or 1."""
    known: dict[str, dict[str, int]] = {}
    for entry in content:
        key, name, text = fill(match, entry, f"{where}: match"), str(entry[config.label]), entry[config.value]
        try:
            there = int(float(text) >= config.positive_at)
        except ValueError:
            raise UserError(f"{where}: column {config.value!r}: {text!r} is no number; mend the table") from None
        if known.setdefault(key, {}).setdefault(name, there) != there:
            raise UserError(f"{where}: says of {key!r} that {name!r} is there and that it is not; mend the table")
    return {key: {config.field: classes} for key, classes in known.items()}


def _from_glob(items: ItemsConfig, tree: Tree, where: str) -> list[FileRow]:
    foreign = any(glob.lower().endswith(tuple(FOREIGN)) for glob in items.glob)
    files = tree.match(items.glob, items.exclude, sounds=not foreign)
    if not files:
        raise UserError(f"{where}: no sound matches {', '.join(items.glob)} below {tree.root}; mend `glob`")
    return [FileRow(file, {}) for file in files]


def _from_table(items: ItemsConfig, tree: Tree, where: str) -> list[FileRow]:
    rows = []
    for file in _text_files(str(items.table), tree, where):
        stem = PurePosixPath(file).stem
        for entry in read_table(tree.root / file, items.columns, items.separator, items.comment):
            path = fill(items.path, {"table": stem, **entry}, f"{where}: path")
            rows.append(FileRow(path.replace("\\", "/").removeprefix("./"), {"table": stem, **entry}))
    unwanted = set(tree.match(items.exclude)) if items.exclude else set()
    return [row for row in rows if row.path not in unwanted]


def _text_files(glob: str, tree: Tree, where: str, what: str = "table ") -> list[str]:
    files = [glob] if glob in tree else tree.match([glob], sounds=False)
    if not files:
        raise UserError(f"{where}: there is no {what}{glob} below {tree.root}; mend the description")
    return files


def _search(rows: list[FileRow], items: ItemsConfig, where: str) -> list[FileRow]:
    pattern = re.compile(str(items.path_regex))
    matches = [(row, pattern.search(row.path)) for row in rows]
    misfits = [row.path for row, match in matches if match is None]
    if misfits and items.unmatched == "error":
        raise UserError(f"{where}: path_regex does not fit {_some(misfits, len(rows))}; mend it, or `unmatched: skip`")
    return [
        row.having({name: text or "" for name, text in match.groupdict().items()})
        for row, match in matches
        if match is not None
    ]


def with_fields(row: FileRow, templates: Mapping[str, str | list[str]], where: str) -> FileRow:
    for name, template in templates.items():
        known, place = row.known(), f"{where}: fields.{name}"
        many = isinstance(template, list)
        row = row.having(
            {name: [fill(one, known, place) for one in template] if many else fill(template, known, place)}
        )
    return row


def _sidecar(row: FileRow, config: SidecarConfig, tree: Tree, where: str) -> dict[str, Any]:
    path = str(PurePosixPath(row.path).with_suffix(config.suffix))
    for old, new in config.replace.items():
        path = path.replace(old, new)
    if config.format == "lines":
        return {config.field: [line[: config.take] for line in _lines(path, tree, where)]}
    if config.format == "events":
        return {config.field: _events(_lines(path, tree, where), f"{where}: {path}")}
    try:
        data = json.loads(_text(path, tree, where))
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: {path}: not valid JSON ({error.msg})") from None
    return (
        {name: plain_value(value) for name, value in data.items()} if isinstance(data, dict) else {config.field: data}
    )


def _events(lines: list[str], where: str) -> list[dict[str, Any]]:
    """Annotated events, in the order of their beginnings."""
    events = []
    for number, line in enumerate(lines, 1):
        try:
            start, end, label = line.split("\t")
            events.append({"start": float(start), "end": float(end), "label": label})
        except ValueError:
            raise UserError(f"{where}: line {number}: {line!r} is not start, end and label, tab-separated") from None
    return sorted(events, key=lambda event: (event["start"], event["end"], event["label"]))


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
