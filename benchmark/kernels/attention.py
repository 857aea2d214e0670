"""Attention with a gated bias, some queries at a time, their scores in the cache from one product to the next.

Chen et al., "BEATs", ICML 2023: softmax(q k^T / sqrt(d) + g b) v, with a gate g for each query and a bias b for each distance
of key and query. PyTorch's own wants the product of gates and bias in memory, which is as large as all scores.
"""

import math
from dataclasses import dataclass

import numba
import numpy as np
import torch
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from benchmark.kernels.lanes import LANES, Lanes, load, loop, pointer, splat, store
from benchmark.kernels.patterns import product
from benchmark.kernels.scratch import scratch
from benchmark.kernels.where import fits, has_wide_registers

# Dimensions of a head; the longest sequence.
SIZE, MOST_TOKENS = 64, 2048
# Queries at a time, and keys at a time: what their products need fits into the registers.
_QUERIES, _VECTORS = 12, 2
_KEYS = _VECTORS * LANES
# From the scores of a query to those of the next: not a power of two, which would meet in the same set of the cache.
_ROW = MOST_TOKENS + LANES

_times_keys = product(_QUERIES, _VECTORS, a_row=1, a_column=_QUERIES, b_row=_KEYS, c_row=_ROW)
_times_values = product(_QUERIES, _VECTORS, a_row=_ROW, a_column=1, b_row=SIZE, c_row=SIZE)


@intrinsic
def _biased(_context, scores, bias, gate, size):
    """Scores become `scores + gate * bias`; gives the greatest."""
    signature = types.float32(types.uintp, types.uintp, types.float32, types.intp)

    def generate(_context, builder, _signature, arguments):
        to, by, strength, count = arguments
        target, added, strength = pointer(builder, to), pointer(builder, by), splat(builder, strength)

        def step(k, greatest):
            x = load(builder, target, k) + load(builder, added, k) * strength
            store(builder, target, k, x)
            return [x.bounded(greatest[0])]

        found = loop(builder, count, [splat(builder, -math.inf)], step)[0]
        return found.joined(Lanes.bounded)

    return signature, generate


@intrinsic
def _powers(_context, scores, greatest, size):
    """Scores become `exp(scores - greatest)`; gives their sum."""
    signature = types.float32(types.uintp, types.float32, types.intp)

    def generate(_context, builder, _signature, arguments):
        to, top, count = arguments
        target, top = pointer(builder, to), splat(builder, top)

        def step(k, total):
            x = (load(builder, target, k) - top).exp()
            store(builder, target, k, x)
            return [total[0] + x]

        found = loop(builder, count, [splat(builder, 0.0)], step)[0]
        return found.joined(Lanes.__add__)

    return signature, generate


_jit = numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")


@_jit
def _exponentials(row, tokens, gate, bias):
    """Turn scores into their exponentials, but for a common factor; gives their sum."""
    whole = tokens // LANES * LANES
    greatest, total = np.float32(-np.inf), np.float32(0)
    if whole:
        greatest = _biased(row.ctypes.data, bias.ctypes.data, gate, whole)
    for k in range(whole, tokens):
        row[k] += gate * bias[k]
        greatest = max(greatest, row[k])
    if whole:
        total = _powers(row.ctypes.data, greatest, whole)
    for k in range(whole, tokens):
        row[k] = np.exp(row[k] - greatest)
        total += row[k]
    return total


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
def _gate(query, weight, bias, scale):
    """What the bias of a query is multiplied with: `k (r s - 1) + 2` for sigmoids k and r of two dense outputs."""
    keep, reset = bias[0], bias[1]
    for d in range(SIZE):
        keep += weight[0, d] * query[d]
        reset += weight[1, d] * query[d]
    one = np.float32(1)
    keep, reset = one / (one + np.exp(-keep)), one / (one + np.exp(-reset))
    return keep * (reset * scale - one) + np.float32(2)


@_jit
def _attend(query, key, value, shift, gate_weight, gate_bias, gate_scale, bias, heard, keys, values, scores, block):
    """One head of one sequence.

    Args:
        query, key, value: (N, 64), of any strides; shift: (64,), added to queries.
        gate_weight, gate_bias, gate_scale: (2, 64), (2,) and a number, of `_gate`.
        bias: (2 N - 1,).
        heard: (N, 64), for what every query hears.
        keys, values, scores, block: flat, for all keys and values, 12 rows of scores, and 12 queries or results.
    """
    tokens = len(query)
    scale = np.float32(1) / np.sqrt(np.float32(SIZE))
    for n in range(-(-tokens // _KEYS) * _KEYS):
        at = n // _KEYS * _KEYS * SIZE + n % _KEYS
        for d in range(SIZE):
            keys[at + d * _KEYS] = key[n, d] * scale if n < tokens else np.float32(0)
    for n in range(tokens):
        for d in range(SIZE):
            values[n * SIZE + d] = value[n, d]
    own, gates, sums = np.empty(SIZE, np.float32), np.ones(_QUERIES, np.float32), np.ones(_QUERIES, np.float32)
    for first in range(0, tokens, _QUERIES):
        count = min(_QUERIES, tokens - first)
        block[: SIZE * _QUERIES] = 0
        for i in range(count):
            for d in range(SIZE):
                own[d] = query[first + i, d] + shift[d]
                block[d * _QUERIES + i] = own[d]
            gates[i] = _gate(own, gate_weight, gate_bias, gate_scale)
        for n in range(0, tokens, _KEYS):
            _times_keys(scores.ctypes.data + 4 * n, block.ctypes.data, keys.ctypes.data + 4 * n * SIZE, SIZE)
        for i in range(count):
            row = scores[i * _ROW : i * _ROW + tokens]
            sums[i] = _exponentials(row, tokens, gates[i], bias[tokens - 1 - first - i :])
        for d in range(0, SIZE, _KEYS):
            _times_values(block.ctypes.data + 4 * d, scores.ctypes.data, values.ctypes.data + 4 * d, tokens)
        for i in range(count):
            one = np.float32(1) / sums[i]
            for d in range(SIZE):
                heard[first + i, d] = block[i * SIZE + d] * one


@_jit
def _attend_all(query, key, value, shift, gate_weight, gate_bias, gate_scale, bias, heard, keys, values, scores, block):
    for b in range(query.shape[0]):
        for h in range(query.shape[1]):
            _attend(
                query[b, h], key[b, h], value[b, h], shift[h], gate_weight, gate_bias, gate_scale[h], bias[h],
                heard[b, :, h], keys, values, scores, block,
            )  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """The gate of queries q of a head h: `k (r s[h] - 1) + 2` with `(k, r) = sigmoid(weight q + bias)`.

    Attributes:
        weight, bias, scale: (2, 64), (2,) and (H,).
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor


def pays(x: Tensor, heads: int) -> bool:
    """Whether it is possible, and faster, for tokens x (B, N, dim): in a process of one thread."""
    size, tokens = x.shape[2] // heads, x.shape[1]
    wanted = size == SIZE and tokens <= MOST_TOKENS and not torch.is_grad_enabled()
    return wanted and fits(x, threads=1) and has_wide_registers()


@torch.compiler.disable
def gated_attention(qkv: Tensor, shift: Tensor, gate: Gate, bias: Tensor) -> Tensor:
    """What every query hears, (B, N, H 64), float32, on a processor, without gradients.

    A constant that all keys share would change nothing, one that all values share would be added to what is heard: both
    are left to the caller.

    Args:
        qkv: queries, keys and values, (B, N, 3 H 64), N at most 2048.
        shift: (H, 64), added to queries.
        gate: of the queries.
        bias: (H, 2 N - 1), for distances of key and query from 1 - N to N - 1.
    """
    batch, tokens, _ = qkv.shape
    heads = len(shift)
    heard = qkv.new_empty(batch, tokens, heads, SIZE)
    sizes = {
        "keys": SIZE * (tokens + _KEYS),
        "values": SIZE * tokens,
        "scores": _QUERIES * _ROW,
        "block": _QUERIES * SIZE,
    }
    memory = (scratch.flat(use, size).numpy() for use, size in sizes.items())
    query, key, value = (x.numpy() for x in qkv.unflatten(2, (3, heads, SIZE)).permute(2, 0, 3, 1, 4))
    given = (x.contiguous().numpy() for x in (shift, gate.weight, gate.bias, gate.scale, bias))
    _attend_all(query, key, value, *given, heard.numpy(), *memory)
    return heard.flatten(2)
