"""From a network and a task's inputs to posteriors of its test parts, under one of the strategies.

`partial`: the network up to its freezing point is fixed, so what it makes of the inputs is computed once for all folds
and epochs; the rest learns, with a head behind the read-out. `full`: everything learns, head included. `scratch`: the
original network, its own output behind it and nothing of its weights, learns from the beginning; its input statistics
are those of the training part, while a pretrained network keeps the ones that it was trained with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.embeddings.trainable import Trainable
from benchmark.metrics.folds import Split
from benchmark.models.freezing import Freezable
from benchmark.training.members import Fitted, Member, rows_in
from benchmark.training.randomness import derived_seed
from benchmark.training.settings import TrainSettings
from benchmark.training.train import Progress, train

STRATEGIES = ("partial", "full", "scratch")
_ROWS = 256


@dataclass(frozen=True)
class Outcome:
    """What a fold came out with.

    Attributes:
        posterior: (m, C) float64 of the rows of its test part.
        fitted: the network.
    """

    posterior: np.ndarray
    fitted: Fitted


class Transferred(nn.Module):
    """A pretrained network from its inputs, or from behind its stem, to logits of other classes.

    Args:
        net: the network.
        hidden: units of the dense layers behind its read-out, with ReLU.
        classes: outputs.
        behind_stem: whether inputs are what `net.stem` gives.
    """

    def __init__(self, net: Freezable, dim: int, hidden: Sequence[int], classes: int, behind_stem: bool):
        super().__init__()
        self.net, self.behind_stem = net, behind_stem
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((dim, *hidden)):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.head = nn.Sequential(*layers, nn.Linear((dim, *hidden)[-1], classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.net.rest(x) if self.behind_stem else self.net.embed(x))


def transfer(
    trainable: Trainable,
    inputs: Tensor,
    labels: np.ndarray,
    splits: Sequence[Split],
    strategy: str,
    classes: int,
    settings: TrainSettings,
    seed: int = 0,
    device: str = "cpu",
    weights: Callable[[np.ndarray], np.ndarray] | None = None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Train a network for every fold, and answer its test part.

    Args:
        trainable: the network.
        inputs: (n, ...) what it reads.
        labels: (n,) int classes of the rows.
        splits: K splits of the rows.
        strategy: one of `STRATEGIES`.
        classes: C.
        settings: of the training.
        seed: of weights, orders and dropout.
        device: where the network runs.
        weights: gives labels (m,) of a training part the weights (m,) of their rows.
        progress: see `train`.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy {strategy!r} is not one of {', '.join(STRATEGIES)}")
    if strategy == "partial":
        inputs = stems(trainable.pretrained(), inputs, device)
    if not trainable.stackable:
        settings = replace(settings, stacked=False)
    targets = rows_in(labels)
    members = []
    for fold, split in enumerate(splits):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(seed, fold, 0))
            net = _network(trainable, inputs, split, strategy, classes, settings)
        weight = None
        if weights is not None:
            weight = torch.ones(len(inputs))
            weight[rows_in(split.train)] = torch.from_numpy(weights(labels[split.train])).float()
        members.append(
            Member(
                net, inputs, targets, rows_in(split.train), rows_in(split.valid), derived_seed(seed, fold, 1), weight
            )
        )
    fitted = train(members, settings, device, progress=progress)
    outcomes = []
    for member, found, split in zip(members, fitted, splits, strict=True):
        member.net.load_state_dict(found.state)
        outcomes.append(Outcome(posteriors(member.net, inputs, split.test, device), found))
    return outcomes


def _network(
    trainable: Trainable, inputs: Tensor, split: Split, strategy: str, classes: int, settings: TrainSettings
) -> nn.Module:
    if strategy == "scratch":
        return trainable.fresh(classes, inputs[rows_in(split.train)])
    net = trainable.pretrained()
    net.freeze("IN" if strategy == "partial" else "FT")
    return Transferred(net, trainable.dim, settings.hidden, classes, behind_stem=strategy == "partial")


def stems(net: Freezable, inputs: Tensor, device: str) -> Tensor:
    """What the part of `net` before its freezing point makes of inputs (n, ...)."""
    net = net.to(device).eval()
    with torch.no_grad():
        return torch.cat([net.stem(part.to(device)).cpu() for part in inputs.split(_ROWS)])


def posteriors(net: nn.Module, inputs: Tensor, rows: np.ndarray, device: str) -> np.ndarray:
    """Posteriors (m, C) float64 of some rows of inputs."""
    net = net.to(device).eval()
    with torch.no_grad():
        logits = [net(inputs[part].to(device)).double().cpu() for part in rows_in(rows).split(_ROWS)]
    return torch.softmax(torch.cat(logits), dim=1).numpy()
