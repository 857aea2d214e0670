"""The metrics of all kinds by name.

A kind's answers differ, so its metrics take different things: posteriors or numbers with the truth (`METRICS`), pairs
(`PAIRS`), ranked lists (`LISTS`), events of clips (`benchmark.metrics.events.METRICS`).
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from benchmark.metrics import classification, events, regression
from benchmark.metrics.classification import Metric
from benchmark.metrics.folds import Split
from benchmark.metrics.retrieval import chance_at_k, precisions
from benchmark.metrics.verification import eer, min_dcf

METRICS: dict[str, Metric] = {**classification.METRICS, **regression.METRICS}

# same (m,) and scores (m,) -> score, the lower the better; and what not listening scores.
PAIRS: dict[str, tuple[Callable[[np.ndarray, np.ndarray], float], float]] = {
    "eer": (eer, 0.5),
    "min_dcf_0.01": (partial(min_dcf, p_target=0.01), 1.0),
    "min_dcf_0.05": (partial(min_dcf, p_target=0.05), 1.0),
}

# Name -> length of the lists.
LISTS = {"map_at_10": 10, "map_at_5": 5, "map_at_100": 100, "precision_at_1": 1}


def query_precisions(metric: str, labels: np.ndarray, clips: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The score of each clip that asks, (m,); NaN where there is nothing to find.

    Args:
        labels: (n,) classes of all clips.
        clips: (m,) int64, those that ask and are asked for.
        others: (m, k) int64, the nearest others of each.
    """
    place = np.zeros(len(labels), np.int64)
    place[clips] = np.arange(len(clips))
    return precisions(labels[clips], place[others], LISTS[metric])


def score_lists(metric: str, labels: np.ndarray, clips: np.ndarray, others: np.ndarray) -> float:
    """The mean of `query_precisions`; NaN where no clip has anything to find."""
    each = query_precisions(metric, labels, clips, others)
    return float(mean_of_counts(np.array([np.nansum(each), np.isfinite(each).sum()])))


def mean_of_counts(sums: np.ndarray) -> np.ndarray:
    """Mean from sums (..., 2) of scores and of their number; NaN of none."""
    sums = np.asarray(sums, np.float64)
    return np.divide(sums[..., 0], sums[..., 1], out=np.full(sums.shape[:-1], np.nan), where=sums[..., 1] > 0)


def higher_is_better(metric: str) -> bool:
    """Which way a metric is better."""
    if metric in METRICS:
        return METRICS[metric].higher_is_better
    return events.METRICS[metric].higher_is_better if metric in events.METRICS else metric in LISTS


def chance_level(metric: str, labels: np.ndarray, splits: Sequence[Split], n_classes: int) -> float | None:
    """Mean over folds of the score that guesses are expected to reach on the test parts; None where nobody knows.

    Args:
        labels: of all clips, as the task's kind has them; numbers for a metric of numbers.
        n_classes: C; of slots the number of combinations.
    """
    if metric in events.METRICS:
        # Nobody guesses events; an error rate of 1 is that of silence.
        return 1.0 if "error_rate" in metric else None
    if metric in PAIRS:
        return PAIRS[metric][1]
    if metric in LISTS:
        return float(np.mean([chance_at_k(labels[split.test], LISTS[metric]) for split in splits]))
    return float(np.mean([METRICS[metric].chance(labels[split.test], n_classes) for split in splits]))
