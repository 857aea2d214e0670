"""Training of an encoder of identities on a fold of its source task, to a checkpoint."""

from collections.abc import Sequence
from importlib import metadata

import numpy as np
import torch
from torch import Tensor

from benchmark.audio.io import decode
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.datasets.clips import Clip
from benchmark.embeddings.thin_resnet import (
    SAMPLE_RATE,
    LogMelBands,
    checkpoint_of,
    encoder,
    least_samples,
    repeated,
    segment_frames,
)
from benchmark.engine.pretrain_fold import PretrainJob, check_lost
from benchmark.errors import ClipError
from benchmark.training.metric import MetricSettings, train_metric, validation_error
from benchmark.training.metric_losses import make_loss
from benchmark.training.randomness import derived_seed
from benchmark.training.state import StateFile
from benchmark.training.train import Progress

_VERSIONED = ("torch", "numpy", "soxr", "soundfile")


def pretrain_job(job: PretrainJob, progress: Progress | None = None) -> None:
    """Train the fold and write its checkpoint; goes on where it was interrupted.

    Raises:
        ClipError: too many clips cannot be read, or a part has too few identities.
    """
    torch.set_num_threads(1)
    frames, lost = _features(job.config, job.clips)
    check_lost(job, lost)
    chosen = job.config.pretrain.metric
    settings = MetricSettings(
        chosen.identities, chosen.segments, segment_frames(job.config), chosen.epochs, chosen.patience, chosen.lr,
        chosen.decay, chosen.decay_every,
    )  # fmt: skip
    for fold, out in zip(job.folds, job.outs, strict=True):
        split = job.splits[fold]
        train, valid, test = (
            [int(i) for i in part if int(i) not in lost] for part in (split.train, split.valid, split.test)
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(job.seed, fold, 0))
            net, loss = encoder(job.config), make_loss(chosen.loss, chosen.margin)
        saved = StateFile(job.state.with_name(f"{job.state.stem}-{fold}.state"), job.key)
        try:
            fitted = train_metric(
                net, loss, frames, job.labels, train, valid, settings, derived_seed(job.seed, fold, 1), job.device, saved,
                progress,
            )  # fmt: skip
        except ValueError as error:
            raise ClipError(f"{', '.join(job.config.pretrain.tasks)}: fold {fold}: {error}") from None
        net.load_state_dict(fitted.state)
        error = validation_error(net, frames, job.labels, test, settings.size, job.device)
        story = {
            **job.provenance,
            "fold": fold,
            "valid": fitted.valid,
            "best_epoch": fitted.best_epoch,
            "epochs": fitted.epochs,
            "test": {"file": 1 - error if np.isfinite(error) else None},
            "lost": {job.clips[index].id: why for index, why in sorted(lost.items())},
            "versions": {name: metadata.version(name) for name in _VERSIONED},
            "device": job.device,
        }
        checkpoint_of(job.config, net.cpu(), job.classes, story).write(out)


def _features(config: EmbeddingConfig, clips: Sequence[Clip]) -> tuple[list[Tensor], dict[int, str]]:
    """Log-mel frames (T, F) of each clip, at least a segment long, none of those that are lost."""
    features, least = LogMelBands(), least_samples(config)
    frames, lost = [], {}
    for index, clip in enumerate(clips):
        try:
            waveform = decode(clip.path, SAMPLE_RATE, clip.start, clip.end)
        except ClipError as error:
            lost[index] = str(error)
            frames.append(torch.empty(0))
            continue
        with torch.inference_mode():
            frames.append(features(torch.from_numpy(repeated(waveform, least))))
    return frames, lost
