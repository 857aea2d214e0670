"""From a dataset's clips to a task's items: filtered, labelled, grouped, and shrunk where the profile says so."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.clips import STEM, Clip
from benchmark.engine.targets import Slot, class_values, read_targets
from benchmark.engine.trials import read_trials
from benchmark.errors import UserError
from benchmark.metrics.folds import downsample

_BINS = 10


@dataclass(frozen=True)
class TaskItems:
    """The clips of a task, sorted by id, with what is asked of them.

    Attributes:
        clips: n clips.
        labels: what the task asks, as `benchmark.engine.targets.Targets` says: (n,) int64 class or identity (multiclass,
            verification), (n, C) int64 of 0, 1 and -1 for unknown (multilabel), (n,) float64 (regression), (n, S) int64
            (slots), (n, C) int64 of 0 and 1 for what occurs (events).
        groups: group of each clip; the clip's own id where the data name none. Of a verification, the identity.
        classes: names of the classes or identities; none for regression and slots.
        parts: official part or fold of each clip, or None.
        kind: of the task.
        slots: the slots, of kind slots.
        events: of each clip its (m, 3) float64 start and end in seconds and class, of kind events.
        trials: (m, 3) int64 is it the same identity, first and second clip; None for all pairs of a test part.
    """

    clips: list[Clip]
    labels: np.ndarray
    groups: list[str]
    classes: list[str]
    parts: list[str | None]
    kind: str = "multiclass"
    slots: tuple[Slot, ...] = ()
    events: tuple[np.ndarray, ...] | None = None
    trials: np.ndarray | None = None

    @property
    def ids(self) -> list[str]:
        return [clip.id for clip in self.clips]

    @property
    def annotation(self) -> list:
        """Everything that the data say, for a content key."""
        said = [self.ids, self.labels.tolist(), self.groups, self.parts, self.classes]
        if self.slots:
            said.append([[slot.name, slot.classes] for slot in self.slots])
        if self.events is not None:
            said.append([events.tolist() for events in self.events])
        if self.trials is not None:
            said.append(self.trials.tolist())
        return said

    @property
    def strata(self) -> np.ndarray:
        """What every part of a fold has its share of: (n,) classes, or (n, C) of 0 and 1.

        Tenths of a regression's values; the values of each slot; nothing where identities are told apart, since each is
        in one part alone.
        """
        if self.kind == "regression":
            edges = np.unique(np.quantile(self.labels, np.linspace(0, 1, _BINS + 1)[1:-1]))
            return np.eye(len(edges) + 1, dtype=np.int64)[np.searchsorted(edges, self.labels, side="right")]
        if self.kind == "slots":
            columns = [
                np.eye(len(slot.classes), dtype=np.int64)[self.labels[:, s]] for s, slot in enumerate(self.slots)
            ]
            return np.concatenate(columns, axis=1)
        if self.kind == "verification":
            return np.zeros(len(self.labels), np.int64)
        return self.labels

    def take(self, indices: Sequence[int]) -> "TaskItems":
        """The items at `indices`, in that order."""
        indices = [int(i) for i in indices]
        place = np.full(len(self.clips), -1, np.int64)
        place[indices] = np.arange(len(indices))
        trials = self.trials
        if trials is not None:
            trials = np.column_stack([trials[:, 0], place[trials[:, 1:]]])
            trials = trials[(trials >= 0).all(1)]
        return replace(
            self,
            clips=[self.clips[i] for i in indices],
            labels=self.labels[indices],
            groups=[self.groups[i] for i in indices],
            parts=[self.parts[i] for i in indices],
            events=None if self.events is None else tuple(self.events[i] for i in indices),
            trials=trials,
        )


def task_items(
    task: TaskConfig, clips: Sequence[Clip], where: str, shrink: bool = False, folder: Path | None = None
) -> TaskItems:
    """The items of `task` among a dataset's `clips`.

    Args:
        where: the task's file, which opens the message of an error.
        shrink: whether to apply the task's `smoke` section.
        folder: the dataset's folder, below which a task's `trials` are.

    Raises:
        UserError: a field is not in the data, nothing is left, a class is missing, or a value is not what the kind asks for.
    """
    clips = sorted(clips, key=lambda clip: clip.id)
    fields = task.label if isinstance(task.label, list) else [task.label]
    if task.kind == "separation":
        fields = [f"{STEM}{source}" for source in task.sources]
    for name in [*fields, *task.filter, *([task.group] if task.group else []), *([task.split] if task.split else [])]:
        if clips and not any(name in clip.labels or name == "group" for clip in clips):
            known = ", ".join(sorted({key for clip in clips for key in clip.labels}))
            raise UserError(f"{where}: the data have no field {name!r}; fields that they have: {known}")
    clips = [clip for clip in clips if _passes(clip, task)]
    targets = read_targets(task, clips, where)
    if task.kind == "multiclass" and "chroma_accuracy" in task.metrics:
        try:
            class_values(targets.classes)
        except ValueError as error:
            raise UserError(f"{where}: metrics: chroma_accuracy: {error}; end each with its note by `map`") from None
    clips = [clips[i] for i in targets.kept]
    groups = [_group(clip, task) for clip in clips]
    if task.kind == "verification":
        groups = [targets.classes[i] for i in targets.labels]
    items = TaskItems(
        clips, targets.labels, groups, targets.classes, [_part(clip, task) for clip in clips], task.kind, targets.slots,
        targets.events, read_trials(task, [clip.id for clip in clips], targets.labels, where, folder),
    )  # fmt: skip
    if task.balance == "downsample_all":
        items = items.take(downsample(items.labels, items.ids, task.folds.seed).tolist())
    if shrink and task.smoke.max_clips is not None:
        items = items.take(_spread(items, task.smoke.max_clips))
    return items


def _passes(clip: Clip, task: TaskConfig) -> bool:
    return all(clip.labels.get(key) in ([v] if isinstance(v, str) else v) for key, v in task.filter.items())


def _part(clip: Clip, task: TaskConfig) -> str | None:
    value = clip.labels.get(task.split) if task.split else clip.split
    return None if value in (None, "") else str(value)


def _group(clip: Clip, task: TaskConfig) -> str:
    value = clip.labels.get(task.group) if task.group and task.group != "group" else clip.group
    return clip.id if value in (None, "") else str(value)


def _spread(items: TaskItems, count: int) -> list[int]:
    """At most `count` items: classes in turn, and in a class groups in turn, so that folds stay possible."""
    queues: list[list[int]] = []
    stratum = _one_stratum(items.strata)
    for c in np.unique(stratum):
        by_group: dict[str, list[int]] = defaultdict(list)
        for i in np.flatnonzero(stratum == c):
            by_group[items.groups[i]].append(int(i))
        rounds = max(map(len, by_group.values()))
        queues.append([group[r] for r in range(rounds) for group in by_group.values() if r < len(group)])
    chosen: list[int] = []
    for r in range(max(map(len, queues))):
        chosen += [queue[r] for queue in queues if r < len(queue)]
    return sorted(chosen[:count])


def _one_stratum(strata: np.ndarray) -> np.ndarray:
    """One class a clip: of several the rarest; clips without any are a class of their own."""
    if strata.ndim == 1:
        return strata
    here = strata > 0
    rarity = np.where(here, here.sum(0), len(here) + 1)
    return np.where(here.any(1), rarity.argmin(1), strata.shape[1])
