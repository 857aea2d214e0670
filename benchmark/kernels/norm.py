"""Batch normalisation with ReLU and max pooling on channels-last float32 maps, in as few passes over memory as it takes.

Ioffe & Szegedy, ICML 2015, section 3, forward and backward. On a CPU these layers wait for memory, and as layers of their own
they go over it twice as often as they have to: here the rectifier is part of the normalisation in both directions, and a
pooled layer writes neither its maps as they are before pooling nor their gradient before it reaches the convolution.

Maps are flat arrays (B * H * W * C,), channels innermost. What belongs to channels is in a table of rows of `WIDE`
numbers, at a fixed distance, so that a loop reads one array for all of them, and each row is repeated to a `width` of
several positions, so that loops are long. Indices are unsigned and arrays flat: otherwise nothing is vectorised.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

WIDE = 1024
"""Most channels there may be."""
LARGEST_WINDOW = 255
"""Most positions of a pooling window."""

_TARGET = 256
_0, _4 = np.uint64(0), np.uint64(4)
# Rows of a table, and how many wide rows are summed in float32 before they go on in float64.
_SHIFT, _MEAN, _SLOPE, _GRADIENT = (np.uint64(row * WIDE) for row in range(1, 5))
_SECOND, _THIRD = np.uint64(WIDE), np.uint64(2 * WIDE)
_SHORT_SUM = np.uint64(16)
_ZERO = np.float32(0)
_OPTIONS = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}
_SIZES = ", ".join(["uint64"] * 8)


class Pool(NamedTuple):
    """Windows that touch: batch, height, width and channels of the maps, the window's size, how many there are of them.

    A window that reaches over the edge ends there.
    """

    batch: int
    height: int
    width: int
    channels: int
    down: int
    across: int
    rows: int
    columns: int


def moments(x: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance (C,) float64 of each channel of maps x (n * C,)."""
    width = _width(channels)
    sums = np.zeros((2, WIDE))
    _moments(x, sums.reshape(-1), width)
    mean, square = _folded(sums, channels, width) / (x.size // channels)
    return mean, np.maximum(square - mean * mean, 0.0)


def table(mean: np.ndarray, var: np.ndarray, eps: float, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """What the other functions have to know of channels: (5, WIDE) float32, the last two rows for `set_gradient`."""
    made = np.zeros((5, WIDE), np.float32)
    scale = weight / np.sqrt(var + eps)
    for row, values in enumerate((scale, bias - mean * scale, mean)):
        _repeat(made[row], values)
    return made


def rectified(x: np.ndarray, table: np.ndarray, channels: int, out: np.ndarray) -> None:
    """Write max(scale * x + shift, 0) to `out`, as large as x."""
    _rectified(x, table.reshape(-1), out, _width(channels))


def pooled(x: np.ndarray, table: np.ndarray, pool: Pool, out: np.ndarray, kept: np.ndarray, place: np.ndarray) -> None:
    """Write the largest of max(scale * x + shift, 0) of every window to `out`; the first of equals.

    Args:
        x: maps.
        table: of their channels.
        pool: the windows.
        out: (B * rows * columns * C,) float32.
        kept: the same of x there, before normalisation.
        place: uint8 number of the position in its window.
    """
    _pooled(x, table.reshape(-1), np.empty(3 * WIDE, np.float32), out, kept, place, *map(np.uint64, pool))


def gradient_sums(
    x: np.ndarray, gradient: np.ndarray, table: np.ndarray, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sums (C,) float64 of what the rectifier lets through of the output's gradient, and of that times x - mean.

    With pooling x is what was `kept`: no other position has a gradient.
    """
    width = _width(channels)
    sums = np.zeros((2, WIDE))
    _gradient_sums(x, gradient, table.reshape(-1), np.empty(2 * WIDE, np.float32), sums.reshape(-1), width)
    total, product = _folded(sums, channels, width)
    return total, product


def set_gradient(table: np.ndarray, slope: np.ndarray, mean: np.ndarray) -> None:
    """Complete a table: d x = scale * d y - (x - batch mean) * slope - mean."""
    _repeat(table[3], slope)
    _repeat(table[4], mean)


def maps_gradient(x: np.ndarray, gradient: np.ndarray, table: np.ndarray, channels: int, out: np.ndarray) -> None:
    """Write the gradient of maps x to `out`, from that of `rectified`."""
    _maps_gradient(x, gradient, table.reshape(-1), out, _width(channels))


def unpooled_gradient(
    x: np.ndarray,
    gradient: np.ndarray,
    kept: np.ndarray,
    place: np.ndarray,
    table: np.ndarray,
    pool: Pool,
    out: np.ndarray,
) -> None:
    """Write the gradient of maps x to `out`, from that of `pooled`."""
    row = np.empty(2 * WIDE, np.float32)
    _unpooled_gradient(x, gradient, kept, place, table.reshape(-1), row, out, *map(np.uint64, pool))


def _width(channels: int) -> int:
    """Length of a wide row: as many positions as are about 256 numbers."""
    return channels * max(1, _TARGET // channels)


def _repeat(row: np.ndarray, values: np.ndarray) -> None:
    width = _width(len(values))
    row[:width].reshape(-1, len(values))[:] = values


def _folded(sums: np.ndarray, channels: int, width: int) -> np.ndarray:
    """Sums (2, WIDE) of columns of wide rows to those (2, C) of channels."""
    return sums[:, :width].reshape(2, -1, channels).sum(axis=1)


@njit("void(float32[::1], float64[::1], uint64)", **_OPTIONS)
def _moments(x, sums, width):
    n = np.uint64(x.size)
    start = _0
    while start + _4 * width <= n:
        b = start + width
        c = b + width
        d = c + width
        for i in range(width):
            p, q = np.float64(x[start + i]), np.float64(x[b + i])
            r, s = np.float64(x[c + i]), np.float64(x[d + i])
            sums[i] += (p + q) + (r + s)
            sums[_SECOND + i] += (p * p + q * q) + (r * r + s * s)
        start = d + width
    while start < n:
        for i in range(min(width, n - start)):
            p = np.float64(x[start + i])
            sums[i] += p
            sums[_SECOND + i] += p * p
        start += width


@njit("void(float32[::1], float32[::1], float32[::1], uint64)", **_OPTIONS)
def _rectified(x, table, out, width):
    n = np.uint64(x.size)
    start = _0
    while start < n:
        for i in range(min(width, n - start)):
            y = x[start + i] * table[i] + table[_SHIFT + i]
            # Not `max`: what is not a number stays that.
            out[start + i] = _ZERO if y <= _ZERO else y
        start += width


@njit("void(float32[::1], float32[::1], float32[::1], float32[::1], float64[::1], uint64)", **_OPTIONS)
def _gradient_sums(x, gradient, table, part, sums, width):
    n = np.uint64(x.size)
    start = _0
    while start < n:
        for i in range(width):
            part[i] = _ZERO
            part[_SECOND + i] = _ZERO
        end = min(n, start + _SHORT_SUM * width)
        while start < end:
            for i in range(min(width, n - start)):
                v, d = x[start + i], gradient[start + i]
                d = _ZERO if v * table[i] + table[_SHIFT + i] <= _ZERO else d
                part[i] += d
                part[_SECOND + i] += d * (v - table[_MEAN + i])
            start += width
        for i in range(width):
            sums[i] += np.float64(part[i])
            sums[_SECOND + i] += np.float64(part[_SECOND + i])


@njit("void(float32[::1], float32[::1], float32[::1], float32[::1], uint64)", **_OPTIONS)
def _maps_gradient(x, gradient, table, out, width):
    n = np.uint64(x.size)
    start = _0
    while start < n:
        for i in range(min(width, n - start)):
            v, d = x[start + i], gradient[start + i]
            d = _ZERO if v * table[i] + table[_SHIFT + i] <= _ZERO else d
            out[start + i] = table[i] * d - (v - table[_MEAN + i]) * table[_SLOPE + i] - table[_GRADIENT + i]
        start += width


@njit(f"void({'float32[::1], ' * 5}uint8[::1], {_SIZES})", **_OPTIONS)
def _pooled(x, table, row, out, kept, place, batch, height, width, channels, down, across, rows, columns):
    o = _0
    for b in range(batch):
        for r in range(rows):
            for c in range(columns):
                first = ((b * height + r * down) * width + c * across) * channels
                for i in range(channels):
                    v = x[first + i]
                    row[i] = v * table[i] + table[_SHIFT + i]
                    row[_SECOND + i] = v
                    row[_THIRD + i] = _ZERO
                for k in range(min(down, height - r * down)):
                    for m in range(min(across, width - c * across)):
                        at = first + (k * width + m) * channels
                        # Numbers as wide as the others, so that they are chosen in the same way.
                        number = np.float32(k * across + m)
                        for i in range(channels):
                            v = x[at + i]
                            y = v * table[i] + table[_SHIFT + i]
                            best = row[i]
                            larger = (y > best) | (y != y)
                            row[i] = y if larger else best
                            row[_SECOND + i] = v if larger else row[_SECOND + i]
                            row[_THIRD + i] = number if larger else row[_THIRD + i]
                for i in range(channels):
                    y = row[i]
                    out[o + i] = _ZERO if y <= _ZERO else y
                    kept[o + i] = row[_SECOND + i]
                    place[o + i] = np.uint8(np.int32(row[_THIRD + i]))
                o += channels


@njit(f"void({'float32[::1], ' * 3}uint8[::1], {'float32[::1], ' * 3}{_SIZES})", **_OPTIONS)
def _unpooled_gradient(
    x, gradient, kept, place, table, row, out, batch, height, width, channels, down, across, rows, columns
):
    o = _0
    for b in range(batch):
        for r in range(rows):
            for c in range(columns):
                first = ((b * height + r * down) * width + c * across) * channels
                for i in range(channels):
                    d = _ZERO if kept[o + i] * table[i] + table[_SHIFT + i] <= _ZERO else gradient[o + i]
                    row[i] = table[i] * d
                    row[_SECOND + i] = np.float32(place[o + i])
                for k in range(min(down, height - r * down)):
                    for m in range(min(across, width - c * across)):
                        at = first + (k * width + m) * channels
                        number = np.float32(k * across + m)
                        for i in range(channels):
                            d = row[i] if row[_SECOND + i] == number else _ZERO
                            out[at + i] = d - (x[at + i] - table[_MEAN + i]) * table[_SLOPE + i] - table[_GRADIENT + i]
                o += channels
        # What no window reaches.
        for r in range(height):
            for c in range(_0 if r >= rows * down else columns * across, width):
                at = ((b * height + r) * width + c) * channels
                for i in range(channels):
                    out[at + i] = -(x[at + i] - table[_MEAN + i]) * table[_SLOPE + i] - table[_GRADIENT + i]
