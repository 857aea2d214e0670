"""One run: a task under an embedding and a probe, all folds, from the store to scores."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from benchmark.config.schema_probe import SOLVERS, solver_of
from benchmark.config.schema_task import TaskConfig
from benchmark.embeddings.base import pool
from benchmark.engine.items import TaskItems
from benchmark.metrics.classification import majority_rate
from benchmark.metrics.folds import Split
from benchmark.metrics.intervals import bootstrap_interval
from benchmark.metrics.registry import chance_level
from benchmark.metrics.summary import summarise
from benchmark.probes.data import FrameTable
from benchmark.probes.run import ProbeResult, run_probe
from benchmark.store.store import StoreView


@dataclass(frozen=True)
class RunInput:
    """What a run needs besides the frames.

    Attributes:
        ids: n clips' ids.
        labels: (n,) int64 classes.
        groups: group of each clip.
        splits: parts of each fold, as indices into `ids`.
        classes: names of the classes.
        pool: how frames become a clip vector.
        probe, settings: the probe and its settings.
        levels, metrics: what is scored, and by what; the first metric is the primary one.
        balance: of the training parts.
        control: whether shuffled labels are scored too.
    """

    ids: list[str]
    labels: np.ndarray
    groups: list[str]
    splits: list[Split]
    classes: list[str]
    pool: str
    probe: str
    settings: dict[str, Any]
    levels: tuple[str, ...]
    metrics: tuple[str, ...]
    balance: str
    control: bool
    seed: int


@dataclass(frozen=True)
class RunOutput:
    """The scored fields of a run's record, and the clips that had no frames."""

    fields: dict[str, Any]
    used: int
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
    return RunInput(
        ids=items.ids,
        labels=items.labels,
        groups=items.groups,
        splits=splits,
        classes=items.classes,
        pool=pool,
        probe=probe,
        settings=dict(settings),
        levels=tuple(task.levels),
        metrics=tuple(task.metrics),
        # `downsample_all` has taken place when the items were chosen.
        balance="none" if task.balance == "downsample_all" else task.balance,
        control=task.control,
        seed=seed,
    )


def score_run(view: StoreView, run: RunInput) -> RunOutput:
    """Probe the clips of `run` that have frames; folds stay those of all clips."""
    here = set(view.clip_ids)
    kept = [i for i, clip in enumerate(run.ids) if clip in here]
    lost = {clip: view.lost.get(clip, "not in the store") for clip in run.ids if clip not in here}
    frames = [view.frames(run.ids[i])[0] for i in kept]
    table = FrameTable.from_clips(frames, np.stack([pool(np.asarray(clip, np.float32), run.pool) for clip in frames]))
    splits = [_renumber(split, kept, len(run.ids)) for split in run.splits]
    labels = run.labels[kept]

    def probe(shuffle: bool) -> ProbeResult:
        return run_probe(
            table,
            labels,
            splits,
            run.probe,
            SOLVERS[solver_of(run.probe)](**run.settings),
            run.levels,
            run.metrics,
            n_classes=len(run.classes),
            groups=None if shuffle else [run.groups[i] for i in kept],
            ids=[run.ids[i] for i in kept],
            seed=run.seed,
            balance=run.balance,
            shuffle_labels=shuffle,
        )

    result = probe(False)
    shuffled = probe(True) if run.control else None
    fields = {
        "scores": _with_intervals(_scores(result), result, labels, [run.groups[i] for i in kept], run.seed),
        "shuffled": _scores(shuffled) if shuffled else None,
        "chance": chance_level(run.metrics[0], labels, splits, len(run.classes)),
        "majority": majority_rate(labels, splits) if run.metrics[0] == "accuracy" else None,
        "confusion": {level: matrix.tolist() for level, matrix in result.confusion.items()},
        "folds": [asdict(fold) for fold in result.folds],
    }
    return RunOutput(fields, len(kept), lost)


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


def _with_intervals(
    scores: dict[str, dict[str, dict[str, Any]]], result: ProbeResult, labels: np.ndarray, groups: Sequence, seed: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """The scores with the 95 % intervals of files; of frames no answers are kept."""
    answers = result.predictions
    group = np.array([str(name) for name in groups])[answers.clip]
    for name, score in scores.get("file", {}).items():
        ends = bootstrap_interval(name, labels[answers.clip], answers.posterior, answers.fold, group, seed)
        score["interval"] = None if score["mean"] is None else ends
    return scores


def _renumber(split: Split, kept: Sequence[int], n: int) -> Split:
    """The split as indices into the kept clips alone."""
    position = np.full(n, -1, np.int64)
    position[list(kept)] = np.arange(len(kept))

    def part(indices: np.ndarray) -> np.ndarray:
        return position[indices][position[indices] >= 0]

    return Split(part(split.train), part(split.valid), part(split.test))
