"""Probe one table of features: train on all folds, choose on validation, score once on test."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch

from benchmark.config.schema_probe import ProbeSettings
from benchmark.metrics.classification import METRICS, confusion_matrix, predict
from benchmark.metrics.folds import Split, downsample
from benchmark.probes.control import Null, Shuffle, null_accuracy, shuffle
from benchmark.probes.data import FrameTable
from benchmark.probes.registry import Fit, Question, default_settings, solver

_ROWS = 65536

Balance = Literal["none", "downsample", "class_weight"]
Level = Literal["file", "frame"]


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
        predictions: Posteriors of test clips.
        null: level -> accuracy that the control is expected to reach (only of shuffled labels, multiclass).
    """

    scores: dict[str, dict[str, list[float]]]
    confusion: dict[str, np.ndarray]
    folds: list[FoldReport]
    predictions: Predictions
    null: dict[str, Null] = field(default_factory=dict)


@dataclass(frozen=True)
class _Items:
    """What is classified: frames or clip vectors, with the clip of each, sorted by clip."""

    features: torch.Tensor
    clip: np.ndarray

    def of(self, clips: np.ndarray) -> np.ndarray:
        """Find the items of some clips, as sorted int64 indices."""
        return np.flatnonzero(np.isin(self.clip, clips))


def run_probe(
    table: FrameTable,
    labels: np.ndarray,
    splits: Sequence[Split],
    probe: str = "logistic",
    settings: ProbeSettings | None = None,
    levels: Sequence[Level] = ("file",),
    metrics: Sequence[str] = ("accuracy",),
    *,
    n_classes: int | None = None,
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
        labels: (n_clips,) int classes, or (n_clips, C) of 0 and 1 (multilabel).
        splits: Folds over clips.
        probe: Name of a solver or protocol.
        settings: Its settings; the solver's defaults if None.
        levels: What is scored.
        metrics: Names in `METRICS`; the first is the primary one.
        n_classes: C; the largest label + 1 by default.
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
    multilabel = labels.ndim == 2
    kind = "multilabel" if multilabel else "multiclass"
    if len(labels) != table.n_clips:
        raise ValueError(f"{len(labels)} labels for {table.n_clips} clips")
    for name in metrics:
        if name not in METRICS or kind not in METRICS[name].kinds:
            raise ValueError(f"{name!r} is not a metric of {kind} tasks")
    n_classes = labels.shape[1] if multilabel else n_classes or int(labels.max()) + 1
    if not multilabel and n_classes < 2:
        raise ValueError("a probe needs two classes or more")
    solve, defaults = solver(probe), default_settings(probe)
    settings = settings or defaults
    if not isinstance(settings, type(defaults)):
        raise ValueError(f"{type(settings).__name__} are not the settings of probe {probe!r}")
    shuffled = shuffle(labels, splits, groups, seed) if shuffle_labels else None
    labels = labels if shuffled is None else shuffled.labels
    splits = _balance(labels, splits, ids or range(len(labels)), seed, balance)
    settings = settings.model_copy(update={"class_weight": settings.class_weight or balance == "class_weight"})

    use_frames = table.has_frames and (settings.of_frames or "frame" in levels or table.vectors is None)
    if "frame" in levels and not use_frames:
        raise ValueError("frames cannot be scored: the table has none")
    items = _items(table, splits, use_frames, settings.max_frames_per_clip, device)
    item_labels = labels[items.clip]
    item_splits = [Split(*(items.of(part) for part in (s.train, s.valid, s.test))) for s in splits]
    score = _selection(metrics[0], item_labels, item_splits)
    fit = solve(items.features, Question(kind, item_labels, item_splits, n_classes, score, items.clip, seed), settings)
    posteriors = [_answer(fit, fold, items.features, split.test) for fold, split in enumerate(item_splits)]
    reports = [
        FoldReport(len(split.train), len(split.valid), len(split.test), choice)
        for split, choice in zip(splits, fit.choices(), strict=True)
    ]
    return _score(posteriors, items, item_splits, splits, labels, levels, metrics, n_classes, reports, shuffled)


def _answer(fit: Fit, fold: int, features: torch.Tensor, rows: np.ndarray) -> np.ndarray:
    """Posteriors of some rows, which are copied in blocks."""
    starts = range(0, max(len(rows), 1), _ROWS)
    return np.concatenate([fit.posterior(fold, features[rows[start : start + _ROWS]]) for start in starts], axis=-2)


def _balance(labels: np.ndarray, splits: Sequence[Split], ids: Sequence, seed: int, balance: Balance) -> list[Split]:
    if balance not in ("none", "downsample", "class_weight"):
        raise ValueError(f"balance {balance!r} is not none, downsample or class_weight")
    if balance != "downsample":
        return list(splits)
    if labels.ndim == 2:
        raise ValueError("multilabel clips cannot be balanced by down-sampling")
    return [replace(split, train=downsample(labels, ids, seed, split.train)) for split in splits]


def _items(table: FrameTable, splits: Sequence[Split], use_frames: bool, max_frames: int | None, device: str) -> _Items:
    used = np.unique(np.concatenate([part for split in splits for part in (split.train, split.valid, split.test)]))
    if not use_frames:
        return _Items(table.clip_vectors(used).to(device), used)
    rows, position = table.rows(used, max_frames)
    return _Items(table.frames(rows).to(device), used[position])


def _selection(metric: str, labels: np.ndarray, splits: Sequence[Split]):
    """Score the validation items of a fold by a metric, the higher the better."""
    sign = 1.0 if METRICS[metric].higher_is_better else -1.0

    def score(fold: int, posterior: np.ndarray) -> float:
        value = METRICS[metric].function(labels[splits[fold].valid], posterior)
        return sign * value if np.isfinite(value) else -np.inf

    return score


def _by_clip(posterior: np.ndarray, clip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average posteriors (..., m, C) of items sorted by clip over each clip."""
    clips, first, counts = np.unique(clip, return_index=True, return_counts=True)
    return clips, np.add.reduceat(posterior, first, axis=-2) / counts[:, None]


def _mean_over_draws(name: str, truth: np.ndarray, posterior: np.ndarray) -> float:
    """Score posteriors (m, C), or (D, m, C) of several draws of the training part."""
    draws = posterior if posterior.ndim == 3 else posterior[None]
    return float(np.mean([METRICS[name].function(truth, draw) for draw in draws]))


def _answers(clip: np.ndarray, posterior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predicted classes and clips of all items, one draw after another."""
    predicted = predict(posterior.reshape(-1, posterior.shape[-1]))
    return predicted, np.tile(clip, len(predicted) // len(clip))


def _score(
    posteriors: Sequence[np.ndarray],
    items: _Items,
    item_splits: Sequence[Split],
    splits: Sequence[Split],
    labels: np.ndarray,
    levels: Sequence[Level],
    metrics: Sequence[str],
    n_classes: int,
    reports: list[FoldReport],
    shuffled: Shuffle | None,
) -> ProbeResult:
    frames = [(items.clip[split.test], posterior) for split, posterior in zip(item_splits, posteriors, strict=True)]
    files = [_by_clip(posterior, clip) for clip, posterior in frames]
    scores, confusion, null = {}, {}, {}
    for level in levels:
        answers = files if level == "file" else frames
        scores[level] = {
            name: [_mean_over_draws(name, labels[clip], posterior) for clip, posterior in answers] for name in metrics
        }
        if labels.ndim == 1:
            predicted = [_answers(clip, posterior) for clip, posterior in answers]
            confusion[level] = sum(confusion_matrix(labels[clip], p, n_classes) for p, clip in predicted)
            if shuffled is not None:
                null[level] = null_accuracy(shuffled, splits, predicted)
    predictions = Predictions(
        clip=np.concatenate([clip for clip, _ in files]),
        fold=np.repeat(np.arange(len(files)), [len(clip) for clip, _ in files]),
        posterior=np.concatenate([p.mean(0) if p.ndim == 3 else p for _, p in files]),
    )
    return ProbeResult(scores, confusion, reports, predictions, null)
