"""Winograd's minimal filtering of 3 x 3 convolutions on a processor: 36 products for 4 x 4 outputs, where the definition
needs 144.

Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4.1; tiles have 4 or 5 rows and
columns, whichever leaves fewer products. A chunk of tiles stays in the cache on its way: combined to planes, multiplied,
combined to outputs. Images are (B, H, W, C), contiguous, float32, channels in multiples of 16. Results are about 1e-5
off, relative to the greatest.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from benchmark.kernels.patterns import rowwise
from benchmark.kernels.row_filter import filtering
from benchmark.kernels.scratch import scratch

# Values of a plane that are in the cache at once; no fewer tiles, and no more, than these.
_VALUES, _FEWEST, _MOST = 12_288, 64, 128


def _combined(matrix: np.ndarray) -> Callable[[Sequence[Any]], list[Any]]:
    """The product of a matrix with a list of values, without what is zero."""

    def combine(x: Sequence[Any]) -> list[Any]:
        return [reduce(add, (float(row[j]) * x[j] for j in np.flatnonzero(row))) for row in matrix]

    return combine


def _maps(m: int) -> tuple[Callable[..., None], Callable[..., None]]:
    """Inputs and products of F(m, 3) combined."""
    found = filtering(m)
    return rowwise(_combined(found.inputs), m + 2, m + 2), rowwise(_combined(found.outputs.T), m + 2, m)


_four_inputs, _four_products = _maps(4)
_five_inputs, _five_products = _maps(5)

_jit = numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")


@_jit
def _combine_inputs(m, target, target_step, source, source_step, size):
    if m == 4:
        _four_inputs(target, target_step, source, source_step, size)
    else:
        _five_inputs(target, target_step, source, source_step, size)


@_jit
def _combine_products(m, target, target_step, source, source_step, size):
    if m == 4:
        _four_products(target, target_step, source, source_step, size)
    else:
        _five_products(target, target_step, source, source_step, size)


@_jit
def _spread(image, shape, padding, tile, down, across, first, count, rows, planes, stride):
    """Combine the windows of some rows of tiles to planes.

    Args:
        image: flat, of `shape` (B, H, W, C).
        padding: (rows, columns) of zeros around it.
        tile: (rows, columns), 4 or 5 each.
        down, across: tiles of an image; first, count: which rows of them.
        rows: flat, for the rows of a window and those of an image, with its padding.
        planes: flat; tile t of plane p, which belong to the places of a window, begins at p stride + t C.
    """
    _, height, width, channels = shape
    reach, columns = tile[0] + 2, tile[1] + 2
    run, padded = width * channels, (across * tile[1] + 2) * channels
    left = padding[1] * channels
    # What is behind the last window is not read.
    inside = min(run, padded - left)
    image_at, planes_at, rows_at = image.ctypes.data, planes.ctypes.data, rows.ctypes.data
    at_edge = reach * padded
    for i in range(reach):
        rows[i * padded : i * padded + left] = 0
        rows[i * padded + left + inside : (i + 1) * padded] = 0
    for t in range(count):
        number = first + t
        begin, top = number // down * height, number % down * tile[0] - padding[0]
        source = image_at + 4 * (begin + top) * run
        if top < 0 or top + reach > height:
            source = rows_at + 4 * at_edge
            for j in range(reach):
                to = at_edge + j * run
                if top + j >= 0 and top + j < height:
                    at = (begin + top + j) * run
                    rows[to : to + run] = image[at : at + run]
                else:
                    rows[to : to + run] = 0
        _combine_inputs(tile[0], rows_at + 4 * left, padded, source, run, inside)
        for x in range(across):
            to = planes_at + 4 * (t * across + x) * channels
            for i in range(reach):
                window = rows_at + 4 * (i * padded + x * tile[1] * channels)
                _combine_inputs(tile[1], to + 4 * i * columns * stride, stride, window, channels, channels)


@_jit
def _gather(planes, stride, tile, down, across, first, count, places, image, shape, bias):
    """Combine planes to rows of tiles of an image, to which `bias` is added.

    Args:
        planes, stride, tile, down, across, first, count: as of `_spread`.
        places: flat, for C values of the rows of a tile by the columns of its window and by its own.
        image: flat, of `shape` (B, H, W, C).
        bias: (C,).
    """
    _, height, width, channels = shape
    rows, columns, reach = tile[0], tile[1], tile[1] + 2
    planes_at, places_at = planes.ctypes.data, places.ctypes.data
    done = rows * reach * channels
    done_at = places_at + 4 * done
    one = np.uint64(channels)
    for t in range(count):
        number = first + t
        begin, top = number // down * height, number % down * rows
        for x in range(across):
            source = planes_at + 4 * (t * across + x) * channels
            for j in range(reach):
                place = places_at + 4 * j * channels
                _combine_products(rows, place, reach * channels, source + 4 * j * stride, reach * stride, channels)
            for i in range(rows):
                place = done_at + 4 * i * columns * channels
                _combine_products(columns, place, channels, places_at + 4 * i * reach * channels, channels, channels)
            for i in range(min(rows, height - top)):
                to = np.uint64(((begin + top + i) * width + x * columns) * channels)
                at = np.uint64(done + i * columns * channels)
                for _ in range(min(columns, width - x * columns)):
                    for k in range(one):
                        image[to + k] = places[at + k] + bias[k]
                    to += one
                    at += one


class TileFilter:
    """A 3 x 3 convolution of stride 1 on maps of one size.

    Args:
        height, width: of the inputs.
        padding: zeros around them, (rows, columns).

    Raises:
        ValueError: the maps are smaller than the kernel.
    """

    def __init__(self, height: int, width: int, padding: tuple[int, int]):
        self.padding = padding
        self.height, self.width = height + 2 * padding[0] - 2, width + 2 * padding[1] - 2
        if min(self.height, self.width) < 1:
            raise ValueError(f"maps of {height} x {width} are smaller than the kernel")
        self.tile = best_tile(self.height), best_tile(self.width)
        self.down, self.across = -(-self.height // self.tile[0]), -(-self.width // self.tile[1])

    def kernels(self, weight: Tensor) -> Tensor:
        """What becomes of a weight (K, C, 3, 3): (planes, C, K), float32, computed in float64."""
        rows, columns = (torch.from_numpy(filtering(m).kernel) for m in self.tile)
        found = torch.einsum("ai,ocij,bj->abco", rows, weight.detach().double(), columns)
        return found.flatten(0, 1).float().contiguous()

    @torch.compiler.disable
    def forward(self, image: Tensor, kernels: Tensor, bias: Tensor | None = None) -> Tensor:
        """Outputs (B, h, w, K) of an image (B, H, W, C).

        Args:
            kernels: of the weight.
            bias: (K,).
        """
        number, inputs, channels = kernels.shape
        outputs = image.new_empty(len(image), self.height, self.width, channels)
        added = (image.new_zeros(channels) if bias is None else bias.detach()).numpy()
        total, size = len(image) * self.down, self._rows_of_tiles(inputs)
        places = min(size, total) * self.across
        planes, flat_planes = scratch.planes("planes", number, places, inputs)
        products, flat_products = scratch.planes("products", number, places, channels)
        high, wide = self.tile
        rows = scratch.flat("rows", (high + 2) * (image.shape[2] + self.across * wide + 2) * inputs).numpy()
        tile = scratch.flat("tile", high * (2 * wide + 2) * channels).numpy()
        source, target = image.view(-1).numpy(), outputs.view(-1).numpy()
        given, made, grid = tuple(image.shape), tuple(outputs.shape), (self.tile, self.down, self.across)
        for first in range(0, total, size):
            count = min(size, total - first)
            used = count * self.across
            _spread(source, given, self.padding, *grid, first, count, rows, flat_planes, planes.stride(0))
            torch.bmm(planes[:, :used], kernels, out=products[:, :used])
            _gather(flat_products, products.stride(0), *grid, first, count, tile, target, made, added)
        return outputs

    def _rows_of_tiles(self, channels: int) -> int:
        return max(1, min(_MOST, max(_FEWEST, _VALUES // channels)) // self.across)


def best_tile(outputs: int) -> int:
    """m for so many outputs in a row: 5 where it saves a tenth of the products of 4, whose combinations cost less."""
    four, five = (-(-outputs // m) * (m + 2) for m in (4, 5))
    return 5 if five < 0.9 * four else 4
