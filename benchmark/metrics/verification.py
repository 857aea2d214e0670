"""Scores of pairs: are two clips of the same identity?

Functions take `same` (m,) bool and scores (m,), higher for the same; they are NaN where pairs of one sort are missing.
Scores of equal value are decided alike, as one step of the curve.
"""

import numpy as np


def error_rates(same: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Misses and false alarms at every threshold, from refusing all pairs to accepting all: two arrays of fractions."""
    order = np.argsort(-score, kind="stable")
    same, score = np.asarray(same, dtype=bool)[order], score[order]
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    accepted = np.cumsum(same)[last]
    misses = 1 - np.append(0, accepted) / same.sum()
    alarms = np.append(0, last + 1 - accepted) / (~same).sum()
    return misses, alarms


def eer(same: np.ndarray, score: np.ndarray) -> float:
    """Equal error rate: where misses and false alarms are as many, on the curve drawn straight between thresholds."""
    if np.all(same) or not np.any(same):
        return float("nan")
    misses, alarms = error_rates(same, score)
    # Misses fall and false alarms rise, so the first point beyond the crossing ends the stretch that holds it.
    after = int(np.argmax(alarms >= misses))
    before = after - 1
    gap_before, gap_after = misses[before] - alarms[before], alarms[after] - misses[after]
    weight = gap_before / (gap_before + gap_after)
    return float(alarms[before] + weight * (alarms[after] - alarms[before]))


def min_dcf(same: np.ndarray, score: np.ndarray, p_target: float) -> float:
    """Least detection cost over thresholds, of costs 1 (NIST SRE 2010 and later): 1 is that of not listening.

    Args:
        p_target: how probable the same identity is.
    """
    if np.all(same) or not np.any(same):
        return float("nan")
    misses, alarms = error_rates(same, score)
    return float(np.min(p_target * misses + (1 - p_target) * alarms) / min(p_target, 1 - p_target))
