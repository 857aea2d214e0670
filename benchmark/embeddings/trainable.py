"""What fine-tuning needs of an embedding; a family that offers it has `trainable(config, weights) -> Trainable`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

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
