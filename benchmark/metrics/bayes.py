"""Bayesian signed-rank test: how probable is it that one embedding is better than another, over tasks?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_SAMPLES = 50_000
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Belief:
    """Probabilities that the first is better, that the two are as good, and that the second is better; their sum is 1."""

    first: float
    same: float
    second: float


def signed_rank(differences: Sequence[float], rope: float = 0.01, prior: float = 0.5, seed: int = 0) -> Belief:
    """Bayesian counterpart of Wilcoxon's signed-rank test (Benavoli et al., ICML 2014; JMLR 18, 2017, section 4.2).

    The distribution of differences has a Dirichlet process as its prior, of weight `prior` at zero; what is asked of it
    is whether the mean of two draws lies below, within or above the region of practical equivalence.

    Args:
        differences: of the first's scores less the second's, a task each.
        rope: half width of the region of practical equivalence; 0 for none.
        prior: weight of the prior, in tasks.
        seed: of the Monte-Carlo draws, 50,000 of them.

    Raises:
        ValueError: no task.
    """
    values = np.append(0.0, np.asarray(differences, dtype=np.float64))
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError("the test needs a task or more, with finite differences")
    sums = values[:, None] + values
    above, below = _step(sums - 2 * rope), _step(-sums - 2 * rope)
    rng = np.random.default_rng(seed)
    # Gamma variates are Dirichlet weights once divided by their sum.
    shape = np.append(prior, np.ones(len(values) - 1))
    step = max(1, _BLOCK // len(values))
    won = np.zeros(3)
    for start in range(0, _SAMPLES, step):
        weights = rng.standard_gamma(shape, (min(step, _SAMPLES - start), len(values)))
        weights /= weights.sum(1, keepdims=True)
        first = np.einsum("si,si->s", weights @ above, weights)
        second = np.einsum("si,si->s", weights @ below, weights)
        shares = np.stack([first, 1 - first - second, second], axis=1)
        if rope == 0:
            shares[:, 1] = -1.0
        won += np.bincount(np.argmax(shares, axis=1), minlength=3)
    first, same, second = (float(value) for value in won / _SAMPLES)
    return Belief(first, same, second)


def _step(values: np.ndarray) -> np.ndarray:
    """1 above zero, one half at zero up to rounding."""
    return np.where(np.abs(values) < 1e-12, 0.5, (values > 0).astype(np.float64))
