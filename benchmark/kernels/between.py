"""What stands between the dense layers of a transformer, in one pass over memory, with the bias of the layer before it."""

import numba
import numpy as np
import torch
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from benchmark.kernels.lanes import LANES, Lanes, load, loop, pointer, splat, store

# The error function, Abramowitz & Stegun, "Handbook of Mathematical Functions", 1964, 7.1.26, within 1.5e-7.
_P = 0.3275911
_A = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)

_OPTIONS = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}


@intrinsic
def _gelu_row(_context, row, bias, size):
    """Values x become those of `y P(X < y)` for `y = x + bias` and a normal X."""
    signature = types.void(types.uintp, types.uintp, types.intp)

    def generate(_context, builder, _signature, arguments):
        to, by, count = arguments
        target, added, zero = pointer(builder, to), pointer(builder, by), splat(builder, 0.0)

        def step(k, _carried):
            y = load(builder, target, k) + load(builder, added, k)
            z = y * 0.5**0.5
            size = z.where_negative(zero - z, z)
            t = splat(builder, 1.0) / (size * _P + 1.0)
            tail = t * _A[0]
            for factor in _A[1:]:
                tail = (tail + factor) * t
            tail = tail * (zero - z * z).exp() * 0.5
            store(builder, target, k, y * y.where_negative(tail, zero + 1.0 - tail))
            return []

        loop(builder, count, [], step)
        return _context.get_dummy_value()

    return signature, generate


@numba.njit(**_OPTIONS)
def _gelu(x, bias):
    for row in x:
        _gelu_row(row.ctypes.data, bias.ctypes.data, len(row))


@intrinsic
def _normalised_row(_context, row, skipped, alpha, vectors, epsilon, size):
    """Values x become the normalised ones of `x + bias + alpha * skipped`.

    `vectors` is the address of bias, weight and shift, one behind the other.
    """
    number = types.float32
    signature = types.void(types.uintp, types.uintp, number, types.uintp, number, types.intp)

    def generate(_context, builder, _signature, arguments):
        to, other, factor, given, least, count = arguments
        target, other, given = pointer(builder, to), pointer(builder, other), pointer(builder, given)
        weight = builder.gep(given, [count])
        shift = builder.gep(weight, [count])
        factor, none = splat(builder, factor), splat(builder, 0.0)
        size = builder.sitofp(count, least.type)

        def add(k, total):
            x = load(builder, target, k) + load(builder, given, k) + load(builder, other, k) * factor
            store(builder, target, k, x)
            return [total[0] + x]

        total = loop(builder, count, [none], add)[0].joined(Lanes.__add__)
        mean = splat(builder, builder.fdiv(total, size))

        def square(k, total):
            x = load(builder, target, k) - mean
            return [total[0] + x * x]

        squares = loop(builder, count, [none], square)[0].joined(Lanes.__add__)
        root = builder.module.declare_intrinsic("llvm.sqrt", [least.type])
        deviation = builder.call(root, [builder.fadd(builder.fdiv(squares, size), least)])
        strength = splat(builder, 1.0) / splat(builder, deviation)

        def normalise(k, _carried):
            x = (load(builder, target, k) - mean) * strength
            store(builder, target, k, x * load(builder, weight, k) + load(builder, shift, k))
            return []

        loop(builder, count, [], normalise)
        return _context.get_dummy_value()

    return signature, generate


@numba.njit(**_OPTIONS)
def _normalise(x, skipped, alpha, vectors, epsilon):
    for i in range(len(x)):
        _normalised_row(x[i].ctypes.data, skipped[i].ctypes.data, alpha, vectors.ctypes.data, epsilon, x.shape[1])


@torch.compiler.disable
def add_gelu(x: Tensor, bias: Tensor) -> Tensor:
    """`gelu(x + bias)`, in place, within 2e-7 of the greatest of x; x is (N, dim), contiguous, `dim` a multiple of 16."""
    _check(x)
    _gelu(x.numpy(), bias.contiguous().numpy())
    return x


@torch.compiler.disable
def add_normalised(x: Tensor, skipped: Tensor, alpha: float, vectors: Tensor, epsilon: float) -> Tensor:
    """`layer_norm(x + bias + alpha * skipped)`, in place, as `layer_norm` of PyTorch.

    Args:
        x, skipped: (N, dim), contiguous, `dim` a multiple of 16.
        vectors: bias, and the weight and bias of the normalisation, (3, dim), contiguous.
        epsilon: added to the variance.
    """
    _check(x, skipped)
    _normalise(x.numpy(), skipped.numpy(), np.float32(alpha), vectors.numpy(), np.float32(epsilon))
    return x


def _check(*rows: Tensor) -> None:
    for x in rows:
        if x.shape[1] % LANES or not x.is_contiguous():
            raise ValueError(
                f"rows {tuple(x.shape)} with strides {x.stride()} are not whole vectors of {LANES}, side by side"
            )
