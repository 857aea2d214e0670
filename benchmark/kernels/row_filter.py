"""Winograd's minimal filtering along the rows of 3 x 3 convolutions on a processor, forward and backward.

F(m, 3) takes m + 2 products for m outputs where the definition takes 3 m (Lavin & Gray, "Fast Algorithms for
Convolutional Neural Networks", CVPR 2016, section 4.1). Here tiles are whole rows of maps: a tile's m + 2 rows are
combined to m + 2 others, each of those goes through one matrix product with the three columns of its kernel side by
side, and the products are combined to m rows of outputs. That saves half of the products, where filtering in two
dimensions saves three quarters; but it reads and writes memory in long runs, so that most of the gain is left.

Images are (B, H, W, C), contiguous, float32. Results are about 5e-6 off, relative to the greatest.
"""

from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
import torch
from torch import Tensor

from benchmark.kernels.scratch import scratch

_POINTS = (0, 1, -1, 2, -2, 0.5, -0.5)
# Rows of the matrix products that are in the cache at once.
_ROWS = 192
# The most rows that are combined.
_MOST = 8

_jit = numba.njit(
    cache=True, nogil=True, boundscheck=False, error_model="numpy", fastmath={"contract", "nsz", "arcp", "reassoc"}
)


@dataclass(frozen=True)
class Filtering:
    """F(m, 3): `outputs.T @ ((kernel @ g) * (inputs @ d))` are the m outputs of m + 2 inputs d and a kernel g.

    Attributes:
        inputs: (m + 2, m + 2) float64, the greatest of each row 1.
        kernel: (m + 2, 3) float64.
        outputs: (m + 2, m) float64.
    """

    inputs: np.ndarray
    kernel: np.ndarray
    outputs: np.ndarray


@lru_cache(maxsize=8)
def filtering(m: int) -> Filtering:
    """F(m, 3) by Toom and Cook, with the first m + 1 of the points 0, 1, -1, 2, -2, 1/2, -1/2, and infinity."""
    points = np.array(_POINTS[: m + 1], dtype=np.float64)
    inputs, kernel = np.zeros((m + 2, m + 2)), np.zeros((m + 2, 3))
    for i, point in enumerate(points):
        others = np.delete(points, i)
        # Coefficients of the product of x - a over the other points, the constant first.
        inputs[i, : m + 1] = np.poly(others)[::-1]
        kernel[i] = point ** np.arange(3) / np.prod(point - others)
    inputs[-1] = np.poly(points)[::-1]
    kernel[-1, 2] = 1
    size = np.abs(inputs).max(axis=1, keepdims=True)
    outputs = np.vstack([points[:, None] ** np.arange(m), np.eye(m)[-1:]])
    return Filtering(inputs / size, kernel * size, outputs)


def best_tile(outputs: int) -> int:
    """m for so many rows of outputs: 6 where it saves a tenth of the products of 4, whose combinations cost less."""
    four, six = (-(-outputs // m) * (m + 2) for m in (4, 6))
    return 6 if six < 0.9 * four else 4


@_jit
def _combine(target, to, source, at, weights, terms, size):
    """Put `sum weights[i] source[at[i] :]` of 6 or 8 terms into `size` places of `target` from `to` on."""
    a, b, c, d, e, f = weights[0], weights[1], weights[2], weights[3], weights[4], weights[5]
    i, j, m, n, p, q = at[0], at[1], at[2], at[3], at[4], at[5]
    if terms <= 6:
        for k in range(size):
            target[to + k] = (
                a * source[i + k]
                + b * source[j + k]
                + c * source[m + k]
                + d * source[n + k]
                + e * source[p + k]
                + f * source[q + k]
            )
        return
    g, h, r, s = weights[6], weights[7], at[6], at[7]
    for k in range(size):
        target[to + k] = (
            a * source[i + k]
            + b * source[j + k]
            + c * source[m + k]
            + d * source[n + k]
            + e * source[p + k]
            + f * source[q + k]
            + g * source[r + k]
            + h * source[s + k]
        )


@_jit
def _rows_of(place, row_size, height, terms, at, weights, matrix, i):
    """Offsets of the rows of an image that a tile combines, and their weights in row `i` of its result."""
    image, first = place
    for j in range(terms):
        row = first + j
        inside = row >= 0 and row < height
        at[j] = np.uint64((image * height + row) * row_size) if inside else np.uint64(0)
        weights[j] = matrix[i, j] if inside else np.float32(0)


@_jit
def _spread(image, shape, padding, step, tiles, first, count, matrix, width, planes, stride):
    """Combine rows of an image for each of some tiles, and lay the three columns of each window side by side.

    Args:
        image: flat, of `shape` (B, H, W, C).
        padding: (rows, columns) of zeros around it.
        step: rows from tile to tile; tiles: of an image; first, count: which ones.
        matrix: (n, n).
        width: windows of a row.
        planes: flat; row t of plane i begins at i stride + t 3 width C.
    """
    _, height, columns, channels = shape
    n = matrix.shape[0]
    row_size = columns * channels
    row = np.zeros(row_size, np.float32)
    at, weights = np.zeros(_MOST, np.uint64), np.zeros(_MOST, np.float32)
    one, three = np.uint64(channels), np.uint64(3 * channels)
    size, start = np.uint64(row_size), np.uint64(0)
    for t in range(count):
        number = first + t
        place = number // tiles, number % tiles * step - padding[0]
        for i in range(n):
            _rows_of(place, row_size, height, n, at, weights, matrix, i)
            _combine(row, start, image, at, weights, n, size)
            to = np.uint64(i * stride + t * width * 3 * channels)
            for w in range(width):
                left = w - padding[1]
                if left >= 0 and left + 3 <= columns:
                    source = np.uint64(left) * one
                    for k in range(three):
                        planes[to + k] = row[source + k]
                else:
                    for j in range(3):
                        part = to + np.uint64(j) * one
                        if left + j >= 0 and left + j < columns:
                            source = np.uint64(left + j) * one
                            for k in range(one):
                                planes[part + k] = row[source + k]
                        else:
                            for k in range(one):
                                planes[part + k] = np.float32(0)
                to += three


@_jit
def _spread_adjoint(planes, stride, padding, step, tiles, first, count, matrix, width, image, shape):
    """Add to an image what the transpose of `_spread` makes of planes; `matrix` is transposed already."""
    _, height, columns, channels = shape
    n = matrix.shape[0]
    row_size = columns * channels
    rows = np.zeros(_MOST * row_size, np.float32)
    row = np.zeros(row_size, np.float32)
    at, weights = np.zeros(_MOST, np.uint64), np.zeros(_MOST, np.float32)
    one, size, start = np.uint64(channels), np.uint64(row_size), np.uint64(0)
    for t in range(count):
        rows[:] = 0
        for i in range(n):
            source = np.uint64(i * stride + t * width * 3 * channels)
            at[i] = np.uint64(i * row_size)
            for w in range(width):
                for j in range(3):
                    column = w - padding[1] + j
                    if column >= 0 and column < columns:
                        to = np.uint64(i * row_size + column * channels)
                        for k in range(one):
                            rows[to + k] += planes[source + k]
                    source += one
        number = first + t
        for i in range(n):
            h = number % tiles * step - padding[0] + i
            if h < 0 or h >= height:
                continue
            for j in range(n):
                weights[j] = matrix[i, j]
            _combine(row, start, rows, at, weights, n, size)
            to = np.uint64((number // tiles * height + h) * row_size)
            for k in range(size):
                image[to + k] += row[k]


@_jit
def _gather(planes, stride, tiles, first, count, matrix, image, shape, bias):
    """Combine planes to the rows of an image, each tile's by `matrix` (m, n), to which `bias` is added.

    Args:
        planes: flat; row t of plane i begins at i stride + t W C.
        image: flat, of `shape` (B, H, W, C).
        bias: (C,).
        tiles, first, count: as of `_spread`.
    """
    _, height, columns, channels = shape
    m, n = matrix.shape
    row_size = columns * channels
    at, weights = np.zeros(_MOST, np.uint64), np.zeros(_MOST, np.float32)
    one, size = np.uint64(channels), np.uint64(row_size)
    for t in range(count):
        number = first + t
        for i in range(n):
            at[i] = np.uint64(i * stride + t * row_size)
        for i in range(m):
            h = number % tiles * m + i
            if h >= height:
                break
            for j in range(n):
                weights[j] = matrix[i, j]
            to = np.uint64((number // tiles * height + h) * row_size)
            _combine(image, to, planes, at, weights, n, size)
            for _ in range(columns):
                for k in range(one):
                    image[to + k] += bias[k]
                to += one


@_jit
def _gather_adjoint(image, shape, tiles, first, count, matrix, planes, stride):
    """Planes that the transpose of `_gather` makes of an image; `matrix` is (n, m)."""
    _, height, columns, channels = shape
    n, m = matrix.shape
    row_size = columns * channels
    at, weights = np.zeros(_MOST, np.uint64), np.zeros(_MOST, np.float32)
    size = np.uint64(row_size)
    for t in range(count):
        number = first + t
        place = number // tiles, number % tiles * m
        for i in range(n):
            _rows_of(place, row_size, height, m, at, weights, matrix, i)
            _combine(planes, np.uint64(i * stride + t * row_size), image, at, weights, m, size)


def _flat(image: Tensor) -> tuple[np.ndarray, tuple[int, ...]]:
    return image.detach().view(-1).numpy(), tuple(image.shape)


class RowFilter:
    """A 3 x 3 convolution of stride 1 on maps of one size.

    Args:
        height, width: of the inputs.
        padding: zeros around them, (rows, columns).
        tile: m; the best one for the height by default.

    Raises:
        ValueError: the maps are smaller than the kernel.
    """

    def __init__(self, height: int, width: int, padding: tuple[int, int], tile: int | None = None):
        self.padding = padding
        self.height, self.width = height + 2 * padding[0] - 2, width + 2 * padding[1] - 2
        if min(self.height, self.width) < 1:
            raise ValueError(f"maps of {height} x {width} are smaller than the kernel")
        self.tile = tile or best_tile(self.height)
        self.tiles = -(-self.height // self.tile)
        found = filtering(self.tile)
        self._inputs, self._kernel = found.inputs.astype(np.float32), torch.from_numpy(found.kernel)
        self._outputs = found.outputs.astype(np.float32)
        self._inputs_back, self._outputs_back = (np.ascontiguousarray(m.T) for m in (self._inputs, self._outputs))

    def kernels(self, weight: Tensor) -> Tensor:
        """What becomes of a weight (K, C, 3, 3), in its precision and then in float32: (m + 2, 3 C, K)."""
        rows = weight.detach().permute(2, 3, 1, 0).flatten(1)
        planes = self._kernel.to(weight.dtype) @ rows
        return planes.view(len(planes), -1, len(weight)).float()

    @torch.compiler.disable
    def forward(self, image: Tensor, kernels: Tensor, bias: Tensor | None = None) -> Tensor:
        """Outputs (B, h, w, K) of an image (B, H, W, C)."""
        outputs = image.new_empty(len(image), self.height, self.width, kernels.shape[2])
        added = (image.new_zeros(kernels.shape[2]) if bias is None else bias.detach()).numpy()
        chunks, rows = self._chunks(len(image))
        planes, flat_planes = scratch.planes("planes", len(kernels), rows, kernels.shape[1])
        products, flat_products = scratch.planes("products", len(kernels), rows, kernels.shape[2])
        source, target = _flat(image), _flat(outputs)
        for first, count in chunks:
            _spread(
                *source, self.padding, self.tile, self.tiles, first, count, self._inputs, self.width,
                flat_planes, planes.stride(0),
            )  # fmt: skip
            used = count * self.width
            torch.bmm(planes[:, :used], kernels, out=products[:, :used])
            _gather(flat_products, products.stride(0), self.tiles, first, count, self._outputs_back, *target, added)
        return outputs

    def backward(
        self, image: Tensor, slope: Tensor, kernels: Tensor, wanted: tuple[bool, bool]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of the image and of the weight (K, C, 3, 3), each if `wanted`.

        Args:
            image: (B, H, W, C).
            slope: gradient of the outputs, (B, h, w, K), contiguous.
            kernels: of the weight.
        """
        of_image = torch.zeros_like(image) if wanted[0] else None
        of_kernels = torch.zeros_like(kernels) if wanted[1] else None
        turned = kernels.transpose(1, 2).contiguous()
        chunks, rows = self._chunks(len(image))
        planes, flat_planes = scratch.planes("planes", len(kernels), rows, kernels.shape[1])
        slopes, flat_slopes = scratch.planes("products", len(kernels), rows, kernels.shape[2])
        source, back = _flat(image), _flat(slope)
        for first, count in chunks:
            used = count * self.width
            _gather_adjoint(*back, self.tiles, first, count, self._outputs, flat_slopes, slopes.stride(0))
            if of_kernels is not None:
                _spread(
                    *source, self.padding, self.tile, self.tiles, first, count, self._inputs, self.width,
                    flat_planes, planes.stride(0),
                )  # fmt: skip
                torch.baddbmm(of_kernels, planes[:, :used].transpose(1, 2), slopes[:, :used], out=of_kernels)
            if of_image is not None:
                torch.bmm(slopes[:, :used], turned, out=planes[:, :used])
                _spread_adjoint(
                    flat_planes, planes.stride(0), self.padding, self.tile, self.tiles, first, count,
                    self._inputs_back, self.width, *_flat(of_image),
                )  # fmt: skip
        return of_image, None if of_kernels is None else self._weight(of_kernels, image.shape[3])

    def _weight(self, of_kernels: Tensor, channels: int) -> Tensor:
        """The gradient of a weight (K, C, 3, 3) from that of its kernels."""
        rows = self._kernel.T.to(of_kernels.dtype) @ of_kernels.flatten(1)
        return rows.view(3, 3, channels, -1).permute(3, 2, 0, 1)

    def _chunks(self, images: int) -> tuple[list[tuple[int, int]], int]:
        """First tile and number of tiles of each chunk of a batch of images; the most rows of products of a chunk."""
        tiles, size = images * self.tiles, max(1, _ROWS // self.width)
        return [(first, min(size, tiles - first)) for first in range(0, tiles, size)], size * self.width
