"""Reading the checkpoints that authors save with `torch.save`, without running any code of theirs."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.errors import UserError

# Training states hold NumPy arrays; their makers have moved between NumPy 1 and 2.
_KINDS = tuple(type(np.dtype(kind)) for kind in ("int32", "int64", "float32", "float64", "bool"))
_HARMLESS = [
    np.ndarray,
    np.dtype,
    *_KINDS,
    *(
        (maker, f"{package}.multiarray.{name}")
        for package in ("numpy.core", "numpy._core")
        for name, maker in (("_reconstruct", np.zeros(0).__reduce__()[0]), ("scalar", np.int64(0).__reduce__()[0]))
    ),
]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Everything that a checkpoint holds: tensors, NumPy arrays and plain values.

    Raises:
        UserError: it is not a PyTorch file, holds code, or holds no dictionary.
    """
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not a PyTorch checkpoint of tensors ({reason}); fetch it again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not a dictionary; give the authors' file")
    return content


def state_in(content: dict[str, Any], path: Path, prefix: str = "") -> dict[str, Tensor]:
    """The state dict in a checkpoint: its `model` or `state_dict`, or all of it.

    Args:
        content: what `read_checkpoint` gave.
        path: of the file, for the error message.
        prefix: taken away from keys that begin with it.

    Raises:
        UserError: there are other things than tensors in it.
    """
    state = content.get("model", content.get("state_dict", content))
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: holds no dictionary of tensors; give the authors' file")
    return {str(key).removeprefix(prefix): value for key, value in state.items()}
