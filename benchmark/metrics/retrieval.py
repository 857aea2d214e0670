"""Scores of ranked lists: each clip of a set asks for the others of its class."""

import numpy as np

_BLOCK = 1024


def precisions(labels: np.ndarray, lists: np.ndarray, k: int) -> np.ndarray:
    """Average precision at k of each query, (n,); NaN where no other clip is of its class.

    The sum of the precisions at the ranks (up to k) of relevant clips, over the lesser of k and the number of relevant
    clips, so that a perfect list has 1 at every k.

    Args:
        labels: (n,) classes.
        lists: (n, m) other clips in the order of their nearness, m at least k or n - 1.
        k: rank at which lists end.
    """
    relevant = labels[lists[:, :k]] == labels[:, None]
    found = np.cumsum(relevant, axis=1) / np.arange(1, relevant.shape[1] + 1)
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    others = counts[place] - 1
    gain = (found * relevant).sum(1)
    return np.divide(gain, np.minimum(others, k), out=np.full(len(labels), np.nan), where=others > 0)


def map_at_k(labels: np.ndarray, lists: np.ndarray, k: int) -> float:
    """Mean of `precisions` over the queries that have anything to find; NaN where none has."""
    each = precisions(labels, lists, k)
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def ranked(vectors: np.ndarray, listed: np.ndarray | None = None, *, k: int) -> np.ndarray:
    """The `k` nearest others of each of n vectors of length one, by their product: (n, min(k, n - 1)) int64.

    Of equally near ones the first comes first. `listed` (n, F) are the same clips as they are listed, where that is not
    how they ask.
    """
    n, listed = len(vectors), vectors if listed is None else listed
    lists = np.empty((n, min(k, n - 1)), dtype=np.int64)
    for start in range(0, n, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n))
        similarity = vectors[rows] @ listed.T
        similarity[np.arange(len(rows)), rows] = -np.inf
        lists[rows] = np.argsort(-similarity, axis=1, kind="stable")[:, : lists.shape[1]]
    return lists


def chance_at_k(labels: np.ndarray, k: int) -> float:
    """Expected `map_at_k` of lists in random order."""
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    others, n = counts[place] - 1.0, len(labels) - 1
    others = others[others > 0]
    if not len(others):
        return float("nan")
    rank = np.arange(1, min(k, n) + 1)
    here, again = others / n, (others - 1) / max(n - 1, 1)
    gain = (here[:, None] / rank * (1 + (rank - 1) * again[:, None])).sum(1)
    return float(np.mean(gain / np.minimum(others, k)))
