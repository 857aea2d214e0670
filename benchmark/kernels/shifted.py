"""Sums and products of shifted rows, for short 1-D convolutions of a batch, forward and backward.

Maps are flat float32 arrays (C * T * B,), the batch innermost: a tap of a filter is then one shift of a whole row
(T * B,), whatever its dilation, and nothing has to be laid out or padded for it. Indices are unsigned and arrays flat:
otherwise nothing is vectorised.
"""

import numba
import numpy as np

_0, _1, _2, _3, _4 = (np.uint64(number) for number in range(5))
# Channels whose values of an example are read in one go: a line of the cache.
_BLOCK = np.uint64(16)
# Places of rows that are in the cache at once.
_TILE = np.uint64(1024)
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
# tanh x = x (1 + P1 u + ...) / (1 + Q1 u + ...) with u = x ** 2, and what it is from `_END` on is 1 in float32.
_END = np.float32(7.9053111)
_P1, _P2, _P3, _P4 = (np.float32(p) for p in (1.34482030e-1, 3.57609177e-3, 2.19738625e-5, 1.53548509e-8))
_Q1, _Q2, _Q3, _Q4 = (np.float32(q) for q in (4.67815305e-1, 2.61812836e-2, 3.41884388e-4, 8.56994950e-7))
_OPTIONS = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}
# Sums may be taken in another order, but in the same one whenever they are.
_SUMS = {**_OPTIONS, "fastmath": {"contract", "reassoc", "nsz"}}
_FLAT, _TAPS = "float32[::1]", "uint64[::1], uint64[::1], uint64[::1]"


@numba.njit(f"void({_FLAT}, {_FLAT}, uint64, uint64, uint64)", **_OPTIONS)
def batch_innermost(x, out, batch, length, channels):
    """Write maps x (B * T * C,) to `out` (C * T * B,)."""
    for t in range(length):
        first = _0
        while first < channels:
            last = min(first + _BLOCK, channels)
            for b in range(batch):
                row = (b * length + t) * channels
                for c in range(first, last):
                    out[(c * length + t) * batch + b] = x[row + c]
            first = last


@numba.njit(**_SUMS)
def _add_to_pair(x, at, n, weight, w, by_row, by_source, out, to, m, size):
    """Add products of four rows of x, from `at` on, to two rows of `out`."""
    p, q, r, s = at, at + n, at + n + n, at + n + n + n
    first, second = to, to + m
    e, f = weight[w], weight[w + by_source]
    g, h = weight[w + _2 * by_source], weight[w + _3 * by_source]
    v = w + by_row
    e2, f2 = weight[v], weight[v + by_source]
    g2, h2 = weight[v + _2 * by_source], weight[v + _3 * by_source]
    for i in range(size):
        a, b, c, d = x[p + i], x[q + i], x[r + i], x[s + i]
        out[first + i] += (e * a + f * b) + (g * c + h * d)
        out[second + i] += (e2 * a + f2 * b) + (g2 * c + h2 * d)


@numba.njit(f"void({_FLAT}, {_FLAT}, uint64, uint64, {_FLAT}, {_TAPS}, {_FLAT}, uint64, uint64)", **_SUMS)
def dense(x, weight, by_row, by_source, bias, source, target, count, out, rows, sources):
    """Write `bias[o]` and the sum of `weight[o, c, k] * x[c, source[k] :]` from `target[k]` on to each row o of `out`.

    Args:
        x: (C * n,).
        weight: flat; that of o, c, k is at o * by_row + c * by_source + k.
        bias: (O,).
        source, target, count: (K,) where a tap reads and writes in a row, and how many places.
        out: (O * m,).
        rows, sources: O and C.
    """
    n, m = np.uint64(x.size) // sources, np.uint64(out.size) // rows
    pairs, fours = rows - rows % _2, sources - sources % _4
    start = _0
    while start < m:
        end = min(start + _TILE, m)
        for o in range(rows):
            for i in range(o * m + start, o * m + end):
                out[i] = bias[o]
        for o in range(rows):
            # Two rows at once, as what is read is needed for both.
            whole = o < pairs
            if whole and o % _2 == _1:
                continue
            for k in range(np.uint64(source.size)):
                first, last = max(start, target[k]), min(end, target[k] + count[k])
                if first >= last:
                    continue
                size, to, at, w = last - first, o * m + first, source[k] + first - target[k], o * by_row + k
                if whole:
                    for c in range(_0, fours, _4):
                        _add_to_pair(x, at + c * n, n, weight, w + c * by_source, by_row, by_source, out, to, m, size)
                for c in range(fours if whole else _0, sources):
                    p, e = at + c * n, weight[w + c * by_source]
                    for i in range(size):
                        out[to + i] += e * x[p + i]
                    if whole:
                        e = weight[w + by_row + c * by_source]
                        for i in range(size):
                            out[to + m + i] += e * x[p + i]
        start = end


@numba.njit(f"void({_FLAT}, {_FLAT}, {_TAPS}, {_FLAT}, uint64, uint64)", **_SUMS)
def dense_products(x, y, source, target, count, out, rows, sources):
    """Write the sum of `x[c, source[k] :][: count[k]] * y[o, target[k] :][: count[k]]` to `out[o, c, k]`; see `dense`."""
    taps = np.uint64(source.size)
    n, m = np.uint64(x.size) // sources, np.uint64(y.size) // rows
    pairs, fours = rows - rows % _2, sources - sources % _4
    for i in range(np.uint64(out.size)):
        out[i] = _ZERO
    start = _0
    while start < m:
        end = min(start + _TILE, m)
        for k in range(taps):
            first, last = max(start, target[k]), min(end, target[k] + count[k])
            if first >= last:
                continue
            size, at = last - first, source[k] + first - target[k]
            for o in range(rows):
                whole = o < pairs
                if whole and o % _2 == _1:
                    continue
                a = o * m + first
                b = a + m
                to = o * sources * taps + k
                after = to + sources * taps
                if whole:
                    for c in range(_0, fours, _4):
                        p, q = at + c * n, at + c * n + n
                        r, s = q + n, q + n + n
                        e, f, g, h = _ZERO, _ZERO, _ZERO, _ZERO
                        t, u, v, w = _ZERO, _ZERO, _ZERO, _ZERO
                        for i in range(size):
                            d, z = y[a + i], y[b + i]
                            e += x[p + i] * d
                            f += x[q + i] * d
                            g += x[r + i] * d
                            h += x[s + i] * d
                            t += x[p + i] * z
                            u += x[q + i] * z
                            v += x[r + i] * z
                            w += x[s + i] * z
                        out[to + c * taps] += e
                        out[to + (c + _1) * taps] += f
                        out[to + (c + _2) * taps] += g
                        out[to + (c + _3) * taps] += h
                        out[after + c * taps] += t
                        out[after + (c + _1) * taps] += u
                        out[after + (c + _2) * taps] += v
                        out[after + (c + _3) * taps] += w
                for c in range(fours if whole else _0, sources):
                    p, e, t = at + c * n, _ZERO, _ZERO
                    for i in range(size):
                        e += x[p + i] * y[a + i]
                    out[to + c * taps] += e
                    if whole:
                        for i in range(size):
                            t += x[p + i] * y[b + i]
                        out[after + c * taps] += t
        start = end


@numba.njit(f"void({_FLAT}, {_FLAT}, {_FLAT}, {_TAPS}, {_FLAT})", **_SUMS)
def depthwise(x, weight, bias, source, target, count, out):
    """Write `bias[c]` and the sum of `weight[c, k] * x[c, source[k] :]` from `target[k]` on to each row c; see `dense`."""
    taps, channels = np.uint64(source.size), np.uint64(bias.size)
    n, m = np.uint64(x.size) // channels, np.uint64(out.size) // channels
    for c in range(channels):
        for i in range(c * m, c * m + m):
            out[i] = bias[c]
        for k in range(taps):
            w, a, b = weight[c * taps + k], c * n + source[k], c * m + target[k]
            for i in range(count[k]):
                out[b + i] += w * x[a + i]


@numba.njit(f"void({_FLAT}, {_FLAT}, {_TAPS}, {_FLAT})", **_SUMS)
def depthwise_products(x, y, source, target, count, out):
    """Write the sum of `x[c, source[k] :][: count[k]] * y[c, target[k] :][: count[k]]` to `out[c, k]`; see `dense`."""
    taps = np.uint64(source.size)
    channels = np.uint64(out.size) // taps
    n, m = np.uint64(x.size) // channels, np.uint64(y.size) // channels
    for c in range(channels):
        for k in range(taps):
            a, b = c * n + source[k], c * m + target[k]
            total = _ZERO
            for i in range(count[k]):
                total += x[a + i] * y[b + i]
            out[c * taps + k] = total


@numba.njit("float32(float32)", inline="always", **_OPTIONS)
def _tanh(x):
    """A rational function of x squared, fitted; 4e-7 off at most, as much of it rounding. What is not a number stays that."""
    x = _END if x > _END else x
    x = -_END if x < -_END else x
    u = x * x
    above = (((_P4 * u + _P3) * u + _P2) * u + _P1) * u + _ONE
    return x * above / ((((_Q4 * u + _Q3) * u + _Q2) * u + _Q1) * u + _ONE)


@numba.njit(f"void({_FLAT}, {_FLAT}, uint64, uint64)", **_OPTIONS)
def gate(maps, out, start, n):
    """Put sigmoid of the first half of maps (2 n,) and tanh of the second in their place, and the product into `out`.

    Args:
        maps: (2 n,).
        out: n places of it from `start` on.
        start, n: see there.
    """
    for i in range(n):
        g, v = _HALF + _HALF * _tanh(_HALF * maps[i]), _tanh(maps[n + i])
        maps[i] = g
        maps[n + i] = v
        out[start + i] = g * v


@numba.njit(f"void({_FLAT}, {_FLAT}, {_FLAT}, uint64, uint64)", **_OPTIONS)
def gate_gradient(opened, slope, out, start, n):
    """Write the gradient of the maps of `gate` to `out` (2 n,).

    Args:
        opened: (2 n,) what `gate` made of the maps.
        slope: gradient of what it put into `out`, from `start` on.
        out: (2 n,).
        start, n: as there.
    """
    for i in range(n):
        d, g, v = slope[start + i], opened[i], opened[n + i]
        out[i] = d * v * g * (_ONE - g)
        out[n + i] = d * g * (_ONE - v * v)
