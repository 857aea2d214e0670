"""Some folds of a network, for another process, whatever the family trains it by."""

import importlib
from collections.abc import Callable, Mapping
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


def clip_features(
    job: PretrainJob, sample_rate: int, features: Callable, least_samples: int
) -> tuple[list, dict[int, str]]:
    """Frames (T, F) of each clip, a short one repeated to `least_samples`; and number -> why of those that are lost.

    Raises:
        ClipError: too many clips cannot be read.
    """
    import torch

    from benchmark.audio.io import decode
    from benchmark.embeddings.thin_resnet import repeated

    frames, lost = [], {}
    for index, clip in enumerate(job.clips):
        try:
            waveform = decode(clip.path, sample_rate, clip.start, clip.end)
        except ClipError as error:
            lost[index] = str(error)
            frames.append(torch.empty(0))
            continue
        with torch.inference_mode():
            frames.append(features(torch.from_numpy(repeated(waveform, least_samples))))
    check_lost(job, lost)
    return frames, lost


def parts_of(job: PretrainJob, fold: int, lost: Mapping[int, str]) -> list[list[int]]:
    """Clips of the fold's training, validation and test parts that are not lost."""
    split = job.splits[fold]
    return [[int(i) for i in part if int(i) not in lost] for part in (split.train, split.valid, split.test)]


def story_of(job: PretrainJob, fold: int, lost: Mapping[int, str], **more: Any) -> dict[str, Any]:
    """What a checkpoint says of its origin."""
    from importlib import metadata

    return {
        **job.provenance,
        "fold": fold,
        "lost": {job.clips[index].id: why for index, why in sorted(lost.items())},
        "versions": {name: metadata.version(name) for name in ("torch", "numpy", "soxr", "soundfile")},
        "device": job.device,
        **more,
    }
