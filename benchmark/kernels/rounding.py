"""Rounding to bfloat16 where nothing but float32 is fast."""

import numba
import numpy as np
import torch
from torch import Tensor

_HALF, _ONE, _SHIFT = np.int32(0x7FFF), np.int32(1), np.int32(16)
_KEPT, _EXPONENT = np.int32(-0x10000), np.int32(0x7F800000)


@numba.njit("void(int32[::1])", cache=True, nogil=True, boundscheck=False)
def _round(bits):
    for i in range(len(bits)):
        value = bits[i]
        rounded = (value + _HALF + ((value >> _SHIFT) & _ONE)) & _KEPT
        # What is infinite or no number has nothing to be rounded.
        bits[i] = value if value & _EXPONENT == _EXPONENT else rounded


@torch.compiler.disable
def round_to_bfloat16(values: Tensor) -> Tensor:
    """Round float32 values, in place, to the nearest that bfloat16 has (ties to even); gives them."""
    plain = values.detach()
    for order in (plain, plain.permute(0, 2, 3, 1) if plain.dim() == 4 else plain):
        if order.device.type == "cpu" and order.is_contiguous():
            _round(order.view(-1).view(torch.int32).numpy())
            return values
    plain.copy_(plain.bfloat16())
    return values
