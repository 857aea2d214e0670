"""Probe one table of features: train on all folds, choose on validation, score once on test."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch

from benchmark.config.schema_probe import ProbeSettings
from benchmark.metrics.classification import confusion_matrix, predict
from benchmark.metrics.folds import Split, downsample
from benchmark.metrics.registry import METRICS
from benchmark.metrics.scorer import Scorer
from benchmark.probes.control import Null, Shuffle, null_accuracy, shuffle
from benchmark.probes.data import FrameTable
from benchmark.probes.registry import Fit, Question, default_settings, solver

_ROWS = 65536

Balance = Literal["none", "downsample", "class_weight"]
Level = Literal["file", "frame"]
Kind = Literal["multiclass", "multilabel", "regression"]


@dataclass(frozen=True)
class FoldReport:
    """Clips in each part of a fold after balancing, and what its validation part chose."""

    train: int
    valid: int
    test: int
    chosen: dict[str, Any]


@dataclass(frozen=True)
class Predictions:
    """Posteriors of the test clips of all folds, to be rescored later.

    Attributes:
        clip: (m,) int64 clip indices.
        fold: (m,) int64.
        posterior: (m, C) float64, of frames the mean.
    """

    clip: np.ndarray
    fold: np.ndarray
    posterior: np.ndarray


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found.

    Attributes:
        scores: level -> metric -> score of each fold, on its test part.
        confusion: level -> (C, C) int64, true by predicted class, summed over folds (multiclass).
        folds: Sizes and choices of each fold.
        predictions: Posteriors of test clips, of several draws the mean; None where answers are no posteriors.
        null: level -> accuracy that the control is expected to reach (only of shuffled labels, multiclass).
        answers: level -> of each fold the clip (m,) of each item and its answer, (m, C) or (D, m, C) of D draws.
    """

    scores: dict[str, dict[str, list[float]]]
    confusion: dict[str, np.ndarray]
    folds: list[FoldReport]
    predictions: Predictions | None
    null: dict[str, Null] = field(default_factory=dict)
    answers: dict[str, list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Items:
    """What is classified: frames or clip vectors (m, F), or clips as sequences of frames (m, T, F); sorted by clip.

    Attributes:
        features: As above; frames of NaN fill up sequences.
        clip: (m,) int64, the clip of each.
    """

    features: torch.Tensor
    clip: np.ndarray

    def of(self, clips: np.ndarray) -> np.ndarray:
        """Find the items of some clips, as sorted int64 indices."""
        wanted = np.zeros(1 + max(np.max(part, initial=-1) for part in (clips, self.clip)), bool)
        wanted[clips] = True
        return np.flatnonzero(wanted[self.clip])

    def split(self, split: Split) -> Split:
        """The split of clips as one of items."""
        return Split(self.of(split.train), self.of(split.valid), self.of(split.test))


def run_probe(
    table: FrameTable,
    labels: np.ndarray,
    splits: Sequence[Split],
    probe: str = "logistic",
    settings: ProbeSettings | None = None,
    levels: Sequence[Level] = ("file",),
    metrics: Sequence[str] = ("accuracy",),
    *,
    kind: Kind | None = None,
    n_classes: int | None = None,
    values: np.ndarray | None = None,
    groups: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    seed: int = 0,
    balance: Balance = "none",
    shuffle_labels: bool = False,
    device: str = "cpu",
) -> ProbeResult:
    """Train, choose and score a probe on every fold.

    A probe learns from clip vectors if `levels` is only `file` and the table has vectors, otherwise from frames; some,
    like the perceptron of Kehling & Cano, always learn from frames if there are any. A file's posterior is the mean of
    its frames'. Hyper-parameters and epochs are chosen for each fold on its own validation part, item by item, by the
    first metric unless the probe's protocol says otherwise.

    Args:
        table: Features.
        labels: (n_clips,) int classes; (n_clips, C) of 0, 1, and -1 where unknown (multilabel); (n_clips,) float64
            (regression).
        splits: Folds over clips.
        probe: Name of a solver or protocol.
        settings: Its settings; the solver's defaults if None.
        levels: What is scored.
        metrics: Names in `METRICS`; the first is the primary one.
        kind: What the labels are; multilabel or multiclass by their shape.
        n_classes: C; the largest label + 1 by default.
        values: (C,) the number that each class stands for, for metrics of numbers.
        groups: n_clips groups, for the control.
        ids: n_clips ids, on which random down-sampling depends; the clip's number by default.
        seed: Of everything random.
        balance: `downsample`: training parts hold as many clips of each class; `class_weight`: weights do it instead.
        shuffle_labels: Run the control: permuted labels, see `benchmark.probes.control`.
        device: Where torch runs.

    Raises:
        ValueError: Arguments do not fit together, or features are not finite.
    """
    labels = np.asarray(labels)
    kind = kind or ("multilabel" if labels.ndim == 2 else "multiclass")
    if len(labels) != table.n_clips:
        raise ValueError(f"{len(labels)} labels for {table.n_clips} clips")
    for name in metrics:
        if name not in METRICS or kind not in METRICS[name].kinds:
            raise ValueError(f"{name!r} is not a metric of {kind} tasks")
    if kind == "multiclass":
        n_classes = n_classes or int(labels.max()) + 1
        if n_classes < 2:
            raise ValueError("a probe needs two classes or more")
    else:
        n_classes = labels.shape[1] if kind == "multilabel" else 1
    shuffled = shuffle(labels, splits, groups, seed) if shuffle_labels else None
    labels = labels if shuffled is None else shuffled.labels
    splits = _balance(labels, splits, ids or range(len(labels)), seed, balance)
    scorer = Scorer(kind, values)
    items, posteriors, reports = answer(
        table, labels, splits, probe, settings, "frame" in levels, metrics[0], scorer, n_classes, seed, balance, device
    )
    return _score(posteriors, items, splits, labels, levels, metrics, n_classes, reports, shuffled, scorer)


def answer(
    table: FrameTable,
    labels: np.ndarray,
    splits: Sequence[Split],
    probe: str,
    settings: ProbeSettings | None,
    of_frames: bool,
    metric: str,
    scorer: Scorer,
    n_classes: int,
    seed: int,
    balance: Balance = "none",
    device: str = "cpu",
) -> tuple["Items", list[np.ndarray], list[FoldReport]]:
    """Train a probe on every fold, choose on validation by `metric`, and answer the test items.

    Returns:
        The items; of each fold the answers (m, C), or (D, m, C) of D draws, of its test items; a report a fold.
    """
    solve, defaults = solver(probe), default_settings(probe)
    settings = settings or defaults
    if not isinstance(settings, type(defaults)):
        raise ValueError(f"{type(settings).__name__} are not the settings of probe {probe!r}")
    settings = settings.model_copy(update={"class_weight": settings.class_weight or balance == "class_weight"})
    if settings.of_sequences:
        if of_frames or not table.has_frames:
            raise ValueError("attention pools the frames of a clip: give it frames, and score files alone")
        items = _sequences(table, splits, min(settings.max_frames_per_clip or settings.attended, settings.attended))
    else:
        use_frames = table.has_frames and (settings.of_frames or of_frames or table.vectors is None)
        if of_frames and not use_frames:
            raise ValueError("frames cannot be scored: the table has none")
        items = _items(table, splits, use_frames, settings.max_frames_per_clip)
    items = replace(items, features=items.features.to(device))
    item_labels, item_splits = labels[items.clip], [items.split(split) for split in splits]
    question = Question(
        scorer.kind, item_labels, item_splits, n_classes, selection(metric, item_labels, item_splits, scorer),
        items.clip, seed,
    )  # fmt: skip
    fit = solve(items.features, question, settings)
    posteriors = [_answer(fit, fold, items.features, split.test) for fold, split in enumerate(item_splits)]
    reports = [
        FoldReport(len(split.train), len(split.valid), len(split.test), choice)
        for split, choice in zip(splits, fit.choices(), strict=True)
    ]
    return items, posteriors, reports


def _answer(fit: Fit, fold: int, features: torch.Tensor, rows: np.ndarray) -> np.ndarray:
    """Posteriors of some rows, which are copied in blocks."""
    blocks = torch.from_numpy(rows).to(features.device).split(_ROWS)
    return np.concatenate([fit.posterior(fold, features.index_select(0, some)) for some in blocks], axis=-2)


def _balance(labels: np.ndarray, splits: Sequence[Split], ids: Sequence, seed: int, balance: Balance) -> list[Split]:
    if balance not in ("none", "downsample", "class_weight"):
        raise ValueError(f"balance {balance!r} is not none, downsample or class_weight")
    if balance != "downsample":
        return list(splits)
    if labels.ndim == 2:
        raise ValueError("multilabel clips cannot be balanced by down-sampling")
    return [replace(split, train=downsample(labels, ids, seed, split.train)) for split in splits]


def _items(table: FrameTable, splits: Sequence[Split], use_frames: bool, max_frames: int | None) -> Items:
    used = _used(splits)
    if not use_frames:
        return Items(table.clip_vectors(used), used)
    rows, position = table.rows(used, max_frames)
    return Items(table.frames(rows), used[position])


def _sequences(table: FrameTable, splits: Sequence[Split], max_frames: int) -> Items:
    used = _used(splits)
    rows, position = table.rows(used, max_frames)
    counts = np.bincount(position)
    features = torch.full((len(used), int(counts.max()), table.dim), torch.nan)
    features[torch.arange(features.shape[1]) < torch.from_numpy(counts)[:, None]] = table.frames(rows)
    return Items(features, used)


def _used(splits: Sequence[Split]) -> np.ndarray:
    """The clips of any part."""
    return np.unique(np.concatenate([part for split in splits for part in (split.train, split.valid, split.test)]))


def selection(metric: str, labels: np.ndarray, splits: Sequence[Split], scorer: Scorer):
    """Score the validation items of a fold by a metric, the higher the better."""
    sign = 1.0 if METRICS[metric].higher_is_better else -1.0

    def score(fold: int, posterior: np.ndarray) -> float:
        value = scorer.score(metric, labels[splits[fold].valid], posterior)
        return sign * value if np.isfinite(value) else -np.inf

    return score


def _by_clip(posterior: np.ndarray, clip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average posteriors (..., m, C) of items sorted by clip over each clip."""
    clips, first, counts = np.unique(clip, return_index=True, return_counts=True)
    return clips, np.add.reduceat(posterior, first, axis=-2) / counts[:, None]


def _answers(clip: np.ndarray, posterior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predicted classes and clips of all items, one draw after another."""
    predicted = predict(posterior.reshape(-1, posterior.shape[-1]))
    return predicted, np.tile(clip, len(predicted) // len(clip))


def by_fold(items: Items, splits: Sequence[Split], posteriors: Sequence[np.ndarray], level: str) -> list:
    """Clip (m,) and answer (..., m, C) of the test items of each fold, of files the mean over frames.

    Answers are rounded to float32, as they are kept: whoever scores those that are kept finds the same.
    """
    frames = [(items.clip[items.of(split.test)], given) for split, given in zip(splits, posteriors, strict=True)]
    answers = frames if level == "frame" else [_by_clip(posterior, clip) for clip, posterior in frames]
    return [(clip, posterior.astype(np.float32)) for clip, posterior in answers]


def _score(
    posteriors: Sequence[np.ndarray],
    items: Items,
    splits: Sequence[Split],
    labels: np.ndarray,
    levels: Sequence[Level],
    metrics: Sequence[str],
    n_classes: int,
    reports: list[FoldReport],
    shuffled: Shuffle | None,
    scorer: Scorer,
) -> ProbeResult:
    answers = {level: by_fold(items, splits, posteriors, level) for level in dict.fromkeys(["file", *levels])}
    scores, confusion, null = {}, {}, {}
    for level in levels:
        scores[level] = {
            name: [scorer.score(name, labels[clip], posterior) for clip, posterior in answers[level]]
            for name in metrics
        }
        if scorer.kind == "multiclass":
            predicted = [_answers(clip, posterior) for clip, posterior in answers[level]]
            confusion[level] = sum(confusion_matrix(labels[clip], p, n_classes) for p, clip in predicted)
            if shuffled is not None:
                null[level] = null_accuracy(shuffled, splits, predicted)
    return ProbeResult(
        scores, confusion, reports, predictions_of(answers["file"]), null, {level: answers[level] for level in levels}
    )


def predictions_of(answers: Sequence[tuple[np.ndarray, np.ndarray]]) -> Predictions:
    """Answers of all folds in one piece."""
    return Predictions(
        clip=np.concatenate([clip for clip, _ in answers]),
        fold=np.repeat(np.arange(len(answers)), [len(clip) for clip, _ in answers]),
        posterior=np.concatenate([p.mean(0) if p.ndim == 3 else p for _, p in answers]),
    )
