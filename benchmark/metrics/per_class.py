"""Scores of each class alone, kept with every run beside those of all classes together."""

from collections.abc import Sequence

import numpy as np

from benchmark.metrics.classification import average_precision, macro_auroc
from benchmark.metrics.events import EventClip, EventMetric

PerClass = dict[str, dict[str, float]]


def of_confusion(confusion: np.ndarray, classes: Sequence[str]) -> PerClass:
    """Precision, recall, F1 and number of items of each class, from items by true (rows) and answered class."""
    right, true, answered = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    columns = {
        "precision": _ratio(right, answered), "recall": _ratio(right, true), "f1": _ratio(2 * right, true + answered),
        "items": true.astype(np.float64),
    }  # fmt: skip
    return _finite(classes, columns)


def of_labels(folds: Sequence[tuple[np.ndarray, np.ndarray]], labels: np.ndarray, classes: Sequence[str]) -> PerClass:
    """Average precision and area under the ROC curve of each class, means over folds; and its positive items.

    Args:
        folds: of each the clips (m,) and posteriors (..., m, C).
        labels: (n, C) of 0, 1 and -1 for unknown.
    """
    precision, area = (np.full((len(folds), len(classes)), np.nan) for _ in range(2))
    for fold, (clip, posterior) in enumerate(folds):
        mean = posterior.mean(0) if posterior.ndim == 3 else posterior
        for c in range(len(classes)):
            truth = labels[clip, c]
            known = truth >= 0
            if (truth > 0).any():
                precision[fold, c] = average_precision(truth[known], mean[known, c])
            area[fold, c] = macro_auroc(truth[:, None], mean[:, c : c + 1])
    columns = {
        "average_precision": _mean(precision), "auroc": _mean(area),
        "items": sum((labels[clip] > 0).sum(0) for clip, _ in folds).astype(np.float64),
    }  # fmt: skip
    return _finite(classes, columns)


def of_slots(folds: Sequence[tuple[np.ndarray, np.ndarray]], labels: np.ndarray, slots: Sequence[str]) -> PerClass:
    """Accuracy of each slot over all test clips."""
    right = np.concatenate([answers == labels[clip] for clip, answers in folds])
    return {slot: {"accuracy": float(right[:, s].mean())} for s, slot in enumerate(slots)}


def of_events(metric: str, function: EventMetric, clips: Sequence[EventClip], classes: Sequence[str]) -> PerClass:
    """The primary metric of the events of each class alone, over all test clips; and its events."""
    scores = []
    for c in range(len(classes)):
        alone = [
            EventClip(
                clip.reference[clip.reference[:, 2] == c], clip.answers[clip.answers[:, 2] == c], clip.seconds,
                clip.frame_truth * (np.arange(len(classes)) == c), clip.frame_answers * (np.arange(len(classes)) == c),
            )
            for clip in clips
        ]  # fmt: skip
        scores.append(function.function(alone))
    events = [float(sum((clip.reference[:, 2] == c).sum() for clip in clips)) for c in range(len(classes))]
    return _finite(classes, {metric: np.array(scores), "items": np.array(events)})


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)


def _mean(values: np.ndarray) -> np.ndarray:
    there = np.isfinite(values)
    return _ratio(np.where(there, values, 0.0).sum(0), there.sum(0))


def _finite(classes: Sequence[str], columns: dict[str, np.ndarray]) -> PerClass:
    """Rows of columns, without what is not defined."""
    return {
        name: {key: float(column[c]) for key, column in columns.items() if np.isfinite(column[c])}
        for c, name in enumerate(classes)
    }
