"""Answers of items compared with the truth, whatever the kind of task."""

from dataclasses import dataclass

import numpy as np

from benchmark.metrics.classification import predict
from benchmark.metrics.registry import METRICS


@dataclass(frozen=True)
class Scorer:
    """How answers are compared with the truth.

    Attributes:
        kind: `multiclass`, `multilabel`, `slots` or `regression`.
        values: (C,) the number that each class stands for, or None.
    """

    kind: str
    values: np.ndarray | None = None

    def score(self, metric: str, truth: np.ndarray, answers: np.ndarray) -> float:
        """Score answers (m, C), or the mean score of D draws (D, m, C)."""
        if answers.ndim == 3:
            return float(np.mean([self.score(metric, truth, draw) for draw in answers]))
        return METRICS[metric].function(*self.seen_by(metric, truth, answers))

    def seen_by(self, metric: str, truth: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Truth and answers as a metric takes them: as they are, or the numbers that classes stand for."""
        if self.kind == "regression":
            return truth, answers[..., 0].astype(np.float64)
        if self.kind == "multiclass" and "regression" in METRICS[metric].kinds:
            if self.values is None:
                raise ValueError(f"{metric} needs classes that stand for numbers")
            return self.values[truth], self.values[predict(answers)]
        return truth, answers
