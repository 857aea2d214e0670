"""Training of an encoder of identities on a fold of its source task, to a checkpoint."""

import numpy as np
import torch

from benchmark.embeddings.thin_resnet import (
    SAMPLE_RATE,
    LogMelBands,
    checkpoint_of,
    encoder,
    least_samples,
    segment_frames,
)
from benchmark.engine.pretrain_fold import PretrainJob, clip_features, parts_of, story_of
from benchmark.errors import ClipError
from benchmark.training.metric import MetricSettings, train_metric, validation_error
from benchmark.training.metric_losses import make_loss
from benchmark.training.randomness import derived_seed
from benchmark.training.state import StateFile
from benchmark.training.train import Progress


def pretrain_job(job: PretrainJob, progress: Progress | None = None) -> None:
    """Train the folds and write their checkpoints; goes on where it was interrupted.

    Raises:
        ClipError: too many clips cannot be read, or a part has too few identities.
    """
    torch.set_num_threads(1)
    frames, lost = clip_features(job, SAMPLE_RATE, LogMelBands(), least_samples(job.config))
    chosen = job.config.pretrain.metric
    settings = MetricSettings(
        chosen.identities, chosen.segments, segment_frames(job.config), chosen.epochs, chosen.patience, chosen.lr,
        chosen.decay, chosen.decay_every,
    )  # fmt: skip
    for fold, out in zip(job.folds, job.outs, strict=True):
        train, valid, test = parts_of(job, fold, lost)
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
        story = story_of(
            job, fold, lost, valid=fitted.valid, best_epoch=fitted.best_epoch, epochs=fitted.epochs,
            test={"file": 1 - error if np.isfinite(error) else None},
        )  # fmt: skip
        checkpoint_of(job.config, net.cpu(), job.classes, story).write(out)
