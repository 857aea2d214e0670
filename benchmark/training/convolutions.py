"""Convolutions that are filtered along their rows in training, on a processor.

Milliseconds of 64 patches of INA's topology, forward and backward, PyTorch's own and ours (one thread, AVX-512):
64 to 128 channels 59 and 36, 128 to 128 channels 77 and 48, 128 to 256 channels on maps as wide as the kernel 42 and 12.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from benchmark.kernels.row_filter import RowFilter
from benchmark.models.filtered_conv import pays
from benchmark.models.frozen_conv import is_plain

# With fewer, filtering along rows is slower than PyTorch.
_LEAST_INPUTS, _LEAST_OUTPUTS = 64, 128


@lru_cache(maxsize=32)
def _filter(height: int, width: int, padding: tuple[int, int]) -> RowFilter:
    return RowFilter(height, width, padding)


class _Filtered(torch.autograd.Function):
    """A convolution by `RowFilter`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
        image = x.permute(0, 2, 3, 1).contiguous()
        ctx.filter = _filter(image.shape[1], image.shape[2], padding)
        kernels = ctx.filter.kernels(weight)
        ctx.save_for_backward(image, kernels)
        return ctx.filter.forward(image, kernels, bias).permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        image, kernels = ctx.saved_tensors
        slope = slope.permute(0, 2, 3, 1).contiguous()
        of_image, of_weight = ctx.filter.backward(image, slope, kernels, ctx.needs_input_grad[:2])
        of_bias = slope.sum((0, 1, 2)) if ctx.needs_input_grad[2] else None
        return None if of_image is None else of_image.permute(0, 3, 1, 2), of_weight, of_bias, None


class TrainedConv2d(nn.Conv2d):
    """A convolution that is filtered along its rows where that pays."""

    def forward(self, x: Tensor) -> Tensor:
        if not pays(x):
            return super().forward(x)
        return _Filtered.apply(x, self.weight, self.bias, self.padding)


def filter_convolutions(net: nn.Module) -> None:
    """Filter those convolutions of `net` that gain by it; its parameters and their names stay what they are."""
    for module in net.modules():
        if type(module) is nn.Conv2d and _gains(module):
            # The same object with another forward: whoever holds it, or its parameters, goes on holding it.
            module.__class__ = TrainedConv2d


def _gains(module: nn.Conv2d) -> bool:
    return (
        is_plain(module)
        and module.kernel_size == (3, 3)
        and module.in_channels >= _LEAST_INPUTS
        and module.out_channels >= _LEAST_OUTPUTS
    )
