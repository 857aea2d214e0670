"""What every separator is: a mixture of a fixed rate in, K sources out, and a loss to learn by."""

import abc
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.separation.losses import permutation_invariant


class Separator(nn.Module, abc.ABC):
    """A network with its front end.

    Args:
        sources: names of the K sources.
        sample_rate: Hz.
        channels: of the mixture and of each source.
        fixed_order: whether the first output is always the first source; else the order that fits best counts.

    Attributes:
        segment_s: seconds that are separated at once; None: any length.
        counts_any: whether it can be asked for another number of sources than it was trained with.
    """

    segment_s: float | None = None
    counts_any = False

    def __init__(self, sources: Sequence[str], sample_rate: int, channels: int = 1, fixed_order: bool = True):
        super().__init__()
        self.sources, self.sample_rate, self.channels = tuple(sources), sample_rate, channels
        self.fixed_order = fixed_order

    @abc.abstractmethod
    def loss(self, mixture: Tensor, stems: Tensor) -> Tensor:
        """Mixture (B, C, T) and stems (B, K, C, T) to a scalar."""

    @abc.abstractmethod
    def separate(self, mixture: Tensor, sources: int | None = None) -> Tensor:
        """Mixture (B, C, T) to (B, K, C, T), of the same length; `sources` where it is not the trained number."""

    def best_order(self, pair_losses: Tensor) -> Tensor:
        """The mean of losses (B, K, K) of references with estimates, in the fixed order or in the best one."""
        if self.fixed_order:
            return pair_losses.diagonal(dim1=1, dim2=2).mean()
        return permutation_invariant(pair_losses)[0].mean()


def pair_means(error, references: Tensor, estimates: Tensor) -> Tensor:
    """Mean of `error(estimate, reference)` over all but the first two dimensions, for all pairs: (B, K, K)."""
    rows = [
        torch.stack([error(estimates[:, j], references[:, k]).flatten(1).mean(1) for j in range(estimates.shape[1])], 1)
        for k in range(references.shape[1])
    ]
    return torch.stack(rows, dim=1)
