"""Winograd's minimal filtering of 3 x 3 convolutions on a processor: 36 products for 4 x 4 outputs, where the definition
needs 144.

Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4.1, F(4 x 4, 3 x 3). A chunk of
tiles stays in the cache on its way: combined to 36 planes, multiplied, combined to outputs. Images are (B, H, W, C),
contiguous, float32, channels in multiples of 16. Results are about 1e-5 off, relative to the greatest.
"""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from benchmark.kernels.patterns import rowwise
from benchmark.kernels.scratch import scratch

TILE = 4
_REACH = TILE + 2
# The kernel's side of F(4, 3), G in the paper, for the points 0, 1, -1, 2, -2 and infinity, times 24.
_KERNEL = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]
# Values of a plane that are in the cache at once; no fewer tiles, and no more, than these.
_VALUES, _FEWEST, _MOST = 12_288, 64, 192


def inputs_combined(d: Sequence[Any]) -> list[Any]:
    """B^T d, the 6 inputs of F(4, 3) combined."""
    a, b = d[4] - 4.0 * d[2], d[3] - 4.0 * d[1]
    c, e = d[4] - d[2], 2.0 * (d[3] - d[1])
    return [4.0 * d[0] - 5.0 * d[2] + d[4], a + b, a - b, c + e, c - e, 4.0 * d[1] - 5.0 * d[3] + d[5]]


def products_combined(m: Sequence[Any]) -> list[Any]:
    """A^T m, the 4 outputs of F(4, 3) from its 6 products."""
    a, b, c, d = m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]
    return [m[0] + a + c, b + 2.0 * d, a + 4.0 * c, b + 8.0 * d + m[5]]


_combine_inputs = rowwise(inputs_combined, _REACH, _REACH)
_combine_products = rowwise(products_combined, _REACH, TILE)

_jit = numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")


@_jit
def _spread(image, shape, padding, down, across, first, count, rows, planes, stride):
    """Combine the windows of some rows of tiles to planes.

    Args:
        image: flat, of `shape` (B, H, W, C).
        padding: (rows, columns) of zeros around it.
        down, across: tiles of an image; first, count: which rows of them.
        rows: flat, for 6 rows of an image with its padding, twice.
        planes: flat; tile t of plane (i, j) begins at (6 i + j) stride + t C.
    """
    _, height, width, channels = shape
    run, padded = width * channels, (across * TILE + 2) * channels
    left = padding[1] * channels
    # What is behind the last window is not read.
    inside = min(run, padded - left)
    image_at, planes_at, rows_at = image.ctypes.data, planes.ctypes.data, rows.ctypes.data
    at_edge = _REACH * padded
    for i in range(_REACH):
        rows[i * padded : i * padded + left] = 0
        rows[i * padded + left + inside : (i + 1) * padded] = 0
    for t in range(count):
        number = first + t
        begin, top = number // down * height, number % down * TILE - padding[0]
        source = image_at + 4 * (begin + top) * run
        if top < 0 or top + _REACH > height:
            source = rows_at + 4 * at_edge
            for j in range(_REACH):
                to = at_edge + j * run
                if top + j >= 0 and top + j < height:
                    at = (begin + top + j) * run
                    rows[to : to + run] = image[at : at + run]
                else:
                    rows[to : to + run] = 0
        _combine_inputs(rows_at + 4 * left, padded, source, run, inside)
        for x in range(across):
            to = planes_at + 4 * (t * across + x) * channels
            for i in range(_REACH):
                window = rows_at + 4 * (i * padded + x * TILE * channels)
                _combine_inputs(to + 4 * i * _REACH * stride, stride, window, channels, channels)


@_jit
def _gather(planes, stride, down, across, first, count, tile, image, shape, bias, least):
    """Combine planes to rows of tiles of an image; `bias` is added, `least` the least value.

    Args:
        planes, stride, down, across, first, count: as of `_spread`.
        tile: flat, for 40 places of C values.
        image: flat, of `shape` (B, H, W, C).
        bias: (C,).
    """
    _, height, width, channels = shape
    planes_at, columns_at = planes.ctypes.data, tile.ctypes.data
    done = _REACH * TILE * channels
    done_at = columns_at + 4 * done
    one = np.uint64(channels)
    for t in range(count):
        number = first + t
        begin, top = number // down * height, number % down * TILE
        for x in range(across):
            source = planes_at + 4 * (t * across + x) * channels
            for j in range(_REACH):
                place = columns_at + 4 * j * channels
                _combine_products(place, _REACH * channels, source + 4 * j * stride, _REACH * stride, channels)
            for i in range(TILE):
                column = columns_at + 4 * i * _REACH * channels
                _combine_products(done_at + 4 * i * TILE * channels, channels, column, channels, channels)
            for i in range(min(TILE, height - top)):
                to = np.uint64(((begin + top + i) * width + x * TILE) * channels)
                at = np.uint64(done + i * TILE * channels)
                for _ in range(min(TILE, width - x * TILE)):
                    for k in range(one):
                        value = tile[at + k] + bias[k]
                        # The other way round what is no number would be lost.
                        image[to + k] = least if value < least else value
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
        self.down, self.across = -(-self.height // TILE), -(-self.width // TILE)

    @torch.compiler.disable
    def forward(self, image: Tensor, kernels: Tensor, bias: Tensor | None = None, rectified: bool = False) -> Tensor:
        """Outputs (B, h, w, K) of an image (B, H, W, C), with ReLU if `rectified`.

        Args:
            kernels: (36, C, K), of `kernels_of`.
            bias: (K,).
        """
        _, inputs, number = kernels.shape
        outputs = image.new_empty(len(image), self.height, self.width, number)
        added = (image.new_zeros(number) if bias is None else bias.detach()).numpy()
        least = np.float32(0.0 if rectified else -np.inf)
        total, size = len(image) * self.down, self._rows_of_tiles(inputs)
        places = min(size, total) * self.across
        planes, flat_planes = scratch.planes("planes", _REACH**2, places, inputs)
        products, flat_products = scratch.planes("products", _REACH**2, places, number)
        rows = scratch.flat("rows", _REACH * (image.shape[2] + self.across * TILE + 2) * inputs).numpy()
        tile = scratch.flat("tile", (_REACH + TILE) * TILE * number).numpy()
        source, target = image.view(-1).numpy(), outputs.view(-1).numpy()
        given, made, grid = tuple(image.shape), tuple(outputs.shape), (self.down, self.across)
        for first in range(0, total, size):
            count = min(size, total - first)
            used = count * self.across
            _spread(source, given, self.padding, *grid, first, count, rows, flat_planes, planes.stride(0))
            torch.bmm(planes[:, :used], kernels, out=products[:, :used])
            _gather(flat_products, products.stride(0), *grid, first, count, tile, target, made, added, least)
        return outputs

    def _rows_of_tiles(self, channels: int) -> int:
        return max(1, min(_MOST, max(_FEWEST, _VALUES // channels)) // self.across)


def kernels_of(weight: Tensor) -> Tensor:
    """What becomes of a weight (K, C, 3, 3): (36, C, K), float32, computed in float64."""
    transform = torch.tensor(_KERNEL, dtype=torch.float64, device=weight.device) / 24
    found = torch.einsum("ai,ocij,bj->abco", transform, weight.detach().double(), transform)
    return found.flatten(0, 1).float().contiguous()
