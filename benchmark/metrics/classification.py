"""Scores of multiclass and multilabel predictions.

All functions take the truth and the posteriors of n items and keep no state. Multiclass: truth (n,) int in [0, C) and
posteriors (n, C), of which the largest decides (of equals the first). Multilabel: truth (n, C) of 0, 1, and -1 where
nobody knows, which counts neither way. Values agree with scikit-learn's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from benchmark.metrics.folds import Split


def predict(posterior: np.ndarray) -> np.ndarray:
    """Return the most probable classes (n,) of posteriors (n, C)."""
    return np.argmax(posterior, axis=1)


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Count items by true class (rows) and predicted class (columns): (C, C) int64."""
    cells = np.asarray(truth, dtype=np.int64) * n_classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(cells, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def _confusion(truth: np.ndarray, posterior: np.ndarray) -> np.ndarray:
    return confusion_matrix(truth, predict(posterior), posterior.shape[1])


def accuracy(truth: np.ndarray, posterior: np.ndarray) -> float:
    """Part of the items whose class is right; of slots, truth and answers both (n, S) int, where every slot is right."""
    truth = np.asarray(truth)
    return float(np.mean((posterior == truth).all(1) if truth.ndim == 2 else predict(posterior) == truth))


def balanced_accuracy(truth: np.ndarray, posterior: np.ndarray) -> float:
    """Mean recall over the classes that occur in the truth."""
    counts = _confusion(truth, posterior)
    occurring = counts.sum(1) > 0
    return float(np.mean(np.diag(counts)[occurring] / counts.sum(1)[occurring]))


def macro_f1(truth: np.ndarray, posterior: np.ndarray) -> float:
    """Mean F1 over the classes that occur in the truth or the answers; multilabel answers are posteriors over 0.5."""
    if np.ndim(truth) == 2:
        right, both = _hits(truth, posterior)
    else:
        counts = _confusion(truth, posterior)
        right, both = np.diag(counts), counts.sum(0) + counts.sum(1)
    occurring = both > 0
    return float(np.mean(2 * right[occurring] / both[occurring])) if occurring.any() else float("nan")


def micro_f1(truth: np.ndarray, posterior: np.ndarray) -> float:
    """F1 of all labels of all items together, posteriors over 0.5 being answers (multilabel)."""
    right, both = _hits(truth, posterior)
    return float(2 * right.sum() / both.sum()) if both.sum() else float("nan")


def _hits(truth: np.ndarray, posterior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Answers that are right (C,), and positives in truth and answers together (C,), of what is known."""
    answers = (posterior > 0.5) & (truth >= 0)
    return (answers & (truth > 0)).sum(0), answers.sum(0) + (truth > 0).sum(0)


def is_top_k(truth: np.ndarray, posterior: np.ndarray, k: int) -> np.ndarray:
    """(n,) bool: is the class among the k most probable (of equals the first, as in `accuracy`)?"""
    truth = np.asarray(truth)
    own = posterior[np.arange(len(truth)), truth][:, None]
    earlier = np.arange(posterior.shape[1]) < truth[:, None]
    return (posterior > own).sum(1) + ((posterior == own) & earlier).sum(1) < k


def top_k_accuracy(truth: np.ndarray, posterior: np.ndarray, k: int) -> float:
    """Part of the items whose class is among the k most probable."""
    return float(np.mean(is_top_k(truth, posterior, k)))


def top_3_accuracy(truth: np.ndarray, posterior: np.ndarray) -> float:
    """Top-k accuracy for k = 3."""
    return top_k_accuracy(truth, posterior, 3)


def top_5_accuracy(truth: np.ndarray, posterior: np.ndarray) -> float:
    """Top-k accuracy for k = 5."""
    return top_k_accuracy(truth, posterior, 5)


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    """Average precision of one class: the sum of precisions times steps of recall, equal scores as one step."""
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(np.asarray(truth)[order] > 0)
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    steps = np.diff(hits[last], prepend=0) / hits[-1]
    return float(np.sum(steps * hits[last] / (last + 1)))


def marks(truth: np.ndarray, n_classes: int) -> np.ndarray:
    """The truth as (n, C) of 0 and 1 (and -1), for metrics that rank the items of each class."""
    truth = np.asarray(truth)
    return truth if truth.ndim == 2 else (truth[:, None] == np.arange(n_classes)).astype(np.int64)


def mean_average_precision(truth: np.ndarray, posterior: np.ndarray) -> float:
    """Mean average precision over the classes that occur, each against the rest (multiclass); NaN if none does."""
    truth = marks(truth, posterior.shape[1])
    occurring = np.flatnonzero((truth > 0).any(0))
    if not len(occurring):
        return float("nan")
    known = truth >= 0
    each = [average_precision(truth[known[:, c], c], posterior[known[:, c], c]) for c in occurring]
    return float(np.mean(each))


def macro_auroc(truth: np.ndarray, posterior: np.ndarray) -> float:
    """Mean area under the ROC curve over the classes with positive and negative items, each against the rest
    (multiclass); NaN if there is none.
    """
    truth = marks(truth, posterior.shape[1])
    positives = np.sum(truth > 0, axis=0).astype(np.float64)
    negatives = np.sum(truth == 0, axis=0).astype(np.float64)
    usable = (positives > 0) & (negatives > 0)
    if not usable.any():
        return float("nan")
    truth, positives, negatives = truth[:, usable], positives[usable], negatives[usable]
    # Items that nobody judged are no rank's neighbours.
    ranks = rankdata(np.where(truth >= 0, posterior[:, usable], np.nan), axis=0, nan_policy="omit")
    above = np.sum(np.where(truth > 0, ranks, 0.0), axis=0) - positives * (positives + 1) / 2
    return float(np.mean(above / (positives * negatives)))


def d_prime(truth: np.ndarray, posterior: np.ndarray) -> float:
    """Sensitivity index of the macro AUROC, sqrt(2) times the normal quantile (Gemmeke et al. 2017), within ±6.73."""
    area = macro_auroc(truth, posterior)
    return float(np.sqrt(2) * ndtri(np.clip(area, 1e-6, 1 - 1e-6)))


def _chance_uniform(truth: np.ndarray, n_classes: int) -> float:
    return 1 / n_classes


def _chance_f1(truth: np.ndarray, n_classes: int) -> float:
    if np.ndim(truth) == 2:
        part = _part(truth)
        return float(np.mean(part / (part + 0.5)))
    part = np.bincount(truth, minlength=n_classes) / len(truth)
    return float(np.mean(2 * part / n_classes / (part + 1 / n_classes)))


def _chance_micro_f1(truth: np.ndarray, n_classes: int) -> float:
    part = np.sum(truth > 0) / max(np.sum(truth >= 0), 1)
    return float(part / (part + 0.5))


def _chance_ap(truth: np.ndarray, n_classes: int) -> float:
    part = _part(marks(truth, n_classes))
    return float(np.mean(part[part > 0])) if (part > 0).any() else float("nan")


def _part(truth: np.ndarray) -> np.ndarray:
    """Part of the known labels of each class that are positive: (C,)."""
    return np.sum(truth > 0, axis=0) / np.maximum(np.sum(truth >= 0, axis=0), 1)


@dataclass(frozen=True)
class Metric:
    """A score.

    Attributes:
        function: Maps truth and posteriors to a score.
        kinds: Kinds of tasks that it is for.
        higher_is_better: Which way is better.
        chance: Maps truth and the number of classes to the expected score of guesses: uniform ones over classes, of
            numbers draws from the truth.
    """

    function: Callable[[np.ndarray, np.ndarray], float]
    kinds: tuple[str, ...]
    higher_is_better: bool
    chance: Callable[[np.ndarray, int], float]


METRICS: dict[str, Metric] = {
    "accuracy": Metric(accuracy, ("multiclass", "slots"), True, _chance_uniform),
    "balanced_accuracy": Metric(balanced_accuracy, ("multiclass",), True, _chance_uniform),
    "macro_f1": Metric(macro_f1, ("multiclass", "multilabel"), True, _chance_f1),
    "micro_f1": Metric(micro_f1, ("multilabel",), True, _chance_micro_f1),
    "top3": Metric(top_3_accuracy, ("multiclass",), True, lambda truth, n_classes: min(1.0, 3 / n_classes)),
    "top5": Metric(top_5_accuracy, ("multiclass",), True, lambda truth, n_classes: min(1.0, 5 / n_classes)),
    "map": Metric(mean_average_precision, ("multiclass", "multilabel"), True, _chance_ap),
    "auroc": Metric(macro_auroc, ("multiclass", "multilabel"), True, lambda truth, n_classes: 0.5),
    "d_prime": Metric(d_prime, ("multilabel",), True, lambda truth, n_classes: 0.0),
}


def majority_rate(labels: np.ndarray, splits: Sequence[Split]) -> float:
    """Mean over folds of the accuracy of always answering the most frequent class of the training part."""
    rates = []
    for split in splits:
        values, counts = np.unique(labels[split.train], return_counts=True)
        rates.append(np.mean(labels[split.test] == values[np.argmax(counts)]))
    return float(np.mean(rates))
