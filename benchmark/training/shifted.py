"""A 1-D convolution of maps (C, T, B) and its gradients, as sums of shifted rows.

Matrix products where there are many channels; else our own loops, as measured (AVX-512, one thread, microseconds for
frames of 64 examples and 3 taps, matrix products and loops). Maps of 43 frames, 16 to 8 channels: 75 and 58; 16 to 32: 154
and 193; of 16 frames, 16 to 32: 87 and 80. The gradient of the weight is always loops: 43 frames, 8 to 16 channels 120 and
54, 128 to 16 691 and 676.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.kernels import shifted as kernels


class Shape(NamedTuple):
    """A convolution over `length` frames of `batch` examples behind `past` zeros."""

    kernel: int
    dilation: int
    past: int
    length: int
    batch: int
    depthwise: bool

    @property
    def outputs(self) -> int:
        """Frames that come out."""
        return self.length + self.past - (self.kernel - 1) * self.dilation


@lru_cache(maxsize=128)
def _taps(shape: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each tap the first place that it reads of a row of inputs, and writes of one of outputs, and how many: (K,) uint64."""
    taps = np.arange(shape.kernel) * shape.dilation
    target = np.maximum(shape.past - taps, 0)
    count = np.maximum(shape.outputs - target, 0)
    source = np.where(count > 0, target + taps - shape.past, 0)
    return tuple((places * shape.batch).astype(np.uint64) for places in (source, target, count))


@lru_cache(maxsize=128)
def _slices(shape: Shape) -> list[tuple[int, slice, slice]]:
    """The taps that reach anything, with the places of a row of inputs and of one of outputs."""
    places = zip(*(column.tolist() for column in _taps(shape)), strict=True)
    return [(k, slice(a, a + count), slice(b, b + count)) for k, (a, b, count) in enumerate(places) if count]


def _is_small(rows: int, inputs: int, kernel: int) -> bool:
    """Whether the sums of a dense convolution are loops."""
    return min(rows, inputs) <= 8 or (kernel > 1 and rows * inputs <= 512)


def flat(x: Tensor) -> np.ndarray:
    """Numbers as they lie in memory where x is contiguous, else a copy in order."""
    return x.detach().numpy().reshape(-1)


def maps_of(x: Tensor, shape: Shape, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Inputs x (C, T, B), a weight (O, C, K) or depthwise (C, 1, K), and a bias (O,) or None to maps (O, outputs, B)."""
    rows, (inputs, kernel) = weight.shape[0], weight.shape[1:]
    maps = torch.empty(rows, shape.outputs, shape.batch)
    taps, start = _taps(shape), np.zeros(rows, np.float32) if bias is None else flat(bias)
    if shape.depthwise:
        kernels.depthwise(flat(x), flat(weight), start, *taps, flat(maps))
    elif _is_small(rows, inputs, kernel):
        by_row = inputs * kernel
        kernels.dense(flat(x), flat(weight), by_row, kernel, start, *taps, flat(maps), rows, inputs)
    else:
        factors = weight.detach().permute(2, 0, 1).contiguous()
        values, sums = x.view(inputs, -1), maps.view(rows, -1)
        sums.copy_(torch.from_numpy(start)[:, None])
        for k, read, written in _slices(shape):
            sums[:, written].addmm_(factors[k], values[:, read])
    return maps


def gradients(
    x: Tensor, shape: Shape, weight: Tensor, slope: Tensor, needs: tuple[bool, bool, bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of x, weight and bias, those that are needed, from that of the maps (O, outputs, B), contiguous."""
    of_weight = None
    if needs[1]:
        of_weight = torch.empty(weight.shape)
        if shape.depthwise:
            kernels.depthwise_products(flat(x), flat(slope), *_taps(shape), flat(of_weight))
        else:
            rows, inputs, _ = weight.shape
            kernels.dense_products(flat(x), flat(slope), *_taps(shape), flat(of_weight), rows, inputs)
    of_x = _inputs_gradient(x, shape, weight, slope) if needs[0] else None
    return of_x, of_weight, slope.sum((1, 2)) if needs[2] else None


def _inputs_gradient(x: Tensor, shape: Shape, weight: Tensor, slope: Tensor) -> Tensor:
    """The same sums, with inputs and outputs in each other's place."""
    source, target, count = _taps(shape)
    rows, (inputs, kernel) = weight.shape[0], weight.shape[1:]
    found, start = torch.empty_like(x), np.zeros(x.shape[0], np.float32)
    if shape.depthwise:
        kernels.depthwise(flat(slope), flat(weight), start, target, source, count, flat(found))
    elif _is_small(rows, inputs, kernel):
        steps = kernel, inputs * kernel
        kernels.dense(flat(slope), flat(weight), *steps, start, target, source, count, flat(found), inputs, rows)
    else:
        factors = weight.detach().permute(2, 1, 0).contiguous()
        values, sums = slope.view(rows, -1), found.view(inputs, -1).zero_()
        for k, read, written in _slices(shape):
            sums[:, read].addmm_(factors[k], values[:, written])
    return found
