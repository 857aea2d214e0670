"""Training of a network on its source tasks: some of its folds, each to a checkpoint of its own."""

from importlib import metadata

import numpy as np
import torch

from benchmark.embeddings.pretrained import checkpoint_of
from benchmark.embeddings.registry import build_trainable
from benchmark.engine.network_inputs import network_inputs
from benchmark.engine.pretrain_fold import PretrainJob, check_lost
from benchmark.training.members import Member, rows_in
from benchmark.training.randomness import derived_seed
from benchmark.training.state import StateFile
from benchmark.training.train import Progress, train
from benchmark.training.transfer import posteriors

_VERSIONED = ("torch", "numpy", "soxr", "soundfile")


def pretrain_job(job: PretrainJob, progress: Progress | None = None) -> None:
    """Train the folds and write their checkpoints; goes on where it was interrupted.

    Raises:
        ClipError: too many clips cannot be read.
    """
    torch.set_num_threads(1)
    trainable = build_trainable(job.config, None)
    data = network_inputs(trainable, job.clips, job.limit)
    check_lost(job, data.lost)
    labels = rows_in(job.labels[data.clip])
    members = []
    for fold in job.folds:
        split = job.splits[fold]
        train_rows = rows_in(data.rows(split.train, job.settings.frames_per_clip))
        valid_rows = rows_in(data.rows(split.valid))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(job.seed, fold, 0))
            net = trainable.fresh(len(job.classes), data.inputs[train_rows])
        members.append(Member(net, data.inputs, labels, train_rows, valid_rows, derived_seed(job.seed, fold, 1)))
    fitted = train(members, job.settings, job.device, StateFile(job.state, job.key), progress)
    for member, found, fold, out in zip(members, fitted, job.folds, job.outs, strict=True):
        member.net.load_state_dict(found.state)
        scores = _test_scores(member, data.clip, data.rows(job.splits[fold].test), job.labels, job.device)
        story = {
            **job.provenance,
            "fold": fold,
            "valid": found.valid,
            "best_epoch": found.best_epoch,
            "epochs": found.epochs,
            "test": scores,
            "lost": {job.clips[index].id: why for index, why in sorted(data.lost.items())},
            "versions": {name: metadata.version(name) for name in _VERSIONED},
            "device": job.device,
        }
        checkpoint_of(job.config, member.net.cpu(), job.classes, story).write(out)


def _test_scores(
    member: Member, clip: np.ndarray, rows: np.ndarray, labels: np.ndarray, device: str
) -> dict[str, float | None]:
    """Accuracy of the source task on the test part, by frame and by file."""
    if not len(rows):
        return {"frame": None, "file": None}
    posterior = posteriors(member.net, member.inputs, rows, device)
    clips, first = np.unique(clip[rows], return_index=True)
    mean = np.add.reduceat(posterior, first, axis=0)
    return {
        "frame": float(np.mean(posterior.argmax(1) == labels[clip[rows]])),
        "file": float(np.mean(mean.argmax(1) == labels[clips])),
    }
