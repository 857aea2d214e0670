"""Ridge regression of all folds over a path of penalties, in closed form by one eigendecomposition a fold.

The objective is `sum_i v_i |y_i - W x_i - b|^2 + alpha |W|^2` on scaled features, bias free, as in scikit-learn. Classes
are regressed one against the rest on targets of -1 and 1 (RidgeClassifier). Generalised cross-validation: Golub, Heath &
Wahba, "Generalized cross-validation as a method for choosing a good ridge parameter", Technometrics 1979.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmark.config.schema_probe import RidgeSettings
from benchmark.probes.registry import Question
from benchmark.probes.scaling import fit_scaling
from benchmark.probes.weights import class_weights

_ROWS = 16384


@dataclass(frozen=True)
class RidgeFit:
    """One ridge regression a fold, at the penalty that was chosen.

    Attributes:
        weights: K of (C, F) float64, of scaled features.
        bias: K of (C,) float64.
        shift: (K, F) float64 of the scaling.
        scale: (K, F) float64 of the scaling.
        chosen: (K,) the chosen penalty.
        scores: (K, L) validation score, or minus the GCV error, at each penalty, ascending.
        kind: Of the question.
    """

    weights: list[torch.Tensor]
    bias: list[torch.Tensor]
    shift: torch.Tensor
    scale: torch.Tensor
    chosen: np.ndarray
    scores: np.ndarray
    kind: str

    def posterior(self, fold: int, features: torch.Tensor) -> np.ndarray:
        """Answer for features (n, F): numbers (n, D), or (n, C) that order as the regressed targets do."""
        return _answers(self._values(fold, features), self.kind)

    def _values(self, fold: int, features: torch.Tensor) -> torch.Tensor:
        blocks = (features[start : start + _ROWS] for start in range(0, len(features), _ROWS))
        scaled = ((block.to(torch.float64) - self.shift[fold]) / self.scale[fold] for block in blocks)
        return torch.cat([block @ self.weights[fold].T + self.bias[fold] for block in scaled])

    def choices(self) -> list[dict[str, Any]]:
        """The penalty of each fold, and its score."""
        return [
            {"alpha": float(alpha), "valid": float(scores.max())}
            for alpha, scores in zip(self.chosen, self.scores, strict=True)
        ]


def _answers(values: torch.Tensor, kind: str) -> np.ndarray:
    """Numbers as they are; a softmax (multilabel: sigmoids) of twice a regressed target of -1 or 1."""
    if kind == "regression":
        return values.cpu().numpy()
    return (torch.softmax(2 * values, -1) if kind == "multiclass" else torch.sigmoid(2 * values)).cpu().numpy()


def solve(features: torch.Tensor, question: Question, settings: RidgeSettings) -> RidgeFit:
    """Fit a question of any kind; of equal scores the largest penalty wins. Test rows are never read."""
    targets = _targets(question)
    path = np.unique(np.asarray(settings.alpha, dtype=np.float64))
    parts = torch.zeros(len(question.splits), len(features), dtype=torch.bool)
    for fold, split in enumerate(question.splits):
        if not len(split.train) or (not len(split.valid) and settings.select == "validation"):
            raise ValueError(f"fold {fold} has no training or no validation rows")
        parts[fold, split.train] = True
    shift, scale = fit_scaling(features, parts.to(features.device), settings.scaling)
    scores = np.empty((len(question.splits), len(path)))
    weights, bias, chosen = [], [], []
    for fold, split in enumerate(question.splits):
        say = np.ones(len(split.train))
        if settings.class_weight:
            if question.kind != "multiclass":
                raise ValueError("ridge has class weights for multiclass tasks alone; use logistic")
            say = class_weights(question.labels[split.train], question.n_classes)
        solution = _Path(features, targets, split.train, say, shift[fold], scale[fold])
        if settings.select == "gcv":
            scores[fold] = [-solution.gcv(alpha) for alpha in path]
        else:
            valid = (features[split.valid].to(torch.float64) - shift[fold]) / scale[fold]
            for number, alpha in enumerate(path):
                weight, offset = solution.at(alpha)
                scores[fold, number] = question.score(fold, _answers(valid @ weight.T + offset, question.kind))
        best = len(path) - 1 - int(np.argmax(scores[fold, ::-1]))
        weight, offset = solution.at(path[best])
        weights.append(weight)
        bias.append(offset)
        chosen.append(path[best])
    return RidgeFit(weights, bias, shift, scale, np.array(chosen), scores, question.kind)


def _targets(question: Question) -> torch.Tensor:
    """Regressed targets (n, C)."""
    labels = np.asarray(question.labels)
    if question.kind == "regression":
        values = labels.astype(np.float64).reshape(len(labels), -1)
    elif question.kind == "multiclass":
        values = np.where(labels[:, None] == np.arange(question.n_classes), 1.0, -1.0)
    else:
        if (labels < 0).any():
            raise ValueError("ridge cannot leave out labels that are unknown; use logistic")
        values = 2.0 * labels - 1
    return torch.from_numpy(values)


class _Path:
    """The solutions of one fold for all penalties: an eigendecomposition of the smaller of Gram and kernel matrix."""

    def __init__(
        self,
        features: torch.Tensor,
        targets: torch.Tensor,
        train: np.ndarray,
        say: np.ndarray,
        shift: torch.Tensor,
        scale: torch.Tensor,
    ):
        device, dim, count = features.device, features.shape[1], len(train)
        say = torch.from_numpy(say).to(device)[:, None]
        y = targets[torch.from_numpy(train)].to(device)
        blocks = [slice(start, start + _ROWS) for start in range(0, count, _ROWS)]

        def scaled(rows: slice) -> torch.Tensor:
            return (features[train[rows]].to(torch.float64) - shift) / scale

        # With the weighted means taken away the bias is free and comes afterwards.
        total = say.sum()
        self.mean = sum((say[rows] * scaled(rows)).sum(0) for rows in blocks) / total
        self.centre = (say * y).sum(0) / total
        root = say.sqrt()
        y = root * (y - self.centre)
        self.count, self.norm = count, (y * y).sum(0)
        if dim <= count:
            gram = torch.zeros(dim, dim, dtype=torch.float64, device=device)
            cross = torch.zeros(dim, y.shape[1], dtype=torch.float64, device=device)
            for rows in blocks:
                x = root[rows] * (scaled(rows) - self.mean)
                gram += x.T @ x
                cross += x.T @ y[rows]
            values, self.basis = torch.linalg.eigh(gram)
            self.product = self.basis.T @ cross
        else:
            x = root * (scaled(slice(None)) - self.mean)
            values, vectors = torch.linalg.eigh(x @ x.T)
            kept = values > 1e-12 * values[-1].clamp(min=1e-30)
            values = values[kept]
            self.basis = x.T @ (vectors[:, kept] / values.sqrt())
            self.product = values.sqrt()[:, None] * (vectors[:, kept].T @ y)
        self.values = values.clamp(min=0)

    def at(self, alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights (C, F) and bias (C,) at one penalty."""
        weight = (self.basis @ (self.product / (self.values + alpha)[:, None])).T
        return weight, self.centre - weight @ self.mean

    def gcv(self, alpha: float) -> float:
        """Generalised cross-validation error, mean over columns; the bias counts as a parameter."""
        shrunk = self.values / (self.values + alpha)
        explained = torch.where(self.values > 0, 1 / self.values.clamp(min=1e-300), 0.0)[:, None] * self.product**2
        residual = self.norm - (explained * (1 - (1 - shrunk[:, None]) ** 2)).sum(0)
        free = self.count - 1 - float(shrunk.sum())
        return float(self.count * residual.clamp(min=0).mean() / max(free, 1e-9) ** 2)
