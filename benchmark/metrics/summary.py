"""Mean and spread of fold scores, computed in this one place."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Mean, sample standard deviation (ddof = 1) and number of scores; None where it is not defined."""

    mean: float | None
    std: float | None
    n: int


def summarise(scores: Sequence[float]) -> Summary:
    """Summarise the scores of folds.

    A score that is not finite (a metric without meaning on that fold) leaves mean and spread undefined; one fold has
    no spread.
    """
    values = [float(score) for score in scores]
    if not values or not all(math.isfinite(value) for value in values):
        return Summary(None, None, len(values))
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Summary(float(np.mean(values)), std, len(values))
