"""The solvers by name, and what each is asked and answers: a fit of all folds at once."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch

from benchmark.config.schema_probe import PROTOCOLS, SOLVERS, ProbeSettings, protocol_settings, solver_module
from benchmark.metrics.folds import Split


@dataclass(frozen=True)
class Question:
    """What a solver is asked. Items are frames or clip vectors, the rows of the features.

    Attributes:
        kind: What the labels are.
        labels: Of the n items: (n,) int classes; (n, C) of 0 and 1, -1 where unknown (multilabel); (n, D) float targets (regression).
        splits: K folds over items.
        n_classes: C, or D.
        score: Maps a fold and the answers (n_valid, C) of its validation items to a score; higher is better.
        clip: (n,) int64, the clip of each item, ascending.
        seed: Of everything random.
    """

    kind: Literal["multiclass", "multilabel", "regression"]
    labels: np.ndarray
    splits: Sequence[Split]
    n_classes: int
    score: Callable[[int, np.ndarray], float]
    clip: np.ndarray
    seed: int = 0


class Fit(Protocol):
    """One model a fold."""

    def posterior(self, fold: int, features: torch.Tensor) -> np.ndarray:
        """Answer for features (n, F) by the model of one fold: (n, C) float64 posteriors or values.

        (D, n, C) where D models were fitted to draws of the training part, whose scores are averaged.
        """

    def choices(self) -> list[dict[str, Any]]:
        """What each fold's validation part chose, for its record."""


Solve = Callable[[torch.Tensor, Question, Any], Fit]


def solver(probe: str) -> Solve:
    """The function that fits a probe: features (n, F), which it may overwrite, a question and settings to a fit.

    Raises:
        ValueError: there is no such probe.
    """
    return importlib.import_module(solver_module(probe)).solve


def default_settings(probe: str) -> ProbeSettings:
    """The settings of a solver or protocol where nobody has set any."""
    return protocol_settings(probe) if probe in PROTOCOLS else SOLVERS[probe]()
