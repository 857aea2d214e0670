"""What is trained, how far it has come, and what came out."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.training.randomness import epoch_order
from benchmark.training.settings import TrainSettings


@dataclass(frozen=True)
class Member:
    """A network, and the data that it is trained on.

    Attributes:
        net: (B, ...) to logits (B, C), as it is before the first step; what does not require gradients is fixed.
        inputs: (n, ...), which members may share.
        labels: (n,) int64.
        train, valid: (m,) int64 rows of both parts.
        seed: of the orders and of dropout.
        weights: (n,) float32 weight of each row in the loss, or None.
    """

    net: nn.Module
    inputs: Tensor
    labels: Tensor
    train: Tensor
    valid: Tensor
    seed: int
    weights: Tensor | None = None


@dataclass(frozen=True)
class Fitted:
    """A member at the epoch with the best validation accuracy, the first of equals.

    Attributes:
        state: the network's state dict.
        valid: its accuracy on the validation part.
        best_epoch, epochs: which epoch that was, and how many there were.
    """

    state: dict[str, Tensor]
    valid: float
    best_epoch: int
    epochs: int


@dataclass
class Course:
    """How far a member has come."""

    member: Member
    batch: int
    epoch: int = 0
    step: int = 0
    best: float = -1.0
    best_epoch: int = 0
    kept: dict[str, Tensor] = field(default_factory=dict)
    done: bool = False
    _order: Tensor | None = None

    @property
    def order(self) -> Tensor:
        """Batches (steps, size) of the epoch in progress."""
        if self._order is None:
            self._order = epoch_order(self.member.seed, self.epoch, self.member.train, self.batch)
        return self._order

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return len(self.order)

    def end_epoch(self, accuracy: float, state: dict[str, Tensor], settings: TrainSettings) -> None:
        """Note the accuracy of an epoch, its network if it is the best so far, and whether it was the last."""
        self.epoch, self.step, self._order = self.epoch + 1, 0, None
        if accuracy > self.best:
            self.best, self.best_epoch = accuracy, self.epoch
            self.kept = {key: value.detach().to("cpu", copy=True) for key, value in state.items()}
        self.done = self.epoch >= settings.max_epochs or self.epoch - self.best_epoch >= settings.patience

    def to_state(self) -> dict[str, Any]:
        """What a file must hold to go on from here."""
        names = ("epoch", "step", "best", "best_epoch", "kept", "done")
        return {name: getattr(self, name) for name in names}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `to_state` gave."""
        for name, value in state.items():
            setattr(self, name, value)
        self._order = None

    def fitted(self) -> Fitted:
        """What came out."""
        return Fitted(self.kept, self.best, self.best_epoch, self.epoch)


def set_norm_momentum(net: nn.Module, settings: TrainSettings) -> None:
    """Give the batch normalisations of `net` the momentum that the settings ask for."""
    for module in net.modules():
        if settings.norm_momentum is not None and isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = settings.norm_momentum


def row_loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Mean cross-entropy of a batch, its rows weighted."""
    if weights is None:
        return nn.functional.cross_entropy(logits.float(), labels)
    return (nn.functional.cross_entropy(logits.float(), labels, reduction="none") * weights).mean()


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Part of the rows whose largest logit is the label's."""
    return float((logits.argmax(dim=1) == labels).double().mean()) if len(labels) else 0.0


def rows_in(indices: Any) -> Tensor:
    """Row numbers as a tensor."""
    return torch.as_tensor(indices, dtype=torch.int64)
