"""95 % intervals of a score, by a bootstrap over groups.

Clips of a group (a speaker, a recording, a site) are no independent witnesses, so groups are drawn, not clips (cluster
bootstrap; Field & Welsh, J. R. Stat. Soc. B 69, 2007). The probes are not trained again: the interval says how far the
score would move with other test material from the same source, not with other training material.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import t as student

from benchmark.metrics.additive import ADDITIVE, score_clips
from benchmark.metrics.classification import marks

# Numbers held at once, draws times groups or clips: 32 MB.
_BLOCK = 4_000_000
# Metrics that must be computed draw by draw stop at this many clips in all, but not before the fewest draws.
_CLIPS, _FEWEST = 5_000_000, 200

Scorer = Callable[[np.ndarray], np.ndarray]


def bootstrap_interval(
    metric: str,
    truth: np.ndarray,
    posterior: np.ndarray,
    fold: np.ndarray,
    group: Sequence[str],
    seed: int = 0,
    draws: int = 1000,
    coverage: float = 0.95,
) -> tuple[float, float] | None:
    """Interval of the mean over folds of a metric of n test clips.

    A draw takes as many groups as there are, with replacement; a fold counts by the share of its clips that were drawn,
    so that folds of one group are no obstacle. The ends are percentiles, set further out where groups are few
    (Hesterberg, "What teachers should know about the bootstrap", 2015, section 5.1).

    Args:
        metric: name in `benchmark.metrics.registry.METRICS`.
        truth: (n,) classes, or (n, C) of 0 and 1.
        posterior: (n, C).
        fold: (n,) int, the fold that each clip is in the test part of.
        group: n groups.
        seed: of the draws.

    Returns:
        Lower and upper end; None where the draws say nothing: fewer than two groups, or every draw has the same score.
    """
    truth, posterior = np.asarray(truth), np.asarray(posterior)
    number, parts = _numbered(group, fold)
    scorers, is_slow = _scorers(metric, truth, posterior, parts, number)
    if is_slow:
        draws = min(draws, max(_FEWEST, _CLIPS // max(len(number), 1)))
    return _interval(scorers, number, parts, seed, draws, coverage)


def counts_interval(
    counts: np.ndarray,
    score: Callable[[np.ndarray], np.ndarray],
    fold: np.ndarray,
    group: Sequence[str],
    seed: int = 0,
    draws: int = 1000,
    coverage: float = 0.95,
) -> tuple[float, float] | None:
    """`bootstrap_interval` of a metric that is a function of sums over clips, such as those of events.

    Args:
        counts: (n, Q) of each test clip.
        score: sums (..., Q) to scores (...).
    """
    number, parts = _numbered(group, fold)
    scorers = [_summed(counts[part], score, number[part]) for part in parts]
    return _interval(scorers, number, parts, seed, draws, coverage)


def _numbered(group: Sequence[str], fold: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The number of each clip's group (n,), and the clips of each fold."""
    number = np.unique(np.asarray(group), return_inverse=True)[1]
    folds, place = np.unique(np.asarray(fold), return_inverse=True)
    return number, [np.flatnonzero(place == f) for f in range(len(folds))]


def _interval(
    scorers: Sequence[Scorer], number: np.ndarray, parts: Sequence[np.ndarray], seed: int, draws: int, coverage: float
) -> tuple[float, float] | None:
    groups, clips = int(number.max(initial=-1)) + 1, len(number)
    if groups < 2:
        return None
    sizes = np.stack([np.bincount(number[part], minlength=groups) / len(part) for part in parts], axis=1)
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // max(groups, clips))
    values = []
    for start in range(0, draws, step):
        count = min(step, draws - start)
        taken = rng.integers(0, groups, (count, groups)) + groups * np.arange(count)[:, None]
        weights = np.bincount(taken.ravel(), minlength=count * groups).reshape(count, groups).astype(np.float64)
        share = weights @ sizes
        scores = np.stack([score(weights) for score in scorers], axis=1)
        share = np.where(np.isfinite(scores), share, 0.0)
        total = share.sum(1)
        there = total > 0
        values.append((share * np.nan_to_num(scores)).sum(1)[there] / total[there])
    found = np.concatenate(values)
    if not len(found) or np.ptp(found) < 1e-12:
        return None
    outer = ndtr(np.sqrt(groups / (groups - 1)) * student.ppf((1 - coverage) / 2, groups - 1))
    low, high = np.quantile(found, [outer, 1 - outer])
    return float(low), float(high)


def _scorers(
    metric: str, truth: np.ndarray, posterior: np.ndarray, parts: Sequence[np.ndarray], number: np.ndarray
) -> tuple[list[Scorer], bool]:
    """A function a fold from weights of groups (D, G) to scores (D,); and whether it goes draw by draw."""
    if metric in ADDITIVE and truth.ndim == 1:
        return [_additive(metric, truth[part], posterior[part], number[part]) for part in parts], False
    if metric in _RANKED:
        truth = marks(truth, posterior.shape[1])
    is_known = truth.ndim == 2 and bool(np.isin(truth, (0, 1)).all())
    if metric in _RANKED and is_known:
        return [_ranked(metric, truth[part], posterior[part], number[part]) for part in parts], True
    return [_any(metric, truth[part], posterior[part], number[part]) for part in parts], True


def _additive(metric: str, truth: np.ndarray, posterior: np.ndarray, number: np.ndarray) -> Scorer:
    return _summed(ADDITIVE[metric].counts(truth, posterior), ADDITIVE[metric].score, number)


def _summed(counts: np.ndarray, score: Callable[[np.ndarray], np.ndarray], number: np.ndarray) -> Scorer:
    here, place = np.unique(number, return_inverse=True)
    sums = np.zeros((len(here), counts.shape[1]))
    np.add.at(sums, place, counts)
    return lambda weights: score(weights[:, here] @ sums)


def _any(metric: str, truth: np.ndarray, posterior: np.ndarray, number: np.ndarray) -> Scorer:
    def score(weights: np.ndarray) -> np.ndarray:
        repeats = weights.astype(np.int64)[:, number]
        return np.array([score_clips(metric, truth, posterior, row) for row in repeats])

    return score


def _ranked(metric: str, truth: np.ndarray, posterior: np.ndarray, number: np.ndarray) -> Scorer:
    """Mean over classes of a metric of clips in the order of their scores, each class sorted once."""
    of_class = []
    for c in range(truth.shape[1]):
        order = np.argsort(-posterior[:, c], kind="stable")
        last = np.append(np.flatnonzero(np.diff(posterior[order, c])), len(order) - 1)
        of_class.append((number[order], truth[order, c] > 0, last))

    def score(weights: np.ndarray) -> np.ndarray:
        total, counted = np.zeros(len(weights)), np.zeros(len(weights))
        for groups, positive, last in of_class:
            drawn = weights[:, groups]
            hits = np.cumsum(drawn * positive, axis=1)[:, last]
            value = _RANKED[metric](hits, np.cumsum(drawn, axis=1)[:, last])
            total += np.nan_to_num(value)
            counted += np.isfinite(value)
        mean = np.divide(total, counted, out=np.full(len(total), np.nan), where=counted > 0)
        return np.sqrt(2) * ndtri(np.clip(mean, 1e-6, 1 - 1e-6)) if metric == "d_prime" else mean

    return score


def _average_precision(hits: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """(D,) from the weight of positive and of all clips down to each distinct score (D, m)."""
    steps = np.diff(hits, prepend=0, axis=1)
    precision = np.divide(hits, answers, out=np.zeros_like(hits), where=answers > 0)
    return _ratio((steps * precision).sum(1), hits[:, -1])


def _area(hits: np.ndarray, answers: np.ndarray) -> np.ndarray:
    misses = answers - hits
    steps = np.diff(misses, prepend=0, axis=1)
    # Equal scores count one half.
    area = (steps * (hits - np.diff(hits, prepend=0, axis=1) / 2)).sum(1)
    return _ratio(area, hits[:, -1] * misses[:, -1])


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)


_RANKED = {"map": _average_precision, "auroc": _area, "d_prime": _area}
