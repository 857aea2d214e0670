"""What a training part teaches about vectors before they are compared by cosine."""

from collections.abc import Callable
from typing import Literal

import numpy as np

Whitening = Literal["none", "centre", "pca", "lda"]

# Directions with less than this part of the largest variance say nothing but rounding.
_RANK = 1e-6
# Part of the mean variance that is added to every direction, since few clips know little of most of them.
_SHRINK = 0.02


def fit_whitening(vectors: np.ndarray, labels: np.ndarray, how: Whitening) -> Callable[[np.ndarray], np.ndarray]:
    """Learn a map of vectors (n, F) to vectors (n, D) of length one.

    Args:
        vectors: (n, F) of the training part.
        labels: (n,) int identities or classes.
        how: `none`; `centre`: take the mean away; `pca`: then unit variance in every direction; `lda`: unit variance
            within classes, and the directions in which classes differ, at most one less than there are classes.
    """
    if how == "none":
        return _unit
    vectors = vectors.astype(np.float64)
    mean = vectors.mean(0)
    if how == "centre":
        return lambda other: _unit(other - mean)
    centred = vectors - mean
    matrix = _whiten(centred, len(vectors))
    if how == "lda":
        classes, place = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            return lambda other: _unit(other - mean)
        means = np.zeros((len(classes), vectors.shape[1]))
        np.add.at(means, place, centred)
        means /= np.bincount(place)[:, None]
        matrix = _whiten(centred - means[place], max(1, len(vectors) - len(classes)), centred)
        between = means @ matrix * np.sqrt(np.bincount(place))[:, None]
        directions = np.linalg.svd(between, full_matrices=False)[2][: len(classes) - 1]
        matrix = matrix @ directions.T
    return lambda other: _unit((other - mean) @ matrix)


def _whiten(rows: np.ndarray, free: int, spread: np.ndarray | None = None) -> np.ndarray:
    """(F, D) that gives rows with mean zero unit variance, in the directions in which `spread` (the rows) vary."""
    _, singular, basis = np.linalg.svd(rows if spread is None else spread, full_matrices=False)
    basis = basis[singular > np.sqrt(_RANK) * max(singular[0], 1e-30)]
    covariance = (rows @ basis.T).T @ (rows @ basis.T) / free
    values, turn = np.linalg.eigh(covariance)
    values = values + _SHRINK * max(values.sum() / max(len(values), 1), 1e-30)
    return basis.T @ (turn / np.sqrt(values))


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)
