"""Convolution of one channel with batch normalisation, ReLU and max pooling, without maps in memory.

Where a convolution has one channel of K taps, moments of its outputs follow from those of its inputs' patches: channel c has
the mean w_c . m + b_c and the variance w_c' S w_c, with mean m and covariance S of all patches. So the normalisation is
part of the weights before anything is convolved, and its gradient needs but the sum of gradients times patches.

Patches are laid out for a few images at a time, so that they and the maps stay in the cache: (K + 1, n) for n positions, tap by
tap, with ones at the end, which stand for the shift. Maps are flat and channels-last, as in `benchmark.kernels.norm`.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from benchmark.kernels.norm import WIDE, Pool

NOWHERE = 255
"""The place of the largest value of a window where none is positive, so that none has a gradient."""

# Numbers of maps that are in the cache at once.
_CHUNK = 1 << 18
_0, _1, _SECOND = np.uint64(0), np.uint64(1), np.uint64(WIDE)
_ZERO, _NOWHERE = np.float32(0), np.float32(NOWHERE)
_OPTIONS = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}


class Shape(NamedTuple):
    """Sizes of a convolution: its kernel's, its outputs', zeros above and to the left of its inputs."""

    down: int
    across: int
    rows: int
    columns: int
    top: int = 0
    left: int = 0


class Moments(NamedTuple):
    """What patches are like.

    Attributes:
        centre: what is taken from every value, zeros around images included.
        mean: (K,) float64, of patches after that.
        covariance: (K, K) float64, biased.
        count: number of patches.
    """

    centre: float
    mean: np.ndarray
    covariance: np.ndarray
    count: int


class FirstLayer:
    """The layer on a batch of images.

    Args:
        images: (B, H, W) float32.
        shape: of the convolution.
        channels: of its outputs, C.
        pool: windows on its outputs, if any; not more than 255 positions each.
    """

    def __init__(self, images: Tensor, shape: Shape, channels: int, pool: Pool | None):
        self._shape, self._channels, self._pool = shape, channels, pool
        batch, height, width = images.shape
        self._centre = float(images.mean(dtype=torch.float64).float())
        sizes = shape.rows + shape.down - 1, shape.columns + shape.across - 1
        self._canvas = torch.full((batch, *sizes), -self._centre)
        inside = self._canvas[:, shape.top :, shape.left :][:, :height, :width]
        # Behind the last output there may be rows and columns that no kernel reaches.
        torch.sub(images[:, : inside.shape[1], : inside.shape[2]], self._centre, out=inside)
        self._step = max(1, min(batch, _CHUNK // (sizes[0] * sizes[1] * channels)))
        windows = () if pool is None else (pool.down, pool.across, pool.rows, pool.columns)
        self._sizes = tuple(np.uint64(size) for size in (*sizes, shape.rows, shape.columns, channels, *windows))

    def _patches(self) -> Iterator[tuple[np.uint64, np.uint64, Tensor]]:
        """First image, number of images, and patches (K + 1, n), which are overwritten by the next.

        There is a patch wherever one begins, also where it goes over the end of a row or an image: those are left out later.
        """
        down, across, *_ = self._shape
        (batch, height, width), step = self._canvas.shape, self._step
        laid = torch.empty(0, 0)
        for first in range(0, batch, step):
            count = min(step, batch - first)
            n = (count * height - down + 1) * width - across + 1
            if laid.shape[1] != n:
                laid = torch.empty(down * across + 1, n)
                laid[-1] = 1
                target = laid[:-1].view(down, across, n)
            target.copy_(self._canvas.as_strided(target.shape, (width, 1, 1), first * height * width))
            yield np.uint64(first), np.uint64(count), laid

    def moments(self) -> Moments:
        """Mean and covariance of patches, by the products of images with themselves, each shifted by the way from tap to tap."""
        batch, height, width = self._canvas.shape
        down, across, rows, columns, *_ = self._shape
        taps, count = down * across, batch * rows * columns
        sums = np.empty((taps + 1, taps))
        _sums(_flat(self._canvas.double()), sums, batch, height, width, down, across, rows, columns)
        mean = sums[-1] / count
        return Moments(self._centre, mean, sums[:-1] / count - np.outer(mean, mean), count)

    def forward(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Rectified and maybe pooled maps, and what `backward` has to know of them.

        Args:
            weight: (K + 1, C) float32, what patches are multiplied by; the shift is the last row.

        Returns:
            Maps (B, rows, columns, C), those of the pool if there is one; the same again, or with a pool uint8 numbers of
            positions in windows where the largest are, the first of equals, or `NOWHERE`.
        """
        shape = self._pool or self._shape
        out = torch.empty(len(self._canvas), shape.rows, shape.columns, self._channels)
        kept = out if self._pool is None else torch.empty(out.shape, dtype=torch.uint8)
        maps, row = self._maps(torch.empty), np.empty(2 * WIDE, np.float32)
        flat_maps, flat_out, flat_kept = _flat(maps), _flat(out), _flat(kept)
        for first, count, patches in self._patches():
            torch.mm(patches.T, weight, out=maps[: patches.shape[1]])
            if self._pool is None:
                _rectify(flat_maps, flat_out, first, count, *self._sizes)
            else:
                _pool(flat_maps, row, flat_out, flat_kept, first, count, *self._sizes)
        return out, kept

    def backward(self, kept: Tensor, gradient: Tensor) -> np.ndarray:
        """Gradient of the weight (K + 1, C), float64.

        Args:
            kept: by `forward`.
            gradient: of the maps, as large as they are, contiguous.
        """
        # What no map and no window reaches stays zero.
        slopes = self._maps(torch.zeros)
        let_through = _mask if self._pool is None else _unpool
        arrays = _flat(kept), _flat(gradient), _flat(slopes)
        found = np.zeros((self._shape.down * self._shape.across + 1, self._channels))
        for first, count, patches in self._patches():
            let_through(*arrays, first, count, *self._sizes)
            found += torch.mm(patches, slopes[: patches.shape[1]]).numpy()
        return found

    def _maps(self, made: Callable[[int, int], Tensor]) -> Tensor:
        """Memory for what some images' canvas may have of maps."""
        return made(self._step * self._canvas[0].numel(), self._channels)


def _flat(maps: Tensor) -> np.ndarray:
    return maps.view(-1).numpy()


@njit("float64(float64[::1], float64[::1], int64, int64, int64, int64)", **_OPTIONS)
def _box(values, line, top, left, width, rows):
    """Sum of so many rows, as long as `line`."""
    line[:] = 0.0
    for r in range(rows):
        start = np.uint64((top + r) * width + left)
        for i in range(np.uint64(line.size)):
            line[i] += values[start + i]
    return line.sum()


@njit(f"void(float64[::1], float64[:, ::1], {', '.join(['int64'] * 7)})", **_OPTIONS)
def _sums(canvas, sums, batch, height, width, down, across, rows, columns):
    size = height * width
    products, line = np.zeros(size), np.empty(columns)
    for image in range(batch):
        start = np.uint64(image * size)
        for i in range(np.uint64(size)):
            products[i] += canvas[start + i]
    for tap in range(down * across):
        sums[down * across, tap] = _box(products, line, tap // across, tap % across, width, rows)
    for u in range(down):
        for v in range(1 - across if u > 0 else 0, across):
            # Products that go over the end of a row are in no box.
            products[:] = 0.0
            shift = np.uint64(u * width + v)
            for image in range(batch):
                start = np.uint64(image * size)
                for i in range(np.uint64(size) - shift):
                    products[i] += canvas[start + i] * canvas[start + shift + i]
            for a in range(down - u):
                for b in range(max(0, -v), min(across, across - v)):
                    one, other = a * across + b, (a + u) * across + b + v
                    sums[one, other] = _box(products, line, a, b, width, rows)
                    sums[other, one] = sums[one, other]


_SIZES = ", ".join(["uint64"] * 7)
_WINDOWS = ", ".join(["uint64"] * 11)


@njit(f"void({'float32[::1], ' * 2}{_SIZES})", **_OPTIONS)
def _rectify(x, out, first, count, height, width, rows, columns, channels):
    line = columns * channels
    o = first * rows * line
    for b in range(count):
        for r in range(rows):
            at = (b * height + r) * width * channels
            for i in range(line):
                y = x[at + i]
                # Not `max`: what is not a number stays that.
                out[o + i] = _ZERO if y <= _ZERO else y
            o += line


@njit(f"void({'float32[::1], ' * 3}{_SIZES})", **_OPTIONS)
def _mask(y, gradient, out, first, count, height, width, rows, columns, channels):
    line = columns * channels
    o = first * rows * line
    for b in range(count):
        for r in range(rows):
            at = (b * height + r) * width * channels
            for i in range(line):
                out[at + i] = _ZERO if y[o + i] <= _ZERO else gradient[o + i]
            o += line


@njit(f"void({'float32[::1], ' * 3}uint8[::1], {_WINDOWS})", **_OPTIONS)
def _pool(
    x, row, out, place, first, count, height, width, rows, columns, channels, down, across, pooled, across_pooled
):
    o = first * pooled * across_pooled * channels
    for b in range(count):
        for r in range(pooled):
            for c in range(across_pooled):
                start = ((b * height + r * down) * width + c * across) * channels
                for i in range(channels):
                    row[i] = x[start + i]
                    row[_SECOND + i] = _ZERO
                for k in range(min(down, rows - r * down)):
                    for m in range(_1 if k == _0 else _0, min(across, columns - c * across)):
                        at = start + (k * width + m) * channels
                        # Numbers as wide as the others, so that they are chosen in the same way.
                        number = np.float32(k * across + m)
                        for i in range(channels):
                            y, best = x[at + i], row[i]
                            larger = (y > best) | (y != y)
                            row[i] = y if larger else best
                            row[_SECOND + i] = number if larger else row[_SECOND + i]
                for i in range(channels):
                    y = row[i]
                    out[o + i] = _ZERO if y <= _ZERO else y
                    place[o + i] = np.uint8(np.int32(_NOWHERE if y <= _ZERO else row[_SECOND + i]))
                o += channels


@njit(f"void(uint8[::1], {'float32[::1], ' * 2}{_WINDOWS})", **_OPTIONS)
def _unpool(
    place, gradient, out, first, count, height, width, rows, columns, channels, down, across, pooled, across_pooled
):
    o = first * pooled * across_pooled * channels
    for b in range(count):
        for r in range(pooled):
            for c in range(across_pooled):
                start = ((b * height + r * down) * width + c * across) * channels
                for k in range(min(down, rows - r * down)):
                    for m in range(min(across, columns - c * across)):
                        at = start + (k * width + m) * channels
                        number = np.float32(k * across + m)
                        for i in range(channels):
                            out[at + i] = gradient[o + i] if np.float32(place[o + i]) == number else _ZERO
                o += channels
