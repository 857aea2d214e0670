"""Regularised logistic regression of all folds over a path of penalties, as one batched program."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmark.config.schema_probe import LogisticSettings
from benchmark.metrics.folds import Split
from benchmark.probes.design import make_design
from benchmark.probes.registry import Question
from benchmark.probes.solver import Problem, solve_path
from benchmark.probes.weights import class_weights

# Added to the logit of a class that a training part lacks: its probability is 0 in float32 and float64.
_ABSENT = -1e4
_ROWS = 16384


@dataclass(frozen=True)
class LogisticFit:
    """One logistic regression a fold, at the C that its validation part chose.

    Attributes:
        weights: (K, C, F) of scaled features; a single column for two classes.
        bias: (K, C).
        shift: (K, F) float64 of the scaling.
        scale: (K, F) float64 of the scaling.
        chosen: (K,) the chosen C.
        valid_scores: (K, L) validation score at each C, ascending.
        path: (L,) the values of C, ascending.
        iterations: (K, L) iterations at each C (multilabel: the largest over classes).
        multilabel: Whether columns are independent.
    """

    weights: torch.Tensor
    bias: torch.Tensor
    shift: torch.Tensor
    scale: torch.Tensor
    chosen: np.ndarray
    valid_scores: np.ndarray
    path: np.ndarray
    iterations: np.ndarray
    multilabel: bool

    def posterior(self, fold: int, features: torch.Tensor) -> np.ndarray:
        """Compute posteriors (n, C) float64 of features (n, F) by the model of one fold."""
        return _posterior(
            self.weights[fold], self.bias[fold], self.shift[fold], self.scale[fold], features, self.multilabel
        )

    def choices(self) -> list[dict[str, Any]]:
        """The C of each fold, and its score on the validation part."""
        return [
            {"C": float(c), "valid": float(scores.max())}
            for c, scores in zip(self.chosen, self.valid_scores, strict=True)
        ]


def solve(features: torch.Tensor, question: Question, settings: LogisticSettings) -> LogisticFit:
    """Fit a question of classes; the features are overwritten."""
    if question.kind == "regression":
        raise ValueError("logistic regression answers no question of numbers; use ridge")
    return fit_logistic(
        features, question.labels, question.splits, question.n_classes, settings, question.score,
        question.kind == "multilabel", overwrite=True,
    )  # fmt: skip


def _link(logits: torch.Tensor, multilabel: bool) -> np.ndarray:
    """Turn logits (..., C, n) into posteriors (..., n, C) float64; a single multiclass column means two classes."""
    logits = logits.to(torch.float64).transpose(-1, -2)
    if multilabel:
        return torch.sigmoid(logits).cpu().numpy()
    if logits.shape[-1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], -1)
    return torch.softmax(logits, -1).cpu().numpy()


def _posterior(
    weights: torch.Tensor,
    bias: torch.Tensor,
    shift: torch.Tensor,
    scale: torch.Tensor,
    features: torch.Tensor,
    multilabel: bool,
) -> np.ndarray:
    """Compute posteriors (..., n, C) for weights (..., C, F), bias (..., C) and one fold's scaling."""
    parts = []
    for start in range(0, len(features), _ROWS):
        block = features[start : start + _ROWS]
        scaled = ((block.to(torch.float64) - shift) / scale).to(weights.dtype)
        parts.append(_link(weights @ scaled.T + bias[..., None], multilabel))
    return np.concatenate(parts, axis=-2)


def fit_logistic(
    features: torch.Tensor,
    labels: np.ndarray,
    splits: Sequence[Split],
    n_classes: int,
    settings: LogisticSettings,
    score: Callable[[int, np.ndarray], float],
    multilabel: bool = False,
    overwrite: bool = False,
) -> LogisticFit:
    """Fit every fold at every C, and choose a C per fold on its validation part.

    The objective at one C is scikit-learn's: `C * sum_i loss_i + |W|^2 / 2`, bias free; multinomial for three classes
    or more, a single sigmoid column for two, one column a class when multilabel. Of equal validation scores the
    smallest C wins. A class that a training part lacks has posterior 0. Test rows are never read.

    Args:
        features: (n, F) float.
        labels: (n,) int, or (n, C) of 0 and 1.
        splits: K splits of the rows.
        n_classes: C.
        settings: Grid, tolerance and scaling.
        score: Maps a fold and the posteriors (n_valid, C) of its validation rows to a score; higher is better.
        multilabel: Whether labels are (n, C).
        overwrite: Spare memory by rescaling `features` in place; the fit is then of the rescaled features.
    """
    dtype = getattr(torch, settings.dtype)
    device, rows = features.device, len(features)
    parts = torch.zeros(len(splits), rows, dtype=torch.bool)
    for fold, split in enumerate(splits):
        if not len(split.train) or not len(split.valid):
            raise ValueError(f"fold {fold} has no training or no validation rows")
        parts[fold, split.train] = True
    path = np.unique(np.asarray(settings.C, dtype=np.float64))
    design = make_design(features, parts.to(device), settings.scaling, dtype, overwrite)
    problem, columns = _problem(labels, parts.numpy(), splits, n_classes, settings, multilabel, path, dtype, device)
    coordinates, bias, iterations = solve_path(design, problem, settings.tol, settings.max_iter)

    # Members are fold-major; a fold's members are one softmax or several single columns.
    folds = len(splits)
    weights = torch.stack([design.weights(coordinates[:, i], problem.folds) for i in range(len(path))], 1)
    weights = (
        weights.view(folds, -1, len(path), *weights.shape[2:]).transpose(1, 2).reshape(folds, len(path), columns, -1)
    )
    bias = bias.view(folds, -1, len(path), bias.shape[2]).transpose(1, 2).reshape(folds, len(path), columns)
    scores = np.empty((folds, len(path)))
    for fold, split in enumerate(splits):
        valid = features[torch.from_numpy(split.valid).to(device)]
        scaling = (design.shift64[fold], design.scale64[fold])
        posteriors = _posterior(weights[fold], bias[fold], *scaling, valid, multilabel)
        scores[fold] = [score(fold, posterior) for posterior in posteriors]
    best = np.argmax(scores, axis=1)
    each, picked = torch.arange(folds), torch.from_numpy(best)
    return LogisticFit(
        weights=weights[each, picked],
        bias=bias[each, picked],
        shift=design.shift64,
        scale=design.scale64,
        chosen=path[best],
        valid_scores=scores,
        path=path,
        iterations=iterations.view(folds, -1, len(path)).amax(1).numpy(),
        multilabel=multilabel,
    )


def _problem(
    labels: np.ndarray,
    parts: np.ndarray,
    splits: Sequence[Split],
    n_classes: int,
    settings: LogisticSettings,
    multilabel: bool,
    path: np.ndarray,
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[Problem, int]:
    """Lay out the members: a softmax a fold, or a sigmoid a fold and column."""
    folds = len(splits)
    weights = parts.astype(np.float64)
    if multilabel or n_classes == 2:
        targets = np.asarray(labels if multilabel else labels[:, None], dtype=np.float64).T
        columns = len(targets)
        positive = (weights @ targets.T).reshape(-1, 1)
        total = np.repeat(weights.sum(1), columns)[:, None]
        members = np.repeat(np.arange(folds), columns)
        weights = weights[members]
        targets = np.tile(targets, (folds, 1))[:, None]
        if settings.class_weight:
            for member, fold in enumerate(members):
                train = splits[fold].train
                weights[member, train] = class_weights(targets[member, 0, train].astype(np.int64), 2)
        # A column of one value has no finite solution: it keeps that value, with no weight in the likelihood.
        offset = np.where(positive == 0, -20.0, np.where(positive == total, 20.0, 0.0))
        weights[offset[:, 0] != 0] = 0
        targets = targets.astype(settings.dtype)
    else:
        columns, members = n_classes, np.arange(folds)
        targets = np.broadcast_to(np.asarray(labels, dtype=np.int64), (folds, 1, len(labels)))
        offset = np.full((folds, n_classes), _ABSENT)
        for fold, split in enumerate(splits):
            offset[fold, np.unique(labels[split.train])] = 0
            if settings.class_weight:
                weights[fold, split.train] = class_weights(labels[split.train], n_classes)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.array(array)).to(device)

    problem = Problem(
        targets=tensor(targets),
        weights=tensor(weights.astype(settings.dtype)),
        folds=tensor(members),
        offset=tensor(offset.astype(settings.dtype)),
        path=tensor(np.broadcast_to(path, (len(members), len(path)))),
    )
    return problem, columns
