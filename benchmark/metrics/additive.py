"""Metrics that are functions of sums over clips: resampled or swapped clips then cost one matrix product.

Each clip contributes a row of counts (Q,); the score is a function of the rows' sum, whatever weights the clips have.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmark.metrics.classification import is_top_k, predict
from benchmark.metrics.registry import METRICS


@dataclass(frozen=True)
class Additive:
    """A metric of sums.

    Attributes:
        counts: truth (n,) and posterior (n, C) to counts (n, Q).
        score: sums (..., Q) to scores (...); NaN where the metric has no meaning.
    """

    counts: Callable[[np.ndarray, np.ndarray], np.ndarray]
    score: Callable[[np.ndarray], np.ndarray]


def _hits(right: np.ndarray) -> np.ndarray:
    return np.stack([right, np.ones(len(right))], axis=1)


def _rate(sums: np.ndarray) -> np.ndarray:
    return _divide(sums[..., 0], sums[..., 1])


def _class_counts(truth: np.ndarray, posterior: np.ndarray) -> np.ndarray:
    """(n, 3 C): right, true and answered class of each clip, one-hot."""
    classes, n = posterior.shape[1], len(truth)
    answers = predict(posterior)
    counts = np.zeros((n, 3, classes))
    rows = np.arange(n)
    counts[rows, 0, truth] = answers == truth
    counts[rows, 1, truth] = 1
    counts[rows, 2, answers] = 1
    return counts.reshape(n, -1)


def _balanced_accuracy(sums: np.ndarray) -> np.ndarray:
    right, true, _ = _by_class(sums)
    return _mean(_divide(right, true), true > 0)


def _macro_f1(sums: np.ndarray) -> np.ndarray:
    right, true, answered = _by_class(sums)
    return _mean(_divide(2 * right, true + answered), true + answered > 0)


def _by_class(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = sums.reshape(*sums.shape[:-1], 3, -1)
    return parts[..., 0, :], parts[..., 1, :], parts[..., 2, :]


def _divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)


def _mean(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    return _divide(np.where(counted, values, 0.0).sum(-1), counted.sum(-1))


ADDITIVE: dict[str, Additive] = {
    "accuracy": Additive(lambda truth, posterior: _hits(predict(posterior) == truth), _rate),
    "top3": Additive(lambda truth, posterior: _hits(is_top_k(truth, posterior, 3)), _rate),
    "top5": Additive(lambda truth, posterior: _hits(is_top_k(truth, posterior, 5)), _rate),
    "balanced_accuracy": Additive(_class_counts, _balanced_accuracy),
    "macro_f1": Additive(_class_counts, _macro_f1),
}


def score_clips(metric: str, truth: np.ndarray, posterior: np.ndarray, repeats: np.ndarray) -> float:
    """Score of clips that count `repeats` (n,) times each, for a metric of any kind; NaN where none counts."""
    rows = np.repeat(np.arange(len(repeats)), repeats)
    return METRICS[metric].function(truth[rows], posterior[rows]) if len(rows) else float("nan")
