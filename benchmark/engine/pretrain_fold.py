"""Some folds of a network, for another process, whatever the family trains it by."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.config.schema_embedding import TRAINED_HERE, EmbeddingConfig
from benchmark.datasets.clips import Clip
from benchmark.errors import ClipError
from benchmark.metrics.folds import Split
from benchmark.training.settings import TrainSettings


@dataclass(frozen=True)
class PretrainJob:
    """Some folds of a network, for another process.

    Attributes:
        config: the embedding.
        clips, labels, classes, splits, limit: see `PretrainPlan`; `splits` are all folds.
        folds: numbers of the folds that are trained.
        outs: checkpoint of each of them.
        state: where the training writes how far it has come.
        key: content key.
        settings: of the training.
        seed: of the training.
        device: where the network runs.
        max_lost: largest part of the clips that may be unreadable.
        provenance: what the checkpoints say of their origin.
    """

    config: EmbeddingConfig
    clips: tuple[Clip, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    splits: tuple[Split, ...]
    limit: int | None
    folds: tuple[int, ...]
    outs: tuple[Path, ...]
    state: Path
    key: str
    settings: TrainSettings
    seed: int
    device: str
    max_lost: float
    provenance: Mapping[str, Any]


def pretrain_job(job: PretrainJob) -> None:
    """Train the folds as the family does, and write their checkpoints.

    Raises:
        ClipError: too many clips cannot be read.
    """
    importlib.import_module(TRAINED_HERE[job.config.family]).pretrain_job(job)


def check_lost(job: PretrainJob, lost: Mapping[int, str]) -> None:
    """Refuse to train without the clips (number -> why) that cannot be read, where they are too many.

    Raises:
        ClipError: they are more than `max_lost` allows.
    """
    if len(lost) > job.max_lost * len(job.clips):
        first = next(iter(lost))
        raise ClipError(
            f"{len(lost)} of {len(job.clips)} clips cannot be read, more than max_lost = {job.max_lost:g} allows; "
            f"mend or remove them (first: {job.clips[first].id}: {lost[first]})"
        )
