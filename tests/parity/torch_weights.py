"""Seeded state dicts in the layouts of checkpoints saved with `torch.save`, for recipes and tests alike.

A recipe stores the keys and shapes of the reference, so that what a test writes and loads has the authors' layout.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]


def layout(state: Mapping[str, Tensor]) -> np.ndarray:
    """Keys and shapes of a state dict as text, `key 64 1 3 3`, (keys,)."""
    return np.array([" ".join([key, *map(str, value.shape)]) for key, value in state.items()])


def shapes(stored: np.ndarray) -> dict[str, tuple[int, ...]]:
    """Shapes by key, from what `layout` gave."""
    parts = [line.split(" ") for line in stored.tolist()]
    return {key: tuple(map(int, sizes)) for key, *sizes in parts}


def seeded_state(of: Shapes, gain: float = 1.0) -> dict[str, Tensor]:
    """Seeded tensors for keys and shapes; counters of batches are zero.

    One draw a tensor, from a seed that depends on the key alone: networks of 80 million weights take a second.

    Args:
        of: shapes by key.
        gain: matrices and kernels have the standard deviation `gain` / sqrt(fan-in).
    """
    return {key: _tensor(key, shape, gain) for key, shape in of.items()}


def _tensor(key: str, shape: tuple[int, ...], gain: float) -> Tensor:
    last = key.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    rng = np.random.default_rng(np.frombuffer(key.encode(), np.uint8))
    if last == "running_var":
        return torch.from_numpy(rng.uniform(0.5, 1.5, shape).astype(np.float32))
    if len(shape) <= 1:
        middle = 1.0 if last == "weight" else 0.0
        return torch.from_numpy((middle + rng.uniform(-0.2, 0.2, shape)).astype(np.float32))
    fan_in = int(np.prod(shape[1:]))
    return torch.from_numpy(rng.standard_normal(shape, np.float32)) * (gain / fan_in**0.5)
