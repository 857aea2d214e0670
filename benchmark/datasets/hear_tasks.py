"""Tasks in the format of HEAR 2021 (Turian et al., NeurIPS 2021): what hear-preprocess writes, and its archives hold.

A folder has `task_metadata.json`, the sounds as `<rate>/<part>/<file>`, and for each part (train, valid, test, or
fold00 and so on) a `<part>.json`: file -> list of labels, or of events with start and end in milliseconds.
"""

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from benchmark.datasets.tree import Tree
from benchmark.errors import UserError

METADATA = "task_metadata.json"
_PART = re.compile(r"train|valid|test|fold\d+")


def hear_clips(glob: str, tree: Tree, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and fields `label`, `split` and `task` of each clip, at the highest sample rate that is there.

    `label` is text for a multiclass task, a list of texts for a multilabel one, and for events a list of start and end
    in seconds and label.

    Args:
        glob: folders that hold task_metadata.json, below the tree; `**` for wherever they are. A tree that is such a
            folder itself is taken as it is.

    Raises:
        UserError: there is no such folder, or what it holds is not HEAR's.
    """
    glob = METADATA if METADATA in tree or glob == "." else f"{glob.strip('/')}/{METADATA}"
    found = tree.match([glob], sounds=False)
    if not found:
        raise UserError(f"{where}: no {METADATA} at {glob} below {tree.root}; mend `hear`")
    for file in found:
        yield from _task_clips(PurePosixPath(file).parent, tree, where)


def _task_clips(folder: PurePosixPath, tree: Tree, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    about = _json(folder / METADATA, tree, where)
    multiclass = about.get("prediction_type") == "multiclass"
    events = about.get("embedding_type") == "event"
    rate = _highest_rate(folder, tree, where)
    parts = [name for file in tree.files if (name := _part(file, folder)) is not None]
    if not parts:
        raise UserError(f"{where}: {folder}: has no train.json or fold00.json; is it whole?")
    for part in parts:
        for name, entries in _json(folder / f"{part}.json", tree, where).items():
            if not isinstance(entries, list):
                raise UserError(f"{where}: {folder}/{part}.json: {name!r} has no list of labels; is it HEAR's?")
            label = [_event(entry, f"{where}: {folder}/{part}.json") for entry in entries] if events else entries
            if multiclass and not events:
                if len(entries) != 1:
                    raise UserError(f"{where}: {folder}/{part}.json: {name!r} has {len(entries)} labels instead of one")
                label = str(entries[0])
            yield str(folder / rate / part / name), {"label": label, "split": part, "task": about.get("task_name", "")}


def _part(file: str, folder: PurePosixPath) -> str | None:
    path = PurePosixPath(file)
    return path.stem if path.parent == folder and path.suffix == ".json" and _PART.fullmatch(path.stem) else None


def _highest_rate(folder: PurePosixPath, tree: Tree, where: str) -> str:
    prefix = "" if str(folder) == "." else f"{folder}/"
    rates = {top for file in tree.sounds if file.startswith(prefix) and (top := _top(file, prefix)).isdigit()}
    if not rates:
        raise UserError(f"{where}: {tree.root / folder}: has no folder of sounds named by its rate, such as 48000")
    return max(rates, key=int)


def _top(file: str, prefix: str) -> str:
    return file[len(prefix) :].partition("/")[0]


def _event(entry: Any, where: str) -> dict[str, Any]:
    try:
        return {"start": entry["start"] / 1000, "end": entry["end"] / 1000, "label": str(entry["label"])}
    except (TypeError, KeyError):
        raise UserError(f"{where}: {entry!r} is no event with start, end and label") from None


def _json(path: PurePosixPath, tree: Tree, where: str) -> dict[str, Any]:
    try:
        data = json.loads((tree.root / path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{where}: {path}: cannot be read as JSON ({error})") from None
    if not isinstance(data, dict):
        raise UserError(f"{where}: {path}: holds no object; is it HEAR's?")
    return data
