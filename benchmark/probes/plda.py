"""Two-covariance PLDA: a clip's vector is its identity's, plus what changes from clip to clip, both Gaussian.

x = y + e with y ~ N(m, B) for an identity and e ~ N(0, W) for a clip (Brümmer & de Villiers, Odyssey 2010, section 2; the
model of Prince & Elder, ICCV 2007, with full covariances). In the basis in which W is the identity matrix and B diagonal
(ratio p in each dimension), n clips of mean b say of an identity that y ~ N(n v b, v), v = p / (1 + n p); so that of a
clip `a` the log likelihood ratio of this identity against any is, summed over dimensions,
½ [log (1 + p) / (1 + v) + a² / (1 + p) - (a - n v b)² / (1 + v)].
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

_STEPS = 100
# A gain of log likelihood a clip below which nothing more is learnt.
_ENOUGH = 1e-6
# Variance within identities is at least this part of all variance, so that copies of clips do not divide by zero.
_LEAST = 1e-6


@dataclass(frozen=True)
class Plda:
    """A fitted model of F dimensions.

    Attributes:
        mean: (F,) m.
        between: (F, F) B.
        within: (F, F) W.
        basis: (F, F) A, with A' W A the identity matrix and A' B A diagonal.
        ratio: (F,) that diagonal.
    """

    mean: np.ndarray
    between: np.ndarray
    within: np.ndarray
    basis: np.ndarray
    ratio: np.ndarray

    def project(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (n, F) in the basis that `ratios` and `lists` ask for."""
        return (vectors - self.mean) @ self.basis

    def ratios(self, asked: np.ndarray, means: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Log likelihood ratios (m,) that clips are of identities, against that they are of any other.

        Args:
            asked: (m, F) projected clips.
            means: (m, F) means of the projected clips that stand for identities.
            counts: (m,) how many clips these are means of.
        """
        n = np.asarray(counts, np.float64)[:, None]
        left = self.ratio / (1 + n * self.ratio)
        alone = np.log1p(self.ratio) + asked**2 / (1 + self.ratio)
        return 0.5 * (alone - np.log1p(left) - (asked - n * left * means) ** 2 / (1 + left)).sum(axis=1)

    def lists(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of projected vectors (n, F) two (n, F + 1) whose products rank clips as the ratios of pairs do.

        What depends on the clip that asks alone is left out.
        """
        both = self.ratio / (1 + 2 * self.ratio)
        alone = -0.5 * (vectors**2 * (both * self.ratio / (1 + self.ratio))).sum(axis=1, keepdims=True)
        return np.hstack([vectors * both, np.ones_like(alone)]), np.hstack([vectors, alone])


def make_plda(mean: np.ndarray, between: np.ndarray, within: np.ndarray) -> Plda:
    """The model of a mean (F,) and covariances (F, F), of which that within is positive definite."""
    basis, _, ratio = _diagonal(between, within)
    return Plda(mean, between, within, basis, ratio)


def is_enough(labels: np.ndarray) -> bool:
    """Whether clips of these identities tell both variances: two identities, and two clips of one of them."""
    return 2 <= len(np.unique(labels)) < len(labels)


def fit_plda(vectors: np.ndarray, labels: np.ndarray, shrink: float = 0.02) -> Plda:
    """Fit m, B and W to clips by expectation maximisation, from the scatters of the identities' means and around them.

    Args:
        vectors: (n, F); fewer clips or identities than dimensions will do.
        labels: (n,) identities.
        shrink: Weight, as a part of n, of clips that know of no direction (an inverse Wishart prior of W); at 0 and with
            more than F clips beyond one an identity the likelihood's maximum.

    Raises:
        ValueError: one identity, or no two clips of one.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    names, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    size, weight = vectors.shape[1], len(vectors) * (1 + shrink)
    if not is_enough(labels):
        raise ValueError(
            f"PLDA learns from two identities or more and several clips of one; here are {len(names)} and {len(vectors)} clips"
        )
    means = np.zeros((len(names), size))
    np.add.at(means, place, vectors)
    means /= counts[:, None]
    around = vectors - means[place]
    least = max(_LEAST * np.var(vectors, axis=0).sum(), 1e-30)
    typical = max((around**2).sum() / (len(vectors) - len(names)), least) / max(size, 1)
    scatter = around.T @ around + shrink * len(vectors) * typical * np.eye(size)
    mean = means.mean(axis=0)
    between, within = np.cov(means.T, bias=True).reshape(size, size), scatter / weight
    reached = -np.inf
    for _ in range(_STEPS):
        basis, back, ratio = _diagonal(between, within)
        centred, inside = (means - mean) @ basis, basis.T @ scatter @ basis
        told = _likelihood(centred, inside, ratio, counts, np.linalg.slogdet(within)[1], weight)
        if told - reached < _ENOUGH * len(vectors):
            break
        reached = told
        n = counts[:, None]
        left = ratio / (1 + n * ratio)
        identity = n * left * centred
        shift = identity.mean(axis=0)
        other, rest = identity - shift, centred - identity
        within = back @ (inside + (n * rest).T @ rest + np.diag((n * left).sum(axis=0))) @ back.T / weight
        between = back @ (other.T @ other + np.diag(left.sum(axis=0))) @ back.T / len(names)
        mean = mean + back @ shift
    return make_plda(mean, between, within)


def _diagonal(between: np.ndarray, within: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The basis A, the inverse of its transpose, and the diagonal of A' B A."""
    root = np.linalg.cholesky(within)
    half = solve_triangular(root, between, lower=True)
    ratio, turn = np.linalg.eigh(solve_triangular(root, half.T, lower=True))
    return solve_triangular(root, turn, lower=True, trans="T"), root @ turn, np.maximum(ratio, 0.0)


def _likelihood(
    means: np.ndarray, inside: np.ndarray, ratio: np.ndarray, counts: np.ndarray, volume: float, weight: float
) -> float:
    """Log likelihood of all clips with the prior of W, but for constants."""
    spread = 1 + counts[:, None] * ratio
    means_part = (np.log(spread) + counts[:, None] * means**2 / spread).sum()
    return -0.5 * (weight * volume + means_part + np.trace(inside))
