"""Batch normalisation, ReLU and max pooling of a network as one layer, where it is trained on a CPU.

A normalisation also does what follows it, whose places are taken by identities; names, parameters and statistics stay.
In evaluation, without gradients, and on maps that are not float32 and channels-last the layers run as PyTorch has them.

Measured with one thread, a step of 64 patches: 35 ms of 116 become 19 in the VGG-like network, 52 of 269 ms 25 in INA's.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from benchmark.kernels import norm as kernels


class FusedNorm(nn.BatchNorm2d):
    """A batch normalisation that rectifies and, if it has a `pool`, pools; made of one by `fuse_norms`."""

    pool: nn.MaxPool2d | None

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to maps, pooled ones if there is a pool."""
        if not self._is_fast(x):
            y = torch.relu(super().forward(x))
            return y if self.pool is None else self.pool(y)
        mean, var = kernels.moments(_flat(x.detach()), self.num_features)
        self._follow(mean, var, x.numel() // self.num_features)
        return _NormRelu.apply(x, self.weight, self.bias, mean, var, self.eps, windows(x.shape, self.pool))

    def _is_fast(self, x: Tensor) -> bool:
        return (
            self.training
            and torch.is_grad_enabled()
            and (x.requires_grad or self.weight.requires_grad or self.bias.requires_grad)
            and x.device.type == "cpu"
            and x.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and x.ndim == 4
            and x.shape[1] == self.num_features
            # PyTorch's own errors: one value has no variance, and there must be a window.
            and x.numel() > self.num_features
            and (self.pool is None or min(windows(x.shape, self.pool)) > 0)
            and x.is_contiguous(memory_format=torch.channels_last)
        )

    @torch.no_grad()
    def _follow(self, mean: np.ndarray, var: np.ndarray, count: int) -> None:
        """Let the running statistics follow those of a batch of `count` positions."""
        if not self.track_running_stats:
            return
        self.num_batches_tracked += 1
        part = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        for running, new in ((self.running_mean, mean), (self.running_var, var * (count / (count - 1)))):
            running.mul_(1 - part).add_(torch.from_numpy(new).float(), alpha=part)


class _NormRelu(torch.autograd.Function):
    """Maps, weight and bias (C,) to rectified and maybe pooled maps, by the batch's own mean and variance (C,)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: np.ndarray,
        var: np.ndarray,
        eps: float,
        pool: kernels.Pool | None,
    ) -> Tensor:
        batch, channels, height, width = x.shape
        ctx.table = kernels.table(mean, var, eps, exact(weight), exact(bias))
        ctx.std, ctx.pool = np.sqrt(var + eps), pool
        if pool is None:
            y = torch.empty(batch, height, width, channels)
            kernels.rectified(_flat(x), ctx.table, channels, y.view(-1).numpy())
            ctx.save_for_backward(x, weight)
        else:
            y = torch.empty(batch, pool.rows, pool.columns, channels)
            kept, place = torch.empty(y.numel()), torch.empty(y.numel(), dtype=torch.uint8)
            kernels.pooled(_flat(x), ctx.table, pool, y.view(-1).numpy(), kept.numpy(), place.numpy())
            ctx.save_for_backward(x, weight, kept, place)
        return y.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, *winners = ctx.saved_tensors
        maps, channels = _flat(x), len(weight)
        kept, place = (winner.numpy() for winner in winners) if winners else (maps, None)
        given = _flat(gradient.contiguous(memory_format=torch.channels_last))
        total, product = kernels.gradient_sums(kept, given, ctx.table, channels)
        found = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        if found is not None:
            scale, count = exact(weight) / ctx.std, x.numel() // channels
            kernels.set_gradient(ctx.table, scale * product / (count * ctx.std**2), scale * total / count)
            if ctx.pool is None:
                kernels.maps_gradient(maps, given, ctx.table, channels, _flat(found))
            else:
                kernels.unpooled_gradient(maps, given, kept, place, ctx.table, ctx.pool, _flat(found))
        by_weight, by_bias = torch.from_numpy(product / ctx.std).float(), torch.from_numpy(total).float()
        return found, by_weight, by_bias, None, None, None, None


def fuse_norms(net: nn.Module) -> None:
    """Let the normalisations of `net` do the ReLU and the max pooling behind them, in Sequentials that run as they stand.

    Names and parameters stay, and so do the normalisations themselves, so that whoever holds one as fixed holds it still.
    """
    for places in _runs(net):
        places += [(places[-1][0], "", nn.Identity())] * 2
        for (_, _, norm), relu, pool in zip(places, places[1:], places[2:], strict=False):
            if _fits(norm) and type(relu[2]) is nn.ReLU:
                norm.__class__ = FusedNorm
                norm.pool = pool[2] if _has_touching_windows(pool[2]) else None
                for parent, name, _ in (relu, pool)[: 1 if norm.pool is None else 2]:
                    setattr(parent, name, nn.Identity())


def neighbours(net: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Modules of `net` and what runs right behind each, in Sequentials that run as they stand."""
    for places in _runs(net):
        yield from pairwise(module for _, _, module in places)


Place = tuple[nn.Sequential, str, nn.Module]


def _outermost(module: nn.Module) -> Iterator[nn.Sequential]:
    """The Sequentials in `module` that are not in another one directly."""
    if type(module) is nn.Sequential:
        yield module
        inner = [child for _, _, child in _places(module)]
    else:
        inner = list(module.children())
    for child in inner:
        yield from _outermost(child)


def _runs(net: nn.Module) -> Iterator[list[Place]]:
    """What runs one after the other."""
    for sequence in _outermost(net):
        places = list(_places(sequence))
        # What is in two places cannot do what follows in one of them.
        if places and len({id(module) for _, _, module in places}) == len(places):
            yield places


def _places(sequence: nn.Sequential) -> Iterator[Place]:
    """What runs in a Sequential one after the other, those inside it opened: its Sequential, its name there, itself."""
    for name, child in sequence._modules.items():
        if type(child) is nn.Sequential:
            yield from _places(child)
        else:
            yield sequence, name, child


def _fits(module: nn.Module) -> bool:
    return type(module) is nn.BatchNorm2d and module.affine and module.num_features <= kernels.WIDE


def _has_touching_windows(module: nn.Module) -> bool:
    if type(module) is not nn.MaxPool2d or module.return_indices:
        return False
    size = _pair(module.kernel_size)
    fits = (_pair(module.stride), _pair(module.padding), _pair(module.dilation)) == (size, (0, 0), (1, 1))
    return fits and size[0] * size[1] <= kernels.LARGEST_WINDOW


def windows(maps: Sequence[int], pool: nn.MaxPool2d | None) -> kernels.Pool | None:
    """The windows of a pool on maps of sizes (B, C, H, W)."""
    if pool is None:
        return None
    batch, channels, height, width = maps
    down, across = _pair(pool.kernel_size)
    more = (down - 1, across - 1) if pool.ceil_mode else (0, 0)
    return kernels.Pool(
        batch, height, width, channels, down, across, (height + more[0]) // down, (width + more[1]) // across
    )


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value, value)


def exact(values: Tensor) -> np.ndarray:
    """The same in float64."""
    return values.detach().double().numpy()


def _flat(maps: Tensor) -> np.ndarray:
    """Channels-last maps (B, C, H, W) as they lie in memory, (B * H * W * C,)."""
    return maps.permute(0, 2, 3, 1).view(-1).numpy()
