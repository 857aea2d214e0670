"""Randomness of a member that depends on its seed and on how far it has come, and on nothing else.

Nothing is kept between steps, so a member that is resumed, or trained among others, draws the same numbers.
"""

import numpy as np
import torch
from torch import Tensor, nn

# Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, as signed 64-bit numbers.
_GAMMA, _MIX1, _MIX2 = -7046029254386353131, -4658895280553007687, -7723592293110705685
_BITS = 24


def derived_seed(*numbers: int) -> int:
    """A seed in [0, 2**63) that depends on all `numbers`, which are not negative."""
    return int(np.random.SeedSequence(list(numbers)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def epoch_order(seed: int, epoch: int, rows: Tensor, batch: int) -> Tensor:
    """Rows (n,) in the random order of an epoch, (steps, size) with size = min(batch, n).

    The last batch is completed with the first rows of the same order, so that batches have one size and batch
    normalisation never sees a small one.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, 1, epoch))
    order = rows[torch.randperm(len(rows), generator=generator)]
    size = min(batch, len(rows))
    missing = -len(rows) % size
    return torch.cat([order, order[:missing]]).view(-1, size)


class SeededDropout(nn.Module):
    """Dropout whose mask is a function of `key`, a number of the member and the step.

    Args:
        rate: part of the values that is dropped.
        layer: number of the layer, so that no two layers of a network share a mask.
    """

    key: Tensor

    def __init__(self, rate: float, layer: int):
        super().__init__()
        self.rate, self.layer = rate, layer
        self.register_buffer("key", torch.zeros((), dtype=torch.int64), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        place = torch.arange(x.numel(), device=x.device).view(x.shape)
        z = (place + (self.layer << 40) + self.key) * _GAMMA
        z = (z ^ (z >> 30 & (1 << 34) - 1)) * _MIX1
        z = (z ^ (z >> 27 & (1 << 37) - 1)) * _MIX2
        kept = (z >> 40 & (1 << _BITS) - 1) >= self.rate * (1 << _BITS)
        return x * kept / (1 - self.rate)


def seed_dropouts(net: nn.Module) -> list[str]:
    """Put a `SeededDropout` in the place of every `nn.Dropout` of `net`; returns the names of their keys."""
    names = []
    # A layer that is used in two places has two names.
    for name, module in [(n, m) for n, m in net.named_modules(remove_duplicate=False) if isinstance(m, nn.Dropout)]:
        if module.p > 0:
            parent, _, leaf = name.rpartition(".")
            setattr(net.get_submodule(parent), leaf, SeededDropout(module.p, len(names)))
            names.append(f"{name}.key")
    return names
