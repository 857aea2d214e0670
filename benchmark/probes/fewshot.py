"""A few training clips a class, drawn many times: nearest centroid or logistic regression."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmark.config.schema_probe import FewshotSettings, LogisticSettings
from benchmark.metrics.folds import Split
from benchmark.probes.centroid import CentroidFit, fit_means
from benchmark.probes.logistic import LinearFit, fit_logistic
from benchmark.probes.registry import Question

_METRIC = "cosine"


@dataclass(frozen=True)
class FewshotFit:
    """D models a fold.

    Attributes:
        centroids: Of folds times draws, fold-major; or None.
        linear: D logistic regressions a fold, fold-major.
        draws: D.
        clips: K numbers of training clips in a draw.
    """

    centroids: CentroidFit | None
    linear: list[LinearFit]
    draws: int
    clips: list[int]

    def posterior(self, fold: int, features: torch.Tensor) -> np.ndarray:
        """Answers (D, n, C) float64 for features (n, F), a layer a draw."""
        numbers = range(fold * self.draws, (fold + 1) * self.draws)
        if self.centroids is not None:
            return np.stack([self.centroids.answer(number, features, _METRIC) for number in numbers])
        return np.stack([self.linear[number].posterior(0, features) for number in numbers])

    def choices(self) -> list[dict[str, Any]]:
        """The number of training clips and of draws; nothing is chosen."""
        return [{"clips": clips, "draws": self.draws} for clips in self.clips]


def solve(features: torch.Tensor, question: Question, settings: FewshotSettings) -> FewshotFit:
    """Draw clips and fit; draws depend on the seed and the fold alone."""
    if question.kind != "multiclass":
        raise ValueError("few shots are drawn for multiclass questions alone")
    labels = np.asarray(question.labels, dtype=np.int64)
    draws: list[np.ndarray] = []
    clips = []
    for fold, split in enumerate(question.splits):
        for draw in range(settings.draws):
            rng = np.random.default_rng([question.seed, fold, draw])
            chosen = draw_clips(labels, question.clip, split.train, settings.shots, rng)
            draws.append(split.train[np.isin(question.clip[split.train], chosen)])
        clips.append(len(chosen))
    if settings.solver == "centroid":
        device = features.device
        rows = [torch.from_numpy(drawn).to(device) for drawn in draws]
        truth = torch.from_numpy(labels).to(device)
        means = fit_means(features, truth, rows, question.n_classes, settings.scaling, [_METRIC])
        return FewshotFit(means, [], settings.draws, clips)
    linear = LogisticSettings(C=[settings.C], scaling=settings.scaling, class_weight=settings.class_weight)
    return FewshotFit(
        None,
        [_one(features[drawn], labels[drawn], question.n_classes, linear) for drawn in draws],
        settings.draws,
        clips,
    )


def _one(features: torch.Tensor, labels: np.ndarray, n_classes: int, settings: LogisticSettings) -> LinearFit:
    """Fit one draw. There is one C, so that no validation part is asked."""
    everything = np.arange(len(labels))
    split = Split(everything, everything[:1], everything[:0])
    return fit_logistic(features, labels, [split], n_classes, settings, lambda fold, posterior: 0.0)


def draw_clips(
    labels: np.ndarray, clip: np.ndarray, train: np.ndarray, shots: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw clips of each class among the training rows.

    Args:
        labels: (n,) int of all rows.
        clip: (n,) the clip of each row.
        train: Training rows.
        shots: Clips a class; all where there are fewer.
        rng: Where chance comes from.

    Returns:
        Sorted clips.
    """
    clips, first = np.unique(clip[train], return_index=True)
    of_class = labels[train][first]
    chosen = [rng.permutation(clips[of_class == value])[:shots] for value in np.unique(of_class)]
    return np.sort(np.concatenate(chosen))
