"""The nearest mean of a class, by cosine or Euclidean distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmark.config.schema_probe import CentroidSettings, Scaling
from benchmark.probes.neighbours import prepare
from benchmark.probes.registry import Question
from benchmark.probes.scaling import fit_scaling

_ROWS = 16384


@dataclass(frozen=True)
class CentroidFit:
    """The means of each fold's classes, for each metric.

    Attributes:
        means: Metric -> (K, C, F) float32; NaN for a class that a training part lacks.
        shift, inverse: (K, F) float32 of the scaling.
        metric, scores: K choices and their validation scores (None where there was no choice).
    """

    means: dict[str, torch.Tensor]
    shift: torch.Tensor
    inverse: torch.Tensor
    metric: list[str]
    scores: list[float | None]

    def posterior(self, fold: int, features: torch.Tensor) -> np.ndarray:
        """Answer for features (n, F): the softmax (n, C) float64 of the similarities; 0 for a class not in training."""
        return self.answer(fold, features, self.metric[fold])

    def choices(self) -> list[dict[str, Any]]:
        """The metric of each fold."""
        return [
            {"metric": metric, **({} if score is None else {"valid": score})}
            for metric, score in zip(self.metric, self.scores, strict=True)
        ]

    def answer(self, fold: int, features: torch.Tensor, metric: str) -> np.ndarray:
        """Answers by one metric."""
        means = prepare(self.means[metric][fold], metric)
        parts = []
        for start in range(0, len(features), _ROWS):
            block = prepare((features[start : start + _ROWS] - self.shift[fold]) * self.inverse[fold], metric)
            similarity = (block @ means.T).to(torch.float64)
            if metric == "euclidean":
                similarity -= 0.5 * (means * means).sum(1).to(torch.float64)
            similarity = similarity.masked_fill(means[:, 0].isnan(), -torch.inf)
            parts.append(torch.softmax(similarity, 1).cpu().numpy())
        return np.concatenate(parts) if parts else np.empty((0, len(means)))


def class_means(features: torch.Tensor, labels: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Means (C, F) of the rows (n, F) of each class, NaN for a class without rows."""
    total = torch.zeros(n_classes, features.shape[1], dtype=torch.float64, device=features.device)
    total.index_add_(0, labels, features.to(torch.float64))
    count = torch.bincount(labels, minlength=n_classes).to(torch.float64)
    return (total / torch.where(count == 0, torch.nan, count)[:, None]).to(torch.float32)


def solve(features: torch.Tensor, question: Question, settings: CentroidSettings) -> CentroidFit:
    """Fit a question of classes; the first metric wins where validation scores are equal.

    The cosine's means are those of rows of length one. Class weights change no mean.
    """
    if question.kind != "multiclass":
        raise ValueError("the nearest centroid answers multiclass questions alone; use logistic, ridge or knn")
    device = features.device
    labels = torch.from_numpy(np.asarray(question.labels, dtype=np.int64)).to(device)
    train = [torch.from_numpy(split.train).to(device) for split in question.splits]
    fit = fit_means(features, labels, train, question.n_classes, settings.scaling, settings.metric)
    for fold, split in enumerate(question.splits):
        best = (settings.metric[0], None)
        if len(settings.metric) > 1:
            valid = features[torch.from_numpy(split.valid).to(device)]
            scores = [question.score(fold, fit.answer(fold, valid, metric)) for metric in settings.metric]
            best = (settings.metric[int(np.argmax(scores))], float(max(scores)))
        fit.metric.append(best[0])
        fit.scores.append(best[1])
    return fit


def fit_means(
    features: torch.Tensor,
    labels: torch.Tensor,
    train: Sequence[torch.Tensor],
    n_classes: int,
    scaling: Scaling,
    metrics: Sequence[str],
) -> CentroidFit:
    """The means of the rows of each part in `train` under each metric; nothing is chosen yet."""
    parts = torch.zeros(len(train), len(features), dtype=torch.bool, device=features.device)
    for fold, rows in enumerate(train):
        if not len(rows):
            raise ValueError(f"fold {fold} has no training rows")
        parts[fold, rows] = True
    shift, scale = fit_scaling(features, parts, scaling)
    shift, inverse = shift.to(torch.float32), (1 / scale).to(torch.float32)
    means = {}
    for metric in metrics:
        rows_of = (prepare((features[rows] - shift[fold]) * inverse[fold], metric) for fold, rows in enumerate(train))
        each = [class_means(block, labels[rows], n_classes) for block, rows in zip(rows_of, train, strict=True)]
        means[metric] = torch.stack(each)
    return CentroidFit(means, shift, inverse, [], [])
