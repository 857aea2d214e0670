"""Many embeddings on many tasks: ranks, scores that average over tasks, and whether the ranks differ by more than chance.

Scores come as a table (N tasks, M embeddings) in which more is better; NaN is a score that is missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2, rankdata, studentized_range
from scipy.stats import f as fisher


@dataclass(frozen=True)
class Friedman:
    """Friedman's chi-squared over ranks with ties, Iman and Davenport's F, and their p."""

    chi2: float
    p: float
    f: float
    p_f: float


def ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks (N, M) of the embeddings on each task: 1 is the best, equals share the mean of their ranks."""
    found = rankdata(-np.asarray(scores, dtype=np.float64), axis=1, nan_policy="omit")
    return np.where(np.isnan(scores), np.nan, found)


def borda(scores: np.ndarray) -> np.ndarray:
    """(M,) part of the other embeddings that one beats, a tie as one half: the mean over the tasks where there are any.

    Borda's count, divided by the greatest that is possible: 1 is the best everywhere, 0.5 the middle.
    """
    rivals = np.sum(~np.isnan(scores), axis=1, keepdims=True) - 1
    won = np.divide(rivals + 1 - ranks(scores), rivals, out=np.full(np.shape(scores), np.nan), where=rivals > 0)
    return _mean(won)


def hear_score(scores: np.ndarray) -> np.ndarray:
    """(M,) normalised score of HEAR 2021 (its leaderboard's post-processing), in [-1, 1].

    On each task the scores of all embeddings are standardised (population standard deviation) and clamped to [-1, 1],
    so that no task alone decides; then the mean over tasks. It depends on which embeddings there are.
    """
    scores = np.asarray(scores, dtype=np.float64)
    there = ~np.isnan(scores)
    count = np.maximum(there.sum(1, keepdims=True), 1)
    centred = np.where(there, scores, 0.0) - np.where(there, scores, 0.0).sum(1, keepdims=True) / count
    spread = np.sqrt((np.where(there, centred, 0.0) ** 2).sum(1, keepdims=True) / count)
    standard = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12)
    enough = there & (there.sum(1, keepdims=True) > 1)
    return _mean(np.where(enough, np.clip(standard, -1.0, 1.0), np.nan))


def friedman(scores: np.ndarray) -> Friedman:
    """Friedman's test that all embeddings have the same ranks (Demšar, JMLR 7, 2006, section 3.2.2); no NaN.

    Raises:
        ValueError: fewer than three embeddings or two tasks.
    """
    tasks, embeddings = np.shape(scores)
    if tasks < 2 or embeddings < 3:
        raise ValueError("Friedman's test needs two tasks and three embeddings")
    table = ranks(scores)
    # Equals make the ranks of a task spread less than those of 1 to M.
    spread = np.sum((table - (embeddings + 1) / 2) ** 2)
    if spread == 0:
        return Friedman(0.0, 1.0, 0.0, 1.0)
    between = tasks * np.sum((table.mean(0) - (embeddings + 1) / 2) ** 2)
    statistic = float(tasks * (embeddings - 1) * between / spread)
    p = float(chi2.sf(statistic, embeddings - 1))
    left = tasks * (embeddings - 1) - statistic
    if left <= 1e-9:
        return Friedman(statistic, p, float("inf"), 0.0)
    f = (tasks - 1) * statistic / left
    return Friedman(statistic, p, f, float(fisher.sf(f, embeddings - 1, (embeddings - 1) * (tasks - 1))))


def critical_difference(embeddings: int, tasks: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks (Demšar 2006, section 3.2.2)."""
    return float(
        studentized_range.ppf(1 - alpha, embeddings, np.inf) * np.sqrt(embeddings * (embeddings + 1) / (12 * tasks))
    )


def nemenyi(mean_ranks: np.ndarray, tasks: int) -> np.ndarray:
    """(M, M) p of each two mean ranks over `tasks` tasks."""
    embeddings = len(mean_ranks)
    apart = np.abs(mean_ranks[:, None] - mean_ranks) / np.sqrt(embeddings * (embeddings + 1) / (12 * tasks))
    p = np.ones((embeddings, embeddings))
    upper = np.triu_indices(embeddings, 1)
    p[upper] = studentized_range.sf(apart[upper], embeddings, np.inf)
    return np.minimum(p, p.T)


def indistinct(mean_ranks: Sequence[float], difference: float) -> list[tuple[int, int]]:
    """The bars of a critical-difference plot over sorted mean ranks: first and last of each longest run of embeddings
    whose ranks are within `difference` of each other.
    """
    bars: list[tuple[int, int]] = []
    for first, rank in enumerate(mean_ranks):
        last = max(i for i, other in enumerate(mean_ranks) if other - rank < difference or i == first)
        if last > first and (not bars or last > bars[-1][1]):
            bars.append((first, last))
    return bars


def complete(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a part without NaN: again and again without the task or embedding that misses most.

    Of equals an embedding goes before a task, and the last goes first.
    """
    missing = np.isnan(scores)
    rows, columns = np.arange(missing.shape[0]), np.arange(missing.shape[1])
    while missing[np.ix_(rows, columns)].any():
        part = missing[np.ix_(rows, columns)]
        of_row, of_column = part.mean(1), part.mean(0)
        if of_column.max() >= of_row.max():
            columns = np.delete(columns, len(columns) - 1 - int(np.argmax(of_column[::-1])))
        else:
            rows = np.delete(rows, len(rows) - 1 - int(np.argmax(of_row[::-1])))
    return rows, columns


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the tasks that are there; NaN where there is none."""
    there = ~np.isnan(values)
    return np.divide(
        np.where(there, values, 0.0).sum(0), there.sum(0), out=np.full(values.shape[1], np.nan), where=there.any(0)
    )
