"""From a dataset's description to its clips, without touching audio."""

import logging
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from benchmark.audio.io import EXTENSIONS
from benchmark.config.schema_dataset import DatasetConfig, ItemsConfig
from benchmark.datasets.clips import STEM, Clip
from benchmark.datasets.hear_tasks import METADATA
from benchmark.datasets.places import MARKER, audio_folder, root_folder
from benchmark.datasets.rows import FileRow, apply_lists, join_table, make_rows, with_fields
from benchmark.datasets.tables import column_names, read_table
from benchmark.datasets.tree import Tree
from benchmark.errors import UserError

log = logging.getLogger(__name__)

_DEFAULTS = {key: DatasetConfig.model_fields[key].default for key in ("id", "label", "group", "split", "start", "end")}


def is_ready(config: DatasetConfig, data_root: Path) -> bool:
    """Whether `read_dataset` finds something to read."""
    if config.rendered is not None or config.sources is not None:
        return (audio_folder(config, data_root) / ("clips.csv" if config.rendered else MARKER)).exists()
    return Path(config.folder or config.csv or "").expanduser().exists()


def read_dataset(config: DatasetConfig, data_root: Path) -> list[Clip]:
    """Clips of the dataset, sorted by id. Every field is text, or a list of texts; no audio is read.

    Raises:
        UserError: it is not there, holds nothing, or its description or its table is wrong.
    """
    if not is_ready(config, data_root) and (config.rendered or config.sources):
        raise UserError(f"{config.name}: is not here yet; run `leveret download`")
    root = root_folder(config, data_root)
    if config.items:
        clips = _described(config, root, config.items)
    elif config.folder is not None and (root / METADATA).is_file():
        clips = _described(config, root, [ItemsConfig(hear=".")])
    elif config.folder is not None:
        clips = _from_folder(config, root)
    else:
        table = Path(config.csv).expanduser() if config.csv is not None else root / "clips.csv"
        clips = _from_csv(config, table)
    if not config.verified:
        return clips
    if unmet := unmet_expectations(config, clips):
        raise UserError(f"{config.name}: expect: {'; '.join(unmet)}; compare the files with the description")
    return clips


def unmet_expectations(config: DatasetConfig, clips: Sequence[Clip]) -> list[str]:
    """How the clips differ from what the description says must come out."""
    expect, label = config.expect, config.label or "label"
    classes = Counter(str(clip.labels.get(label, "")) for clip in clips)
    wanted = expect.classes
    pairs: list[tuple[str, int | None, int]] = [
        ("clips", expect.clips, len(clips)),
        ("groups", expect.groups, len({clip.group for clip in clips} - {None})),
        ("classes", wanted if isinstance(wanted, int) else None, len(classes)),
    ]
    parts = Counter(clip.split for clip in clips)
    pairs += [(f"clips of split {part}", count, parts[part]) for part, count in expect.splits.items()]
    if isinstance(wanted, dict):
        pairs += [(f"clips of class {name}", count, classes[name]) for name, count in wanted.items()]
    return [
        f"{found} {what} instead of {count}" for what, count, found in pairs if count is not None and count != found
    ]


def _from_folder(config: DatasetConfig, root: Path) -> list[Clip]:
    where = f"{config.name}: dataset.folder"
    tree = _tree(root, where)
    loose = next((file for file in tree.sounds if "/" not in file), None)
    if loose is not None:
        raise UserError(f"{where}: {root / loose} lies in no subfolder; put each class in a subfolder of its own")
    if not tree.sounds:
        foreign = f"; its {len(tree.foreign)} {tree.foreign[0][-4:]} files must be converted" if tree.foreign else ""
        raise UserError(f"{where}: {root}: holds no sound in subfolders ({', '.join(sorted(EXTENSIONS))}){foreign}")
    rows = [FileRow(file, {"label": file.partition("/")[0]}) for file in tree.sounds]
    classes = {row.fields["label"] for row in rows}
    if len(classes) == 1:
        raise UserError(
            f"{where}: {root}: only one class ({classes.pop()!r}); a class is a subfolder, and two are needed"
        )
    if tree.foreign:
        log.warning("%s: %s: %d files cannot be read (first: %s); convert them to FLAC or WAV",
                    where, root, len(tree.foreign), tree.foreign[0])  # fmt: skip
    return _to_clips(config, rows, root, where)


def _from_csv(config: DatasetConfig, table: Path) -> list[Clip]:
    where = f"{table}"
    content = read_table(table)
    if not content:
        raise UserError(f"{where}: has no rows")
    _require(config.path, "path", column_names(content), config, where)
    rows = []
    for entry in content:
        path = str(Path(str(entry[config.path])).expanduser()) if entry.get(config.path) else ""
        rows.append(FileRow(path, {name: value for name, value in entry.items() if name != config.path}))
    rows = _dropped(config, rows)
    _check_files(rows, table.parent, where)
    return _to_clips(config, rows, table.parent, where)


def _described(config: DatasetConfig, root: Path, entries: Sequence[ItemsConfig]) -> list[Clip]:
    tree = _tree(root, f"{config.name}: dataset")
    rows: list[FileRow] = []
    for number, items in enumerate(entries):
        rows += make_rows(items, tree, f"{config.name}: items.{number}")
    rows = _dropped(config, rows)
    for number, table in enumerate(config.tables):
        rows = join_table(rows, table, tree, f"{config.name}: tables.{number}")
    if config.split_lists is not None:
        rows = apply_lists(rows, config.split_lists, config.split or "split", tree, config.name)
    if not rows:
        raise UserError(f"{config.name}: items: nothing is left; compare the description with the files in {root}")
    absent = [row.path for row in rows if row.path not in tree]
    _refuse_absent(absent, len(rows), config.name, f"paths are below {root}")
    stems = [path for row in rows for path in _stem_files(row)]
    _refuse_absent([path for path in stems if path not in tree], len(stems), config.name, f"stems are below {root}")
    return _to_clips(config, rows, root, config.name)


def _stem_files(row: FileRow) -> list[str]:
    """Files of the row's stems, without `#channel=1` and the like."""
    values = [value for name, value in row.fields.items() if name.startswith(STEM)]
    return [path.partition("#")[0] for value in values for path in ([value] if isinstance(value, str) else value)]


def _tree(root: Path, where: str) -> Tree:
    if not root.is_dir():
        raise UserError(f"{where}: {root}: {'is no folder' if root.exists() else 'no such folder'}; mend the path")
    return Tree(root)


def _dropped(config: DatasetConfig, rows: list[FileRow]) -> list[FileRow]:
    """The rows without those that the description drops by path."""
    paths = {drop.path for drop in config.drop if drop.path is not None}
    patterns = [re.compile(drop.regex) for drop in config.drop if drop.regex is not None]
    return [row for row in rows if row.path not in paths and not any(p.search(row.path) for p in patterns)]


def _to_clips(config: DatasetConfig, rows: list[FileRow], root: Path, where: str) -> list[Clip]:
    rows = [_with_lists(_with_values(row, config.values), config.lists) for row in rows]
    if config.fields:
        rows = [with_fields(row, config.fields, f"{where}: fields") for row in rows]
    names = column_names([row.fields for row in rows])
    column = {key: _require(getattr(config, key), key, names, config, where) for key in _DEFAULTS}
    starts, ends = (_seconds(rows, column[key], where) for key in ("start", "end"))
    for row, start, end in zip(rows, starts, ends, strict=True):
        first, last = start or 0.0, math.inf if end is None else end
        if not 0 <= first < last:
            raise UserError(f"{where}: {row.path}: from {first:g} s to {last:g} s is no part of a file")
    dropped = {drop.id for drop in config.drop if drop.id is not None}
    clips, seen = [], set()
    for row, start, end in zip(rows, starts, ends, strict=True):
        own = row.fields.get(column["id"], "") if column["id"] else ""
        name = str(own) or (row.path if start is None else f"{row.path}@{start:g}")
        if name in dropped:
            continue
        if name in seen:
            mend = "set `id: null` to use the paths" if column["id"] else "name a column of unique ids as `id`"
            raise UserError(f"{where}: the id {name!r} is there twice; give each clip one row, or {mend}")
        seen.add(name)
        group, split = (_text(row.fields.get(column[key])) if column[key] else None for key in ("group", "split"))
        clips.append(Clip(name, root / row.path, start, end, row.fields, group, split))
    return sorted(clips, key=lambda clip: clip.id)


def _with_values(row: FileRow, values: Mapping[str, Mapping[str, str]]) -> FileRow:
    """The row with its texts exchanged."""
    found = {name: old for name in values if isinstance(old := row.fields.get(name), str)}
    return row.having({name: values[name].get(old, old) for name, old in found.items()}) if found else row


def _with_lists(row: FileRow, marks: Mapping[str, str]) -> FileRow:
    """The row with its lists taken apart."""
    parts = {
        name: [part.strip() for part in row.fields[name].split(mark) if part.strip()]
        for name, mark in marks.items()
        if isinstance(row.fields.get(name), str)
    }
    return row.having(parts) if parts else row


def _require(name: str | None, key: str, names: Sequence[str], config: DatasetConfig, where: str) -> str | None:
    """The column `name` if the data have it; None if they need not."""
    if name is None or name in names:
        return name
    if name == _DEFAULTS.get(key):
        return None
    raise UserError(f"{where}: has no column {name!r} ({config.name}: {key}); columns that it has: {', '.join(names)}")


def _text(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None


def _seconds(rows: list[FileRow], column: str | None, where: str) -> list[float | None]:
    if column is None:
        return [None] * len(rows)
    try:
        return [float(text) if (text := row.fields.get(column)) not in (None, "") else None for row in rows]
    except ValueError as error:
        raise UserError(f"{where}: column {column!r}: {error}; give seconds") from None


def _check_files(rows: list[FileRow], base: Path, where: str) -> None:
    """See that each file is there, with one listing a folder instead of one look a file."""
    listed: dict[PurePosixPath, set[str]] = {}
    absent = []
    for row in rows:
        path = PurePosixPath(row.path)
        if path.parent not in listed:
            real = base / path.parent
            listed[path.parent] = {entry.name for entry in real.iterdir()} if real.is_dir() else set()
        if path.name not in listed[path.parent]:
            absent.append(row.path or "(no path)")
    _refuse_absent(absent, len(rows), where, "paths are relative to the table")


def _refuse_absent(absent: list[str], total: int, where: str, hint: str) -> None:
    if absent:
        raise UserError(
            f"{where}: {len(absent)} of {total} files are not there (first: {', '.join(absent[:3])}); {hint}"
        )
