"""Scores of predicted numbers, pitches among them.

All functions take truth and answers, (n,) each; pitches are in semitones (MIDI numbers, which need not be whole).
"""

import numpy as np

from benchmark.metrics.classification import Metric

# Half a semitone; `mir_eval.melody` counts an error of exactly that as wrong, and so does this.
_TOLERANCE = 0.5


def r2(truth: np.ndarray, answers: np.ndarray) -> float:
    """Coefficient of determination; of a constant truth 1 where all is right, else 0, of one item NaN (scikit-learn)."""
    if len(truth) < 2:
        return float("nan")
    residual = float(np.sum((truth - answers) ** 2))
    total = float(np.sum((truth - np.mean(truth)) ** 2))
    if total == 0:
        return 1.0 if residual == 0 else 0.0
    return 1 - residual / total


def mae(truth: np.ndarray, answers: np.ndarray) -> float:
    """Mean absolute error, in the unit of the truth."""
    return float(np.mean(np.abs(truth - answers)))


def rmse(truth: np.ndarray, answers: np.ndarray) -> float:
    """Root of the mean squared error, in the unit of the truth."""
    return float(np.sqrt(np.mean((truth - answers) ** 2)))


def pitch_accuracy(truth: np.ndarray, answers: np.ndarray) -> float:
    """Part of the pitches that are right to less than half a semitone (raw pitch accuracy; Poliner et al. 2007)."""
    return float(np.mean(np.abs(truth - answers) < _TOLERANCE))


def chroma_accuracy(truth: np.ndarray, answers: np.ndarray) -> float:
    """`pitch_accuracy` where an error of whole octaves is none (raw chroma accuracy)."""
    error = truth - answers
    return float(np.mean(np.abs(error - 12 * np.floor(error / 12 + 0.5)) < _TOLERANCE))


def _drawn(score):
    """Expected score of answers drawn from the truth: every answer meets every truth."""

    def chance(truth: np.ndarray, n_classes: int) -> float:
        return float(np.mean([score(truth, np.full(len(truth), value)) for value in truth]))

    return chance


METRICS: dict[str, Metric] = {
    "r2": Metric(r2, ("regression",), True, lambda truth, n_classes: 0.0),
    "mae": Metric(mae, ("regression",), False, lambda truth, n_classes: mae(truth, np.median(truth))),
    "rmse": Metric(rmse, ("regression",), False, lambda truth, n_classes: rmse(truth, np.mean(truth))),
    "pitch_accuracy": Metric(pitch_accuracy, ("regression",), True, _drawn(pitch_accuracy)),
    "chroma_accuracy": Metric(chroma_accuracy, ("regression", "multiclass"), True, _drawn(chroma_accuracy)),
}
