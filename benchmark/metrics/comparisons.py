"""Is the difference between two embeddings on a task more than chance? Over folds, and over groups of clips."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from benchmark.metrics.additive import ADDITIVE
from benchmark.metrics.registry import METRICS

# Ways of swapping held at once: times groups, 32 MB.
_BLOCK = 4_000_000
# Metrics that must be computed way by way stop at this many clips in all, but not before the fewest ways.
_CLIPS, _FEWEST = 5_000_000, 500


@dataclass(frozen=True)
class TTest:
    """A difference, its standard error, t and the two-sided p; without spread t is infinite and p zero."""

    difference: float
    standard_error: float
    t: float
    p: float


@dataclass(frozen=True)
class Permutation:
    """A difference, its two-sided p, and how many ways of swapping were looked at: all there are, or a draw."""

    difference: float
    p: float
    ways: int
    is_exact: bool


def corrected_t_test(differences: Sequence[float], test_to_train: float, least_spread: float = 0.0) -> TTest:
    """Corrected resampled t-test (Nadeau & Bengio, Machine Learning 52, 2003, section 5).

    The training parts of folds overlap, so that folds are no independent samples; the variance of the mean is taken as
    (1 / k + n_test / n_train) s^2 instead of s^2 / k.

    Args:
        differences: (k,) of the scores of two embeddings, a fold each; k >= 2.
        test_to_train: n_test / n_train; 1 / (k - 1) for k-fold cross-validation.
        least_spread: standard deviation that the differences have at least, where the scores tell no less apart.
    """
    differences = np.asarray(differences, dtype=np.float64)
    k = len(differences)
    if k < 2:
        raise ValueError("a t-test needs two folds or more")
    mean = float(differences.mean())
    spread = max(float(differences.std(ddof=1)), least_spread)
    # A spread that is only rounding is none.
    error = float(np.sqrt(1 / k + test_to_train) * (spread if spread > 1e-12 else 0.0))
    if error == 0:
        return TTest(mean, 0.0, float(np.copysign(np.inf, mean)) if mean else 0.0, 0.0 if mean else 1.0)
    return TTest(mean, error, mean / error, float(2 * stdtr(k - 1, -abs(mean / error))))


def permutation_test(
    metric: str,
    truth: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    fold: np.ndarray,
    group: Sequence[str],
    seed: int = 0,
    draws: int = 10_000,
) -> Permutation:
    """Paired permutation test of two embeddings on the same test clips.

    If the embeddings are as good as each other, which of the two answers is whose does not matter; the answers of whole
    groups are swapped, since clips of a group (a speaker, a recording) go together. Compared is the mean over folds.
    Every way of swapping is looked at where there are at most `draws`; otherwise that many are drawn, and p is
    (1 + as extreme) / (1 + drawn) (Phipson & Smyth, 2010), which is never zero.

    Args:
        metric: name in `benchmark.metrics.registry.METRICS`.
        truth: (n,) classes, or (n, C) of 0 and 1.
        first, second: posteriors (n, C) of the two embeddings.
        fold: (n,) int, the fold that each clip is in the test part of.
        group: n groups.
        seed: of the draws.

    Returns:
        The difference is that of `first` less `second`.
    """
    truth, first, second = np.asarray(truth), np.asarray(first), np.asarray(second)
    _, number = np.unique(np.asarray(group), return_inverse=True)
    # Swapping a group that both answer alike changes nothing.
    differ = np.flatnonzero(np.bincount(number, weights=_differ(metric, truth, first, second)))
    parts = [np.flatnonzero(fold == f) for f in np.unique(fold)]
    if metric in ADDITIVE and truth.ndim == 1:
        score = _by_sums(metric, truth, first, second, parts, number, differ)
    else:
        score = _by_clips(metric, truth, first, second, parts, number, differ)
        draws = min(draws, max(_FEWEST, _CLIPS // max(1, len(truth))))
    observed = float(score(np.zeros((1, len(differ))))[0])
    # Swapping everything but some is swapping those, with the sign turned: half of the ways tell all.
    half = max(len(differ) - 1, 0)
    is_exact = half < 63 and 2**half <= draws
    ways = 2**half if is_exact else draws
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // max(1, len(differ)))
    extreme = 0
    for start in range(0, ways, step):
        rows = np.arange(start, min(start + step, ways))
        bits = np.arange(len(differ))
        swapped = (rows[:, None] >> bits) & 1 if is_exact else rng.integers(0, 2, (len(rows), len(bits)))
        extreme += int(np.sum(np.abs(score(swapped.astype(np.float64))) >= abs(observed) - 1e-12))
    p = extreme / ways if is_exact else (1 + extreme) / (1 + ways)
    return Permutation(observed, p, ways, is_exact)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """p-values corrected for how many there are (Holm, Scandinavian J. of Statistics 6, 1979), in their order.

    Calling significant what is at most 5 % here errs at all in at most 5 % of tables.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return corrected[np.argsort(order, kind="stable")]


def _differ(metric: str, truth: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n,) 1 where the two answers count differently."""
    if metric in ADDITIVE and truth.ndim == 1:
        counts = ADDITIVE[metric].counts
        return np.any(counts(truth, first) != counts(truth, second), axis=1).astype(np.float64)
    return np.any(first != second, axis=1).astype(np.float64)


def _by_sums(metric, truth, first, second, parts, number, differ):
    """The mean difference over folds, of ways of swapping (D, G) to (D,)."""
    counts, finish = ADDITIVE[metric].counts, ADDITIVE[metric].score
    folds = []
    place = np.full(number.max() + 1, -1)
    place[differ] = np.arange(len(differ))
    for part in parts:
        one, other = counts(truth[part], first[part]), counts(truth[part], second[part])
        step = np.zeros((len(differ) + 1, one.shape[1]))
        np.add.at(step, place[number[part]], other - one)
        here = np.flatnonzero(step[:-1].any(axis=1))
        folds.append((one.sum(0), other.sum(0), here, step[here]))

    def score(swapped: np.ndarray) -> np.ndarray:
        total = np.zeros(len(swapped))
        for one, other, here, step in folds:
            moved = swapped[:, here] @ step
            total += finish(one + moved) - finish(other - moved)
        return total / len(folds)

    return score


def _by_clips(metric, truth, first, second, parts, number, differ):
    """The same for a metric of any kind, way by way."""
    function = METRICS[metric].function

    def score(swapped: np.ndarray) -> np.ndarray:
        found = np.zeros(len(swapped))
        for i, row in enumerate(swapped):
            swap = np.isin(number, differ[row > 0])[:, None]
            one, other = np.where(swap, second, first), np.where(swap, first, second)
            found[i] = np.mean([function(truth[p], one[p]) - function(truth[p], other[p]) for p in parts])
        return found

    return score
