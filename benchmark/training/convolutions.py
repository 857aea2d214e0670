"""Convolutions in training on a processor: filtered along their rows, or as matrix products, where that is faster.

Milliseconds of a step of INA's topology on 64 patches, forward and backward, PyTorch's own and ours (one thread,
AVX-512): 64 to 128 channels 61 and 39, 128 to 128 channels 79 and 55, the last one, as wide as its maps, 42 and 18.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.kernels.row_filter import RowFilter
from benchmark.models.row_conv import is_suited, pays


@lru_cache(maxsize=32)
def _filter(height: int, width: int, padding: tuple[int, int]) -> RowFilter:
    return RowFilter(height, width, padding)


class _Filtered(torch.autograd.Function):
    """A convolution by `RowFilter`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
        image = x.permute(0, 2, 3, 1).contiguous()
        kernels = _filter(image.shape[1], image.shape[2], padding).kernels(weight)
        ctx.save_for_backward(image, kernels)
        ctx.padding = padding
        outputs = _filter(image.shape[1], image.shape[2], padding).forward(image, kernels, bias)
        return outputs.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        image, kernels = ctx.saved_tensors
        slope = slope.permute(0, 2, 3, 1).contiguous()
        found = _filter(image.shape[1], image.shape[2], ctx.padding)
        of_image, of_weight = found.backward(image, slope, kernels, ctx.needs_input_grad[:2])
        of_bias = slope.sum((0, 1, 2)) if ctx.needs_input_grad[2] else None
        return None if of_image is None else of_image.permute(0, 3, 1, 2), of_weight, of_bias, None


class _WholeRows(torch.autograd.Function):
    """A convolution whose kernel is as wide as its input, without padding, as one matrix product."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        rows = x.permute(0, 2, 3, 1).flatten(2)
        # (B, T', kernel's rows, width C), in the order in which the kernel lies in memory.
        # Without a copy they would overlap in memory.
        windows = rows.unfold(1, weight.shape[2], 1).transpose(2, 3).flatten(2).contiguous()
        ctx.save_for_backward(windows, weight)
        ctx.shape = x.shape
        outputs = nn.functional.linear(windows, weight.permute(0, 2, 3, 1).flatten(1), bias)
        return outputs.unsqueeze(2).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        windows, weight = ctx.saved_tensors
        outputs, channels, size, width = weight.shape
        images, count = windows.shape[:2]
        slope = slope.permute(0, 2, 3, 1).reshape(-1, outputs)
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            parts = (slope @ weight.permute(0, 2, 3, 1).flatten(1)).view(images, count, size, width * channels)
            rows = parts.new_zeros(images, ctx.shape[2], width * channels)
            for row in range(size):
                rows[:, row : row + count] += parts[:, :, row]
            of_x = rows.view(images, -1, width, channels).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            of_weight = slope.T @ windows.flatten(0, 1)
            of_weight = of_weight.view(outputs, size, width, channels).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[2]:
            of_bias = slope.sum(0)
        return of_x, of_weight, of_bias


class TrainedConv2d(nn.Conv2d):
    """A convolution of stride 1; it takes the fastest way for what it is given."""

    def forward(self, x: Tensor) -> Tensor:
        if not pays(x):
            return super().forward(x)
        if self.padding == (0, 0) and self.kernel_size[1] == x.shape[3]:
            return _WholeRows.apply(x, self.weight, self.bias)
        if is_suited(self):
            return _Filtered.apply(x, self.weight, self.bias, self.padding)
        return super().forward(x)


def use_fast_convolutions(net: nn.Module) -> None:
    """Let the plain convolutions of `net` take the fastest way; its parameters and their names stay what they are."""
    for module in net.modules():
        plain = type(module) is nn.Conv2d and module.padding_mode == "zeros" and isinstance(module.padding, tuple)
        if plain and (module.stride, module.dilation, module.groups) == ((1, 1), (1, 1), 1):
            # The same object with another forward: whoever holds it, or its parameters, goes on holding it.
            module.__class__ = TrainedConv2d
