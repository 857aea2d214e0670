"""Regularised linear classifiers of all folds over a path of penalties, as one batched program: logistic regression.

Linear support vector machines (`benchmark.probes.svm`) differ in the loss alone and are fitted here too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from benchmark.config.schema_probe import LogisticSettings, SvmSettings
from benchmark.metrics.folds import Split
from benchmark.probes.design import make_design
from benchmark.probes.registry import Question
from benchmark.probes.solver import Problem, solve_path
from benchmark.probes.weights import class_weights

# Added to the logit of a class that a training part lacks: its probability is 0 in float32 and float64.
_ABSENT = -1e4
_ROWS = 16384

# How logits become posteriors: a softmax, independent sigmoids, or sigmoids that are made to sum to one.
Link = Literal["softmax", "sigmoid", "normalised"]


@dataclass(frozen=True)
class LinearFit:
    """One linear classifier a fold, at the C that its validation part chose.

    Attributes:
        weights: (K, C, F) of scaled features; a single column for two classes.
        bias: (K, C).
        shift: (K, F) float64 of the scaling.
        scale: (K, F) float64 of the scaling.
        chosen: (K,) the chosen C.
        valid_scores: (K, L) validation score at each C, ascending.
        path: (L,) the values of C, ascending.
        iterations: (K, L) iterations at each C (multilabel: the largest over classes).
        link: How logits become posteriors.
    """

    weights: torch.Tensor
    bias: torch.Tensor
    shift: torch.Tensor
    scale: torch.Tensor
    chosen: np.ndarray
    valid_scores: np.ndarray
    path: np.ndarray
    iterations: np.ndarray
    link: Link

    def posterior(self, fold: int, features: torch.Tensor) -> np.ndarray:
        """Compute posteriors (n, C) float64 of features (n, F) by the model of one fold."""
        return _posterior(self.weights[fold], self.bias[fold], self.shift[fold], self.scale[fold], features, self.link)

    def choices(self) -> list[dict[str, Any]]:
        """The C of each fold, and its score on the validation part."""
        return [
            {"C": float(c), "valid": float(scores.max())}
            for c, scores in zip(self.chosen, self.valid_scores, strict=True)
        ]


def solve(features: torch.Tensor, question: Question, settings: LogisticSettings) -> LinearFit:
    """Fit a question of classes; the features are overwritten."""
    if question.kind == "regression":
        raise ValueError("logistic regression answers no question of numbers; use ridge")
    return fit_logistic(
        features, question.labels, question.splits, question.n_classes, settings, question.score,
        question.kind == "multilabel", overwrite=True,
    )  # fmt: skip


def _apply_link(logits: torch.Tensor, link: Link) -> np.ndarray:
    """Turn logits (..., C, n) into posteriors (..., n, C) float64; a single softmax column means two classes."""
    logits = logits.to(torch.float64)
    if link == "sigmoid":
        answers = torch.sigmoid(logits)
    elif link == "normalised":
        each = torch.sigmoid(logits).clamp(min=1e-300)
        answers = each / each.sum(-2, keepdim=True)
    else:
        if logits.shape[-2] == 1:
            logits = torch.cat([torch.zeros_like(logits), logits], -2)
        answers = torch.softmax(logits, -2)
    return answers.transpose(-1, -2).contiguous().cpu().numpy()


def _posterior(
    weights: torch.Tensor,
    bias: torch.Tensor,
    shift: torch.Tensor,
    scale: torch.Tensor,
    features: torch.Tensor,
    link: Link,
) -> np.ndarray:
    """Compute posteriors (..., n, C) for weights (..., C, F), bias (..., C) and one fold's scaling."""
    dtype = weights.dtype
    # The features lose a rounded shift, what is left of it goes to the bias; and the weights are scaled in their place.
    near = shift.to(dtype)
    raw = (weights / scale).to(dtype)
    constant = bias - raw @ (shift - near).to(dtype)
    raw, constant, shape = raw.flatten(0, -2), constant.reshape(-1, 1), bias.shape
    parts = []
    for start in range(0, len(features), _ROWS):
        block = (features[start : start + _ROWS] - near).to(dtype)
        parts.append(_apply_link(torch.addmm(constant, raw, block.T).view(*shape, -1), link))
    return _joined(parts)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Posteriors of blocks of rows as one array (..., n, C), without a copy of a single one."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-2)


@torch.inference_mode()
def fit_logistic(
    features: torch.Tensor,
    labels: np.ndarray,
    splits: Sequence[Split],
    n_classes: int,
    settings: LogisticSettings | SvmSettings,
    score: Callable[[int, np.ndarray], float],
    multilabel: bool = False,
    overwrite: bool = False,
) -> LinearFit:
    """Fit every fold at every C, and choose a C per fold on its validation part.

    The objective at one C is scikit-learn's: `C * sum_i loss_i + |W|^2 / 2`, bias free; multinomial for three classes
    or more, a single sigmoid column for two, one column a class when multilabel or one against the rest. Of equal
    validation scores the smallest C wins. A class that a training part lacks has posterior 0. Test rows are never read.

    Args:
        features: (n, F) float.
        labels: (n,) int, or (n, C) of 0 and 1, and -1 where unknown.
        splits: K splits of the rows.
        n_classes: C.
        settings: Loss, grid, tolerance and scaling.
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
    hinge = isinstance(settings, SvmSettings)
    link: Link = "sigmoid" if multilabel else "softmax"
    if not multilabel and n_classes > 2 and (hinge or settings.form == "one_vs_rest"):
        labels, multilabel = (np.asarray(labels)[:, None] == np.arange(n_classes)).astype(np.int64), True
        link = "softmax" if hinge else "normalised"
    design = make_design(features, parts.to(device), settings.scaling, dtype, overwrite)
    problem, columns = _problem(labels, parts.numpy(), splits, n_classes, settings, multilabel, path, dtype, device)
    if hinge:
        problem.hinge, problem.bias_penalty = True, float(settings.penalise_bias)
    coordinates, bias, iterations = solve_path(design.matrices, problem, settings.tol, settings.max_iter)

    # Members are fold-major; a fold's members are one softmax or several single columns.
    folds = len(splits)
    weights = design.weights(coordinates.flatten(1, 2), problem.folds).unflatten(1, (len(path), -1))
    weights = (
        weights.view(folds, -1, len(path), *weights.shape[2:]).transpose(1, 2).reshape(folds, len(path), columns, -1)
    )
    bias = bias.view(folds, -1, len(path), bias.shape[2]).transpose(1, 2).reshape(folds, len(path), columns)
    scores = np.empty((folds, len(path)))
    for fold, split in enumerate(splits):
        rows = torch.from_numpy(split.valid).to(device)
        scaling = (design.shift64[fold], design.scale64[fold])
        blocks = (features.index_select(0, some) for some in rows.split(_ROWS))
        posteriors = _joined([_posterior(weights[fold], bias[fold], *scaling, block, link) for block in blocks])
        scores[fold] = [score(fold, posterior) for posterior in posteriors]
    best = np.argmax(scores, axis=1)
    each, picked = torch.arange(folds), torch.from_numpy(best)
    return LinearFit(
        weights=weights[each, picked],
        bias=bias[each, picked],
        shift=design.shift64,
        scale=design.scale64,
        chosen=path[best],
        valid_scores=scores,
        path=path,
        iterations=iterations.reshape(folds, -1, len(path)).max(1),
        link=link,
    )


def _problem(
    labels: np.ndarray,
    parts: np.ndarray,
    splits: Sequence[Split],
    n_classes: int,
    settings: LogisticSettings | SvmSettings,
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
        known = targets >= 0
        targets = np.where(known, targets, 0.0)
        positive = (weights @ targets.T).reshape(-1, 1)
        total = (weights @ known.T).reshape(-1, 1)
        members = np.repeat(np.arange(folds), columns)
        weights = weights[members] * np.tile(known, (folds, 1))
        targets = np.tile(targets, (folds, 1))[:, None]
        if settings.class_weight:
            for member in range(len(members)):
                train = np.flatnonzero(weights[member])
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
        path=np.tile(path, (len(members), 1)),
    )
    return problem, columns
