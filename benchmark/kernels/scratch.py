"""Memory that a thread uses over and over: fresh pages would cost as much as filling them."""

import threading

import numpy as np
import torch
from torch import Tensor

# Keeps planes from meeting in the same set of the cache.
_STAGGER = 16


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.pieces: dict[str, Tensor] = {}

    def flat(self, use: str, size: int) -> Tensor:
        """So many float32 of any values, or more; the last of the same `use` are lost."""
        piece = self.pieces.get(use)
        if piece is None or len(piece) < size:
            # A tensor of the inference mode could not be filled outside of it.
            with torch.inference_mode(False):
                self.pieces[use] = piece = torch.empty(size)
        return piece

    def planes(self, use: str, number: int, rows: int, channels: int) -> tuple[Tensor, np.ndarray]:
        """Planes (number, rows, channels) of any values, and the flat array below; the last of the same `use` are lost."""
        stride = rows * channels + _STAGGER
        piece = self.flat(use, number * stride)
        return piece.as_strided((number, rows, channels), (stride, channels, 1)), piece.numpy()


scratch = _Scratch()
