"""The metrics of all kinds by name.

A kind's answers differ, so its metrics take different things: posteriors or numbers with the truth (`METRICS`), pairs
(`PAIRS`), ranked lists (`LISTS`), events of clips (`benchmark.metrics.events.METRICS`).
"""

import re
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from benchmark.metrics import classification, events, regression
from benchmark.metrics.classification import Metric
from benchmark.metrics.folds import Split
from benchmark.metrics.retrieval import chance_at_k, map_at_k
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


def score_lists(metric: str, labels: np.ndarray, lists: np.ndarray) -> float:
    """A score of ranked lists, see `benchmark.metrics.retrieval`."""
    return map_at_k(labels, lists, LISTS[metric])


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


def class_values(classes: Sequence[str]) -> np.ndarray:
    """The numbers that the names of classes end with, such as the pitch of `midi-60`: (C,) float64.

    Raises:
        ValueError: a name does not end with a number.
    """
    found = [re.search(r"\d+(\.\d+)?$", name) for name in classes]
    if None in found:
        raise ValueError(f"class {classes[found.index(None)]!r} does not end with a number")
    return np.array([float(match[0]) for match in found])
