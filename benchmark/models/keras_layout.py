"""Keras and TensorFlow arrays in PyTorch's order, and strict loading of them.

Keras keeps a convolution's kernel as (height, width, in, out) and a dense one as (in, out); batch normalisation is
gamma, beta, moving mean, moving variance. A checkpoint is given as a mapping of layer name to that layer's arrays in
the order in which Keras lists them (the attribute `weight_names` of its HDF5 group).
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

Layers = Mapping[str, Sequence[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class KerasLayer:
    """A layer of a Keras model.

    Attributes:
        kind: its class.
        feeds: names of the layers before it.
        arrays: its weights by name.
    """

    kind: str
    feeds: tuple[str, ...]
    arrays: Mapping[str, np.ndarray]


def kernel(array: np.ndarray) -> Tensor:
    """A dense (in, out), 1-D (k, in, out) or 2-D (h, w, in, out) kernel with its output axis first, then the input."""
    axes = (array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))
    return torch.from_numpy(np.ascontiguousarray(np.transpose(array, axes)))


def assign(module: nn.Module, arrays: Sequence[np.ndarray], layer: str) -> None:
    """Copy one Keras layer's arrays into a Linear, Conv1d, Conv2d or BatchNorm module.

    Raises:
        ValueError: another number of arrays or another shape than the module has; the message names `layer`.
    """
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        targets = [module.weight, module.bias, module.running_mean, module.running_var]
        values = [torch.from_numpy(np.asarray(array)) for array in arrays]
    else:
        targets = [module.weight] if module.bias is None else [module.weight, module.bias]
        values = [kernel(arrays[0])] + [torch.from_numpy(np.asarray(array)) for array in arrays[1:]]
    copy(targets, values, layer)


def copy(targets: Sequence[Tensor], values: Sequence[Tensor], layer: str) -> None:
    """Copy `values` into `targets` in place.

    Raises:
        ValueError: another number of values or another shape; the message names `layer`.
    """
    expected, found = [tuple(t.shape) for t in targets], [tuple(v.shape) for v in values]
    if expected != found:
        raise ValueError(f"layer {layer}: arrays of shape {found}, expected {expected}")
    with torch.no_grad():
        for target, value in zip(targets, values, strict=True):
            target.copy_(value)


def check_layers(layers: Layers, expected: Sequence[str]) -> None:
    """Refuse a checkpoint whose layers with arrays are not exactly the `expected` ones.

    Raises:
        ValueError: names the missing and the unexpected layers.
    """
    found = {name for name, arrays in layers.items() if len(arrays)}
    missing, unexpected = sorted(set(expected) - found), sorted(found - set(expected))
    if missing or unexpected:
        raise ValueError(f"missing layers: {missing or 'none'}; unexpected layers: {unexpected or 'none'}")
