"""Metric learning: an encoder of identities, trained on batches of N identities x M segments.

Everything random is a function of seed, epoch and step, so a training that was interrupted comes to the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.metrics.verification import eer
from benchmark.training.members import Fitted
from benchmark.training.metric_batches import identity_batches, random_segments
from benchmark.training.randomness import derived_seed
from benchmark.training.state import StateFile
from benchmark.training.train import Progress

_BATCH = 64


@dataclass(frozen=True)
class MetricSettings:
    """How an encoder is trained (Hu et al., IJCNN 2021, section IV).

    Attributes:
        identities, segments: N and M of a batch.
        size: frames of a segment.
        epochs: largest number of passes over the training part.
        patience: epochs without a lower validation error after which training stops.
        lr, decay, decay_every: Adam's learning rate, multiplied by `decay` every so many epochs.
    """

    identities: int
    segments: int
    size: int
    epochs: int
    patience: int
    lr: float
    decay: float
    decay_every: int


@dataclass
class _Course:
    """How far the training has come."""

    epoch: int = 0
    step: int = 0
    best: float = -1.0
    best_epoch: int = 0
    kept: dict[str, Tensor] = field(default_factory=dict)


def train_metric(
    net: nn.Module,
    loss: nn.Module,
    frames: Sequence[Tensor],
    labels: np.ndarray,
    train: Sequence[int],
    valid: Sequence[int],
    settings: MetricSettings,
    seed: int,
    device: str = "cpu",
    saved: StateFile | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Train until the validation part's equal error rate has not fallen for `patience` epochs; the best epoch counts.

    Args:
        net: segments (B, size, F) to embeddings (B, D), as it is before the first step.
        loss: embeddings (N, M, D) and a generator to a scalar; what it learns is trained along and forgotten.
        frames: (T, F) of each clip, T >= size.
        labels: (n,) identity of each clip.
        train, valid: clips of both parts.
        settings: of the training.
        seed: of batches, segments and mining.
        device: where.
        saved: file to go on from and to write to; removed at the end.
        progress: told 0, epoch and 1 - EER at the end of each epoch.

    Returns:
        The encoder's state; `valid` is 1 - EER over all pairs of the validation part.

    Raises:
        ValueError: too few identities or clips in a part.
    """
    if not 0 < len(np.unique(labels[list(valid)])) < len(valid):
        raise ValueError("the validation part has no two clips of one identity")
    net, loss = net.to(device), loss.to(device)
    if device == "cpu" and all(m.out_channels % 16 == 0 for m in net.modules() if isinstance(m, nn.Conv2d)):
        # Twice as fast where channels fill the vectors of the processor.
        net = net.to(memory_format=torch.channels_last)
    both = nn.ModuleList([net, loss])
    adam = torch.optim.Adam(both.parameters(), settings.lr)
    course = _Course()
    if saved is not None and (state := saved.read()):
        both.load_state_dict(state["nets"])
        adam.load_state_dict(state["adam"])
        course = _Course(**state["course"])
    while course.epoch < settings.epochs and course.epoch - course.best_epoch < settings.patience:
        for group in adam.param_groups:
            group["lr"] = settings.lr * settings.decay ** (course.epoch // settings.decay_every)
        batches = identity_batches(
            labels, train, settings.identities, settings.segments, seed, course.epoch
        )  # fmt: skip
        while course.step < len(batches):
            generator = torch.Generator().manual_seed(derived_seed(seed, 3, course.epoch, course.step))
            clips = batches[course.step]
            net.train()
            x = net(random_segments(frames, clips, settings.size, generator).to(device))
            value = loss(x.view(*clips.shape, -1), generator)
            if torch.isfinite(value):
                adam.zero_grad(set_to_none=True)
                value.backward()
                adam.step()
            course.step += 1
            if saved is not None and saved.is_due():
                saved.write(_state(both, adam, course))
        score = 1 - validation_error(net, frames, labels, valid, settings.size, device)
        course.epoch, course.step = course.epoch + 1, 0
        if score > course.best:
            course.best, course.best_epoch = score, course.epoch
            course.kept = {key: value.detach().to("cpu", copy=True) for key, value in net.state_dict().items()}
        if progress is not None:
            progress(0, course.epoch, score)
    if saved is not None:
        saved.remove()
    return Fitted(course.kept, course.best, course.best_epoch, course.epoch)


def validation_error(
    net: nn.Module, frames: Sequence[Tensor], labels: np.ndarray, clips: Sequence[int], size: int, device: str
) -> float:
    """Equal error rate of all pairs of clips by the cosine of their first segments' embeddings' mean with the last's."""
    net.eval()
    segments = torch.stack([part for clip in clips for part in (frames[clip][:size], frames[clip][-size:])])
    with torch.inference_mode():
        x = torch.cat([net(batch.to(device)).float().cpu() for batch in segments.split(_BATCH)])
    x = nn.functional.normalize(x.view(len(clips), 2, -1).mean(dim=1), dim=-1)
    first, second = np.triu_indices(len(clips), 1)
    of = labels[list(clips)]
    return eer(of[first] == of[second], (x @ x.T).numpy()[first, second])


def _state(both: nn.Module, adam: torch.optim.Optimizer, course: _Course) -> dict[str, Any]:
    return {"nets": both.state_dict(), "adam": adam.state_dict(), "course": vars(course)}
