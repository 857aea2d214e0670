"""What a dataset says of its clips, as the numbers that a task of each kind asks for."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.clips import STEM, Clip
from benchmark.errors import UserError

# In the labels of kind multilabel: nobody knows whether the clip has the class.
UNKNOWN = -1

_MEANING = {"1": 1, "1.0": 1, "true": 1, "0": 0, "0.0": 0, "false": 0} | dict.fromkeys(
    ["", "?", "none", "nan", "-1"], UNKNOWN
)


@dataclass(frozen=True)
class Slot:
    """One of several questions that are asked at once."""

    name: str
    classes: list[str]


@dataclass(frozen=True)
class Targets:
    """What is asked of n clips.

    Attributes:
        kept: which of the clips have an answer, as indices.
        labels: of those. multiclass and verification: (n,) int64 class or identity. multilabel: (n, C) int64 of 0, 1 and
            `UNKNOWN`. regression: (n,) float64. slots: (n, S) int64. events: (n, C) int64 of 0 and 1, whether the class
            occurs. separation: (n,) int64 zeros.
        classes: names of the classes or identities; none for regression, slots and separation.
        slots: the slots.
        events: events: of each clip its (m, 3) float64 start and end in seconds and class, sorted.
    """

    kept: list[int]
    labels: np.ndarray
    classes: list[str]
    slots: tuple[Slot, ...] = ()
    events: tuple[np.ndarray, ...] | None = None


def read_targets(task: TaskConfig, clips: Sequence[Clip], where: str) -> Targets:
    """The targets of a task; clips whose field (separation: one of the stems) is missing or empty are left out.

    Raises:
        UserError: a value is not what the kind asks for, or a class is missing; opened by `where`, the task's file.
    """
    return _READERS[task.kind](task, clips, where)


def class_values(classes: Sequence[str]) -> np.ndarray:
    """The numbers that the names of classes end with, such as the pitch of `midi-60`: (C,) float64.

    Raises:
        ValueError: a name does not end with a number.
    """
    found = [re.search(r"\d+(\.\d+)?$", name) for name in classes]
    if None in found:
        raise ValueError(f"class {classes[found.index(None)]!r} does not end with a number")
    return np.array([float(match[0]) for match in found])


def _one_of_classes(task: TaskConfig, clips: Sequence[Clip], where: str) -> Targets:
    kept, names = [], []
    for i, clip in enumerate(clips):
        name = _name(task, clip, str(task.label), where)
        if name is None or (task.classes is not None and name not in task.classes):
            continue
        kept.append(i)
        names.append(name)
    _require_some(kept, where)
    classes = list(task.classes) if task.classes is not None else sorted(set(names))
    _require_classes(classes, set(names), where)
    return Targets(kept, _index(names, classes), classes)


def _some_of_classes(task: TaskConfig, clips: Sequence[Clip], where: str) -> Targets:
    kept, marks, absent = [], [], []
    for i, clip in enumerate(clips):
        value = _value(task, clip, where)
        if value is None:
            continue
        kept.append(i)
        # A list says all that there is to hear; a mapping, what is known.
        absent.append(UNKNOWN if isinstance(value, Mapping) else 0)
        if isinstance(value, Mapping):
            marks.append({_mapped(task, name): _mark(mark, task, clip, where) for name, mark in value.items()})
        else:
            names = value.split(";") if isinstance(value, str) else value
            marks.append({_mapped(task, name): 1 for name in names if str(name).strip()})
    _require_some(kept, where)
    classes = list(task.classes) if task.classes is not None else sorted({name for mark in marks for name in mark})
    _require_classes(classes, {name for mark in marks for name, state in mark.items() if state == 1}, where)
    labels = [[mark.get(name, rest) for name in classes] for mark, rest in zip(marks, absent, strict=True)]
    return Targets(kept, np.array(labels, np.int64), classes)


def _number(task: TaskConfig, clips: Sequence[Clip], where: str) -> Targets:
    kept, values = [], []
    for i, clip in enumerate(clips):
        text = _name(task, clip, str(task.label), where)
        if text is None:
            continue
        kept.append(i)
        values.append(_finite(text, "a number", task, clip, where))
    _require_some(kept, where)
    if len(set(values)) < 2:
        raise UserError(
            f"{where}: label: every clip has the value {values[0]:g}; a regression needs values that differ"
        )
    return Targets(kept, np.array(values, np.float64), [])


def _slots(task: TaskConfig, clips: Sequence[Clip], where: str) -> Targets:
    rows = [(i, [_name(task, clip, field, where) for field in task.label]) for i, clip in enumerate(clips)]
    kept = [(i, names) for i, names in rows if None not in names]
    _require_some(kept, where)
    slots = []
    for place, field in enumerate(task.label):
        classes = sorted({names[place] for _, names in kept})
        if len(classes) < 2:
            raise UserError(f"{where}: label: field {field!r} has only one value ({classes[0]!r}); take it out")
        slots.append(Slot(field, classes))
    columns = [_index([names[place] for _, names in kept], slot.classes) for place, slot in enumerate(slots)]
    return Targets([i for i, _ in kept], np.stack(columns, axis=1), [], tuple(slots))


def _events(task: TaskConfig, clips: Sequence[Clip], where: str) -> Targets:
    kept, found = [], []
    for i, clip in enumerate(clips):
        value = _value(task, clip, where)
        if value is None:
            continue
        kept.append(i)
        found.append(_event_list(value, task, clip, where))
    _require_some(kept, where)
    names = {name for of_clip in found for _, _, name in of_clip}
    classes = list(task.classes) if task.classes is not None else sorted(names)
    if not classes:
        raise UserError(f"{where}: label: no clip has an event; `leveret check --data` shows what the fields hold")
    _require_present(classes, names, where)
    index = {name: float(c) for c, name in enumerate(classes)}
    events = tuple(
        np.array(sorted([start, end, index[name]] for start, end, name in of_clip if name in index)).reshape(-1, 3)
        for of_clip in found
    )
    occurs = np.zeros((len(kept), len(classes)), np.int64)
    for row, of_clip in zip(occurs, events, strict=True):
        row[of_clip[:, 2].astype(np.int64)] = 1
    return Targets(kept, occurs, classes, events=events)


def _stems(task: TaskConfig, clips: Sequence[Clip], where: str) -> Targets:
    kept = [i for i, clip in enumerate(clips) if all(clip.labels.get(f"{STEM}{source}") for source in task.sources)]
    _require_some(kept, where)
    return Targets(kept, np.zeros(len(kept), np.int64), [])


def _event_list(value: Any, task: TaskConfig, clip: Clip, where: str) -> list[tuple[float, float, str]]:
    if not isinstance(value, list) or not all(isinstance(event, Mapping) for event in value):
        raise _wrong(value, "a list of {start, end, label}", task, clip, where)
    events = []
    for event in value:
        if not {"start", "end", "label"} <= set(event):
            raise _wrong(event, "an event with start, end and label", task, clip, where)
        start, end = (_finite(event[key], "a time in seconds", task, clip, where) for key in ("start", "end"))
        if not 0 <= start <= end:
            raise _wrong(event, "an event that begins at 0 s or later and ends after it begins", task, clip, where)
        events.append((start, end, _mapped(task, event["label"])))
    return events


_READERS: dict[str, Callable[[TaskConfig, Sequence[Clip], str], Targets]] = {
    "multiclass": _one_of_classes,
    "verification": _one_of_classes,
    "multilabel": _some_of_classes,
    "regression": _number,
    "slots": _slots,
    "events": _events,
    "separation": _stems,
}


def _name(task: TaskConfig, clip: Clip, field: str, where: str) -> str | None:
    """A field's value as the task calls it; None where the clip has none."""
    value = clip.labels.get(field)
    if isinstance(value, list | Mapping):
        raise _wrong(value, "one value (kind multilabel takes lists)", task, clip, where)
    return None if value is None or value == "" else _mapped(task, value)


def _mapped(task: TaskConfig, value: Any) -> str:
    text = str(value).strip()
    return task.map.get(text, text)


def _value(task: TaskConfig, clip: Clip, where: str) -> Any:
    """A list, a mapping or a text; cells of tables hold the former two as JSON. None where the clip has none."""
    value = clip.labels.get(str(task.label))
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise _wrong(value, f"JSON ({error.msg})", task, clip, where) from None
    return value


def _mark(value: Any, task: TaskConfig, clip: Clip, where: str) -> int:
    text = str(value).strip().lower()
    if text not in _MEANING:
        raise _wrong(value, "0, 1 or empty for unknown", task, clip, where)
    return _MEANING[text]


def _finite(value: Any, what: str, task: TaskConfig, clip: Clip, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise _wrong(value, what, task, clip, where)
    return number


def _wrong(value: Any, what: str, task: TaskConfig, clip: Clip, where: str) -> UserError:
    shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."
    return UserError(f"{where}: label: {task.label} of clip {clip.id!r} is {shown}, not {what}; mend the annotation")


def _index(names: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    place = {name: c for c, name in enumerate(classes)}
    return np.array([place[name] for name in names], np.int64)


def _require_some(kept: Sequence, where: str) -> None:
    if not kept:
        raise UserError(
            f"{where}: no clip is left after `filter` and `classes`; compare them with `leveret check --data`"
        )


def _require_classes(classes: Sequence[str], found: set[str], where: str) -> None:
    _require_present(classes, found, where)
    if len(classes) < 2:
        raise UserError(f"{where}: only one class ({classes[0]!r}); a task needs at least two")


def _require_present(classes: Sequence[str], found: set[str], where: str) -> None:
    missing = [name for name in classes if name not in found]
    if missing:
        known = ", ".join(sorted(found)) or "none"
        raise UserError(f"{where}: classes: no clip has the label {missing[0]!r}; labels in the data: {known}")
