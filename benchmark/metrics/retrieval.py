"""Scores of ranked lists: each clip of a set asks for the others of its class."""

import numpy as np


def precisions(labels: np.ndarray, similarity: np.ndarray, k: int) -> np.ndarray:
    """Average precision at k of each query, (n,); NaN where no other clip is of its class.

    The sum of the precisions at the ranks (up to k) of relevant clips, over the lesser of k and the number of relevant
    clips, so that a perfect list has 1 at every k. Of equally similar clips the first comes first.

    Args:
        labels: (n,) classes.
        similarity: (n, n), higher is nearer; a clip is not in its own list.
        k: length of the lists; longer than n - 1 means all.
    """
    n = len(labels)
    if n < 2:
        return np.full(n, np.nan)
    similarity = np.array(similarity, dtype=np.float64)
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, : min(k, n - 1)]
    relevant = labels[order] == labels[:, None]
    found = np.cumsum(relevant, axis=1) / np.arange(1, order.shape[1] + 1)
    others = (labels[:, None] == labels).sum(1) - 1
    gain = (found * relevant).sum(1)
    return np.divide(gain, np.minimum(others, k), out=np.full(n, np.nan), where=others > 0)


def map_at_k(labels: np.ndarray, similarity: np.ndarray, k: int) -> float:
    """Mean of `precisions` over the queries that have anything to find; NaN where none has."""
    each = precisions(labels, similarity, k)
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def chance_at_k(labels: np.ndarray, k: int) -> float:
    """Expected `map_at_k` of lists in random order."""
    others, n = (labels[:, None] == labels).sum(1) - 1.0, len(labels) - 1
    others = others[others > 0]
    if not len(others):
        return float("nan")
    rank = np.arange(1, min(k, n) + 1)
    here, again = others / n, (others - 1) / max(n - 1, 1)
    gain = (here[:, None] / rank * (1 + (rank - 1) * again[:, None])).sum(1)
    return float(np.mean(gain / np.minimum(others, k)))
