"""Training of i-vectors on a fold of their source task, to a checkpoint."""

import numpy as np
import torch

from benchmark.embeddings.ivector import (
    SAMPLE_RATE,
    CepstraWithSlopes,
    arguments,
    checkpoint_of,
    extractor,
    least_samples,
)
from benchmark.engine.pretrain_fold import PretrainJob, clip_features, parts_of, story_of
from benchmark.errors import ClipError
from benchmark.metrics.verification import eer
from benchmark.training.ivector import train_ivector
from benchmark.training.randomness import derived_seed


def pretrain_job(job: PretrainJob) -> None:
    """Fit the folds and write their checkpoints; identities are not asked, but to tell the error on the other parts.

    Raises:
        ClipError: too many clips cannot be read, or a training part has too few frames.
    """
    torch.set_num_threads(1)
    frames, lost = clip_features(job, SAMPLE_RATE, CepstraWithSlopes(), least_samples(job.config))
    args = arguments(job.config)
    for fold, out in zip(job.folds, job.outs, strict=True):
        train, valid, test = parts_of(job, fold, lost)
        net = extractor(job.config)
        generator = torch.Generator().manual_seed(derived_seed(job.seed, fold, 0))
        steps = int(args["iterations_background"]), int(args["iterations_subspace"])
        try:
            train_ivector(net, [frames[i] for i in train], *steps, generator)
        except ValueError as error:
            raise ClipError(f"{', '.join(job.config.pretrain.tasks)}: fold {fold}: {error}") from None
        errors = [_error(torch.cat([net(frames[i][None]) for i in part]), job.labels[part]) for part in (valid, test)]
        found = [1 - error if np.isfinite(error) else None for error in errors]
        story = story_of(job, fold, lost, valid=found[0] or 0.0, test={"file": found[1]})
        checkpoint_of(job.config, net, job.classes, story).write(out)


def _error(vectors: torch.Tensor, labels: np.ndarray) -> float:
    """Equal error rate of all pairs by cosine, of vectors (n, R) of length one."""
    first, second = np.triu_indices(len(labels), 1)
    return eer(labels[first] == labels[second], (vectors @ vectors.T).numpy()[first, second])
