"""Nearest neighbours, cosine or Euclidean: exact, in blocks; number and metric are chosen on the validation part."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmark.config.schema_probe import KnnSettings
from benchmark.probes.neighbours import nearest, prepare
from benchmark.probes.registry import Question
from benchmark.probes.scaling import fit_scaling


@dataclass(frozen=True)
class KnnFit:
    """The training rows of each fold, and the number of neighbours and the metric that its validation part chose.

    Attributes:
        features: (n, F) of all rows.
        values: (n, C) what a row votes for.
        known: (n, C) of 0 and 1, whether it votes; None if all do.
        train: K of int64 rows.
        shift, inverse: (K, F) float32 of the scaling.
        temperature: Of the votes.
        k, metric, scores: K choices and their validation scores (None where there was no choice).
    """

    features: torch.Tensor
    values: torch.Tensor
    known: torch.Tensor | None
    train: list[torch.Tensor]
    shift: torch.Tensor
    inverse: torch.Tensor
    temperature: float
    k: list[int]
    metric: list[str]
    scores: list[float | None]

    def posterior(self, fold: int, features: torch.Tensor) -> np.ndarray:
        """Answer for features (n, F): shares of the votes (n, C) float64."""
        return self.votes(fold, features, [self.k[fold]], self.metric[fold])[0]

    def choices(self) -> list[dict[str, Any]]:
        """Number of neighbours and metric of each fold."""
        return [
            {"k": k, "metric": metric, **({} if score is None else {"valid": score})}
            for k, metric, score in zip(self.k, self.metric, self.scores, strict=True)
        ]

    def votes(self, fold: int, features: torch.Tensor, ks: list[int], metric: str) -> list[np.ndarray]:
        """Shares of the votes (n, C) float64 of features (n, F) for several numbers of neighbours."""
        train = self.train[fold]
        references, queries = (
            prepare((rows - self.shift[fold]) * self.inverse[fold], metric) for rows in (self.features[train], features)
        )
        answers = [np.empty((len(features), self.values.shape[1])) for _ in ks]
        limit = [min(k, len(train)) for k in ks]
        for rows, similarity, index in nearest(queries, references, max(limit), metric):
            owner = train[index]
            for k, answer in zip(limit, answers, strict=True):
                if self.temperature:
                    say = torch.softmax(similarity[:, :k] / self.temperature, 1)[..., None]
                else:
                    say = torch.full((len(index), k, 1), 1 / k, device=index.device)
                vote = self.values[owner[:, :k]]
                if self.known is None:
                    mean = (say * vote).sum(1)
                else:
                    say = say * self.known[owner[:, :k]]
                    mean = (say * vote).sum(1) / say.sum(1).clamp(min=1e-30)
                answer[rows] = mean.cpu().numpy()
        return answers


def solve(features: torch.Tensor, question: Question, settings: KnnSettings) -> KnnFit:
    """Keep the training rows of a question of any kind; of equal scores fewer neighbours and the first metric win."""
    if settings.class_weight:
        raise ValueError("neighbours know no class weights; balance by down-sampling")
    device, labels = features.device, np.asarray(question.labels)
    known = None
    if question.kind == "multiclass":
        values = np.eye(question.n_classes, dtype=np.float32)[labels]
    else:
        values = labels.astype(np.float32).reshape(len(labels), -1)
        if question.kind == "multilabel" and (labels < 0).any():
            known = torch.from_numpy((labels >= 0).astype(np.float32)).to(device)
    parts = torch.zeros(len(question.splits), len(features), dtype=torch.bool)
    for fold, split in enumerate(question.splits):
        if not len(split.train):
            raise ValueError(f"fold {fold} has no training rows")
        parts[fold, split.train] = True
    shift, scale = fit_scaling(features, parts.to(device), settings.scaling)
    ks, metrics = sorted(set(settings.k)), list(dict.fromkeys(settings.metric))
    fit = KnnFit(
        features, torch.from_numpy(values).to(device), known,
        [torch.from_numpy(split.train).to(device) for split in question.splits],
        shift.to(torch.float32), (1 / scale).to(torch.float32), settings.temperature, [], [], [],
    )  # fmt: skip
    for fold, split in enumerate(question.splits):
        best = (ks[0], metrics[0], None)
        if len(ks) * len(metrics) > 1:
            best = (ks[0], metrics[0], -np.inf)
            valid = features[torch.from_numpy(split.valid).to(device)]
            for metric in metrics:
                for k, answer in zip(ks, fit.votes(fold, valid, ks, metric), strict=True):
                    score = question.score(fold, answer)
                    if score > best[2]:
                        best = (k, metric, score)
        for kept, value in zip((fit.k, fit.metric, fit.scores), best, strict=True):
            kept.append(value)
    return fit
