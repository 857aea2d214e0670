"""What fine-tuning needs of an embedding; a family that offers it has `trainable(config, weights) -> Trainable`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from benchmark.models.freezing import Freezable


@dataclass(frozen=True)
class Trainable:
    """A network that can be trained on, and its front end, which is fixed.

    Attributes:
        sample_rate: Hz.
        dim: size of the read-out.
        inputs: `inputs(waveform, limit)`: waveform (samples,) float32 to what the network reads, (n, ...) with n >= 1,
            one for each frame of the embedding; at most `limit` of them, evenly spaced, if it is not None.
        pretrained: makes the network with its weights. Its freezing point is its own: `Freezable.intermediate`.
        fresh: `fresh(classes, inputs)` makes the network with random weights and so many outputs; statistics of its
            input come from `inputs` (n, ...), those of the training part.
    """

    sample_rate: int
    dim: int
    inputs: Callable[[np.ndarray, int | None], Tensor]
    pretrained: Callable[[], Freezable]
    fresh: Callable[[int, Tensor], Freezable]


def evenly(count: int, limit: int | None) -> np.ndarray:
    """Indices of at most `limit` of `count` things, the middles of equal stretches, as the probes choose frames."""
    kept = count if limit is None else min(count, limit)
    return ((2 * np.arange(kept) + 1) * count) // (2 * kept)


class Prepared(Freezable):
    """A network that reads raw patches (B, T, F).

    Args:
        net: the network.
        standardizer: what is done to the patches first.
        channels_first: whether the network reads (B, F, T).
    """

    def __init__(self, net: Freezable, standardizer: nn.Module, channels_first: bool):
        super().__init__()
        self.net, self.standardizer, self.channels_first = net, standardizer, channels_first
        self.dim = net.dim

    def prepare(self, x: Tensor) -> Tensor:
        """Raw patches (B, T, F) as the network reads them."""
        x = self.standardizer(x)
        return x.transpose(1, 2) if self.channels_first else x

    def intermediate(self) -> Sequence[nn.Module]:
        """Those of the network."""
        return self.net.intermediate()

    def stem(self, x: Tensor) -> Tensor:
        """Raw patches to what the fixed part of the network makes of them."""
        return self.net.stem(self.prepare(x))

    def rest(self, x: Tensor) -> Tensor:
        """From there to the read-out, (B, dim)."""
        return self.net.rest(x)

    def forward(self, x: Tensor) -> Tensor:
        """Raw patches to logits (B, classes)."""
        return self.net(self.prepare(x))
