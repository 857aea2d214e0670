"""One run: a task under an embedding and a probe, all folds, from the store to scores."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from benchmark.config.schema_probe import SOLVERS, ProbeSettings, solver_of
from benchmark.config.schema_task import SmoothingConfig, TaskConfig
from benchmark.datasets.clips import Clip
from benchmark.embeddings.base import pool
from benchmark.engine.items import TaskItems
from benchmark.engine.targets import class_values
from benchmark.metrics.classification import majority_rate
from benchmark.metrics.events import METRICS
from benchmark.metrics.folds import Split
from benchmark.metrics.intervals import bootstrap_interval, counts_interval
from benchmark.metrics.per_class import PerClass, of_confusion, of_events, of_labels, of_slots
from benchmark.metrics.registry import chance_level, mean_of_counts, query_precisions
from benchmark.metrics.scorer import Scorer
from benchmark.metrics.summary import summarise
from benchmark.probes.cosine import run_comparison
from benchmark.probes.data import FrameTable
from benchmark.probes.detect import Recording, run_detection
from benchmark.probes.run import ProbeResult, run_probe
from benchmark.probes.slots import run_slots
from benchmark.report.predictions import answers_table, events_table, lists_table, pairs_table
from benchmark.store.store import StoreView


@dataclass(frozen=True)
class RunInput:
    """What a run needs besides the frames.

    Attributes:
        items: n clips and what is asked of them.
        splits: parts of each fold, as indices into the items.
        pool: how frames become a clip vector.
        probe, settings: the probe and its settings.
        levels, metrics: what is scored, and by what; the first metric is the primary one.
        balance: of the training parts.
        smoothing: how frames become events, of kind events.
        control: whether shuffled labels are scored too.
        segments: clips of one class or identity that are asked together.
    """

    items: TaskItems
    splits: list[Split]
    pool: str
    probe: str
    settings: dict[str, Any]
    levels: tuple[str, ...]
    metrics: tuple[str, ...]
    balance: str
    smoothing: SmoothingConfig | None
    control: bool
    seed: int
    segments: int = 1

    @property
    def ids(self) -> list[str]:
        return self.items.ids

    @property
    def values(self) -> np.ndarray | None:
        """The numbers that classes stand for, where a metric asks for them."""
        is_asked = self.items.kind == "multiclass" and "chroma_accuracy" in self.metrics
        return class_values(self.items.classes) if is_asked else None


@dataclass(frozen=True)
class RunOutput:
    """The scored fields of a run's record, the clips that had no frames, and what was answered for the others."""

    fields: dict[str, Any]
    used: int
    answers: pa.Table
    header: dict[str, Any]
    lost: dict[str, str] = field(default_factory=dict)


def run_input(
    task: TaskConfig,
    items: TaskItems,
    splits: list[Split],
    pool: str,
    probe: str,
    settings: Mapping[str, Any],
    seed: int,
) -> RunInput:
    """What a task asks of a probe."""
    settings = dict(settings)
    segments = settings.pop("segments", 1)
    return RunInput(
        # Other processes need the clips' names alone.
        items=replace(items, clips=[Clip(clip.id, clip.path) for clip in items.clips]),
        splits=splits,
        pool=pool,
        probe=probe,
        settings=settings,
        levels=tuple(task.levels),
        metrics=tuple(task.metrics),
        # `downsample_all` has taken place when the items were chosen.
        balance="none" if task.balance == "downsample_all" else task.balance,
        smoothing=task.smoothing,
        control=task.control,
        seed=seed,
        segments=segments,
    )


def score_run(view: StoreView, run: RunInput) -> RunOutput:
    """Probe the clips of `run` that have frames; folds stay those of all clips."""
    ids, here = run.ids, set(view.clip_ids)
    kept = [i for i, clip in enumerate(ids) if clip in here]
    lost = {clip: view.lost.get(clip, "not in the store") for clip in ids if clip not in here}
    frames, times = zip(*(view.frames(ids[i]) for i in kept), strict=True)
    vectors = np.stack([pool(np.asarray(clip, np.float32), run.pool) for clip in frames])
    items = run.items.take(kept)
    splits = [_renumber(split, kept, len(ids)) for split in run.splits]
    data = _Data(FrameTable.from_clips(list(frames), vectors), list(times), items, splits)
    if run.segments > 1 and items.kind == "multiclass":
        data = _together(vectors, items, splits, run.segments, run.seed)
        items, splits = data.items, data.splits
    asked = _ASK[_sort(items.kind, run.probe)]
    result, detail = asked(data, run, False)
    shuffled = asked(data, run, True)[0] if run.control else None
    null = shuffled.null if shuffled else {}
    scores = _scores(result)
    for name, interval in detail.intervals.items():
        scores["file"][name]["interval"] = interval
    fields = {
        "scores": scores,
        "shuffled": _scores(shuffled) if shuffled else None,
        "null": {level: asdict(found) for level, found in null.items()} or None,
        "chance": _chance(run, items, splits),
        "majority": majority_rate(items.labels, splits) if _has_majority(run, items) else None,
        "confusion": {level: matrix.tolist() for level, matrix in result.confusion.items()},
        "per_class": detail.per_class or None,
        "folds": [asdict(fold) for fold in result.folds],
    }
    header = {
        "kind": _sort(items.kind, run.probe),
        "metrics": list(run.metrics),
        "classes": items.classes,
        "slots": [[slot.name, slot.classes] for slot in items.slots],
        "values": None if run.values is None else run.values.tolist(),
    }
    return RunOutput(fields, len(kept), detail.answers, header, lost)


@dataclass(frozen=True)
class _Data:
    """The clips that have frames."""

    table: FrameTable
    times: list[np.ndarray]
    items: TaskItems
    splits: list[Split]


def _together(vectors: np.ndarray, items: TaskItems, splits: Sequence[Split], segments: int, seed: int) -> _Data:
    """The clips, and behind them those of each test part once more, each as the mean of itself and others of its class."""
    asked, means, parts = [], [], []
    for fold, split in enumerate(splits):
        rng = np.random.default_rng([seed, 4, fold])
        labels = items.labels[split.test]
        for clip, label in zip(split.test, labels, strict=True):
            others = rng.permutation(split.test[(labels == label) & (split.test != clip)])[: segments - 1]
            means.append(vectors[[clip, *others]].mean(axis=0, dtype=np.float64).astype(np.float32))
        first = len(vectors) + len(asked)
        parts.append(Split(split.train, split.valid, np.arange(first, first + len(split.test))))
        asked += split.test.tolist()
    table = FrameTable(None, vectors=np.concatenate([vectors, np.stack(means)]))
    return _Data(table, [], items.take([*range(len(vectors)), *asked]), parts)


@dataclass(frozen=True)
class _Detail:
    """What is kept of a run besides its scores."""

    answers: pa.Table
    intervals: dict[str, tuple[float, float] | None]
    per_class: dict[str, PerClass] = field(default_factory=dict)


def _sort(kind: str, probe: str) -> str:
    """How a task of a kind is asked with a probe."""
    return "retrieval" if kind == "multiclass" and solver_of(probe) == "cosine" else kind


def _settings(run: RunInput) -> ProbeSettings:
    return SOLVERS[solver_of(run.probe)](**run.settings)


def _classify(data: _Data, run: RunInput, shuffle: bool) -> tuple[ProbeResult, _Detail]:
    items = data.items
    result = run_probe(
        data.table, items.labels, data.splits, run.probe, _settings(run), run.levels, run.metrics,
        kind=items.kind, n_classes=len(items.classes), values=run.values, groups=items.groups, ids=items.ids,
        seed=run.seed, balance=run.balance, shuffle_labels=shuffle,
    )  # fmt: skip
    per_class = {level: of_confusion(matrix, items.classes) for level, matrix in result.confusion.items()}
    if items.kind == "multilabel":
        per_class = {level: of_labels(folds, items.labels, items.classes) for level, folds in result.answers.items()}
    return result, _detail(result, items, run, per_class)


def _fill_slots(data: _Data, run: RunInput, shuffle: bool) -> tuple[ProbeResult, _Detail]:
    items, names = data.items, [slot.name for slot in data.items.slots]
    result = run_slots(
        data.table, items.labels, data.splits, run.probe, _settings(run), run.metrics, names,
        groups=items.groups, seed=run.seed, shuffle_labels=shuffle,
    )  # fmt: skip
    return result, _detail(result, items, run, {"file": of_slots(result.answers["file"], items.labels, names)})


def _detail(result: ProbeResult, items: TaskItems, run: RunInput, per_class: dict[str, PerClass]) -> _Detail:
    """Answers of items, and the 95 % intervals of files; those of frames are not known."""
    given, group = result.predictions, np.array([str(name) for name in items.groups])
    scorer, intervals = Scorer(items.kind, run.values), {}
    for name in run.metrics if "file" in run.levels else ():
        truth, answers = scorer.seen_by(name, items.labels[given.clip], given.posterior)
        intervals[name] = bootstrap_interval(name, truth, answers, given.fold, group[given.clip], run.seed)
    return _Detail(answers_table(items.ids, items.labels, result.answers), intervals, per_class)


def _detect(data: _Data, run: RunInput, shuffle: bool) -> tuple[ProbeResult, _Detail]:
    items = data.items
    recordings = [Recording(*pair) for pair in zip(data.times, items.events, strict=True)]
    result, found = run_detection(
        data.table, recordings, data.splits, run.probe, _settings(run), run.metrics, len(items.classes), run.smoothing,
        seed=run.seed, shuffle_labels=shuffle,
    )  # fmt: skip
    clips = [clip for fold in found for clip in fold.answers]
    clip, number = (
        np.concatenate([fold.clip for fold in found]),
        np.repeat(np.arange(len(found)), [len(fold.clip) for fold in found]),
    )
    group = np.array([str(name) for name in items.groups])[clip]
    intervals = {
        name: counts_interval(
            np.array([METRICS[name].counts(answer) for answer in clips]), METRICS[name].score, number, group, run.seed
        )
        for name in run.metrics
    }
    per_class = {"file": of_events(run.metrics[0], METRICS[run.metrics[0]], clips, items.classes)}
    table = events_table(items.ids, [(fold.clip, fold.answers) for fold in found], items.classes)
    return result, _Detail(table, intervals, per_class)


def _compare(data: _Data, run: RunInput, shuffle: bool) -> tuple[ProbeResult, _Detail]:
    items = data.items
    result, found = run_comparison(
        data.table.vectors, items.labels, data.splits, _settings(run), run.metrics, items.trials,
        seed=run.seed, shuffle_labels=shuffle, segments=run.segments if items.kind == "verification" else 1,
    )  # fmt: skip
    if items.kind == "verification":
        # Pairs share clips, so that drawing clips would draw pairs askew: no interval.
        pairs = [(fold.clip, fold.other, fold.same, fold.score) for fold in found]
        return result, _Detail(pairs_table(items.ids, pairs), {})
    table = lists_table(items.ids, items.labels, [(fold.clip, fold.other) for fold in found])
    group = np.array([str(name) for name in items.groups])
    asking = np.concatenate([fold.clip for fold in found])
    number = np.repeat(np.arange(len(found)), [len(fold.clip) for fold in found])
    intervals = {}
    for name in run.metrics:
        each = np.concatenate([query_precisions(name, items.labels, fold.clip, fold.other) for fold in found])
        counts = np.stack([np.nan_to_num(each), np.isfinite(each)], axis=1)
        intervals[name] = counts_interval(counts, mean_of_counts, number, group[asking], run.seed)
    return result, _Detail(table, intervals)


_ASK: dict[str, Callable[[_Data, RunInput, bool], tuple[ProbeResult, _Detail]]] = {
    "multiclass": _classify, "multilabel": _classify, "regression": _classify, "slots": _fill_slots, "events": _detect,
    "verification": _compare, "retrieval": _compare,
}  # fmt: skip


def _chance(run: RunInput, items: TaskItems, splits: list[Split]) -> float | None:
    metric, labels = run.metrics[0], items.labels
    if run.values is not None and metric == "chroma_accuracy":
        labels = run.values[labels]
    combinations = math.prod(len(slot.classes) for slot in items.slots) if items.slots else len(items.classes)
    return chance_level(metric, labels, splits, combinations)


def _has_majority(run: RunInput, items: TaskItems) -> bool:
    return items.kind == "multiclass" and run.metrics[0] == "accuracy"


def _scores(result: ProbeResult) -> dict[str, dict[str, dict[str, Any]]]:
    """Level -> metric -> scores of the folds with mean and spread; a score without meaning is null."""
    scored: dict[str, dict[str, dict[str, Any]]] = {}
    for level, metrics in result.scores.items():
        scored[level] = {}
        for name, folds in metrics.items():
            summary = summarise(folds)
            values = [float(value) if np.isfinite(value) else None for value in folds]
            scored[level][name] = {"folds": values, "mean": summary.mean, "std": summary.std}
    return scored


def _renumber(split: Split, kept: Sequence[int], n: int) -> Split:
    """The split as indices into the kept clips alone."""
    position = np.full(n, -1, np.int64)
    position[list(kept)] = np.arange(len(kept))

    def part(indices: np.ndarray) -> np.ndarray:
        return position[indices][position[indices] >= 0]

    return Split(part(split.train), part(split.valid), part(split.test))
