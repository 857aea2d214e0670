"""From a dataset's clips to a task's items: filtered, labelled, grouped, and shrunk where the profile says so."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.clips import Clip
from benchmark.errors import UserError


@dataclass(frozen=True)
class TaskItems:
    """The clips of a task, sorted by id, with what is asked of them.

    Attributes:
        clips: n clips.
        labels: (n,) int64, index of each clip's class.
        groups: group of each clip; the clip's own id where the data name none.
        classes: names of the classes.
        parts: official part or fold of each clip, or None.
    """

    clips: list[Clip]
    labels: np.ndarray
    groups: list[str]
    classes: list[str]
    parts: list[str | None]

    @property
    def ids(self) -> list[str]:
        return [clip.id for clip in self.clips]

    def take(self, indices: Sequence[int]) -> "TaskItems":
        """The items at `indices`."""
        return TaskItems(
            [self.clips[i] for i in indices],
            self.labels[list(indices)],
            [self.groups[i] for i in indices],
            self.classes,
            [self.parts[i] for i in indices],
        )


def task_items(task: TaskConfig, clips: Sequence[Clip], where: str, shrink: bool = False) -> TaskItems:
    """The items of `task` among a dataset's `clips`.

    Args:
        where: the task's file, which opens the message of an error.
        shrink: whether to apply the task's `smoke` section.

    Raises:
        UserError: a field is not in the data, nothing is left, or a class is missing.
    """
    clips = sorted(clips, key=lambda clip: clip.id)
    for name in [task.label, *task.filter, *([task.group] if task.group else [])]:
        if clips and not any(name in clip.labels or name == "group" for clip in clips):
            known = ", ".join(sorted({key for clip in clips for key in clip.labels}))
            raise UserError(f"{where}: the data have no field {name!r}; fields that they have: {known}")
    kept, names = [], []
    for clip in clips:
        if not all(clip.labels.get(key) in ([v] if isinstance(v, str) else v) for key, v in task.filter.items()):
            continue
        value = clip.labels.get(task.label)
        if value is None or value == "":
            continue
        name = task.map.get(str(value), str(value))
        if task.classes is not None and name not in task.classes:
            continue
        kept.append(clip)
        names.append(name)
    if not kept:
        raise UserError(
            f"{where}: no clip is left after `filter` and `classes`; compare them with `leveret check --data`"
        )
    classes = list(task.classes) if task.classes is not None else sorted(set(names))
    missing = [name for name in classes if name not in set(names)]
    if missing:
        raise UserError(
            f"{where}: classes: no clip has the label {missing[0]!r}; labels in the data: {', '.join(sorted(set(names)))}"
        )
    if len(classes) < 2:
        raise UserError(f"{where}: only one class ({classes[0]!r}); a task needs at least two")
    index = {name: i for i, name in enumerate(classes)}
    items = TaskItems(
        kept,
        np.array([index[name] for name in names], np.int64),
        [_group(clip, task) for clip in kept],
        classes,
        [clip.split or None for clip in kept],
    )
    if task.balance == "downsample_all":
        items = items.take(
            _level(items.labels, Counter(names)[min(Counter(names), key=Counter(names).get)], task.folds.seed)
        )
    if shrink and task.smoke.max_clips is not None:
        items = items.take(_spread(items, task.smoke.max_clips))
    return items


def _group(clip: Clip, task: TaskConfig) -> str:
    value = clip.labels.get(task.group) if task.group and task.group != "group" else clip.group
    return clip.id if value in (None, "") else str(value)


def _level(labels: np.ndarray, count: int, seed: int) -> list[int]:
    """`count` items of each class, drawn at random."""
    rng = np.random.default_rng(seed)
    return sorted(int(i) for c in np.unique(labels) for i in rng.permutation(np.flatnonzero(labels == c))[:count])


def _spread(items: TaskItems, count: int) -> list[int]:
    """At most `count` items: classes in turn, and in a class groups in turn, so that folds stay possible."""
    queues: dict[int, list[int]] = {}
    for c in range(len(items.classes)):
        by_group: dict[str, list[int]] = defaultdict(list)
        for i in np.flatnonzero(items.labels == c):
            by_group[items.groups[i]].append(int(i))
        rounds = max(map(len, by_group.values()))
        queues[c] = [group[r] for r in range(rounds) for group in by_group.values() if r < len(group)]
    chosen: list[int] = []
    for r in range(max(map(len, queues.values()))):
        chosen += [queue[r] for queue in queues.values() if r < len(queue)]
    return sorted(chosen[:count])
