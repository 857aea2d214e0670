"""MULE's weights as its authors publish them: a whole Keras model in one HDF5 file, `model.keras`.

Keras counts the layers of a kind in the order in which the authors' code makes them (both stems, the slow stages, the fast
stages, the fusions), whatever their order in the file. The gains of the residual branches are no use to count, as every block has
three layers of that kind: they are found from the end of their block, along the graph.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from benchmark.models.keras_layout import KerasLayer, kernel
from benchmark.models.slowfast_nfnet import MuleSlowfast
from benchmark.models.strict import load_strict

_CONVOLUTION, _DENSE, _SCALAR, _END = "WeightStandardization", "Dense", "ScalarMultiply", "StochDepth"


def load_mule_keras(net: MuleSlowfast, layers: Mapping[str, KerasLayer]) -> None:
    """Fill `net` from the layers of the authors' model, by name.

    Raises:
        ValueError: another number of layers of a kind, a layer that the network does not have, or arrays of another shape; names it.
    """
    convolutions, blocks = _order(net)
    dense = [f"{block}.se.{layer}" for block in blocks for layer in ("fc1", "fc2")]
    strange = sorted(n for n, one in layers.items() if one.arrays and one.kind not in (_CONVOLUTION, _DENSE, _SCALAR))
    if strange:
        raise ValueError(f"unexpected layers: {strange}")
    state: dict[str, Tensor] = {}
    for prefix, name in zip(convolutions, _counted(layers, _CONVOLUTION, len(convolutions)), strict=True):
        state |= _parts(prefix, name, layers[name].arrays, ("weight", "bias", "gain"))
    for prefix, name in zip(dense, _counted(layers, _DENSE, len(dense)), strict=True):
        state |= _parts(prefix, name, layers[name].arrays, ("weight", "bias"))
    for block, end in zip(blocks, _counted(layers, _END, len(blocks)), strict=True):
        state[f"{block}.skip_gain"] = _skip_gain(layers, end)
    load_strict(net, state)


def _order(net: MuleSlowfast) -> tuple[list[str], list[str]]:
    """Prefixes of our keys of the convolutions, and of the blocks, in the order in which the authors make them."""
    convolutions = [f"{stem}.convs.{i}" for stem in ("slow_stem", "fast_stem") for i in range(4)]
    blocks = []
    for path in ("slow_stages", "fast_stages"):
        for number, stage in enumerate(getattr(net, path)):
            for index, block in enumerate(stage.blocks):
                prefix = f"{path}.{number}.blocks.{index}"
                blocks.append(prefix)
                convolutions += [f"{prefix}.convs.{i}" for i in range(len(block.convs))]
                convolutions += [f"{prefix}.skip_conv"] if block.skip_conv is not None else []
    convolutions += [f"fusions.{i}.{conv}" for i in range(len(net.fusions)) for conv in ("conv1", "conv2")]
    return convolutions, blocks


def _counted(layers: Mapping[str, KerasLayer], kind: str, expected: int) -> list[str]:
    """Names of the layers of a kind by their counter, which the first one lacks."""

    def counter(name: str) -> int:
        last = name.rpartition("_")[2]
        return int(last) if last.isdigit() else 0

    found = sorted((name for name, layer in layers.items() if layer.kind == kind), key=counter)
    if len(found) != expected:
        raise ValueError(f"{len(found)} layers {kind}, expected {expected}; these are not MULE's weights")
    return found


def _parts(prefix: str, name: str, arrays: Mapping[str, np.ndarray], kinds: Sequence[str]) -> dict[str, Tensor]:
    """Our keys and tensors of a layer with a kernel: what is flat is the bias if it is called so, or the gain."""
    found = {}
    for weight, array in arrays.items():
        kind = "weight" if array.ndim > 1 else "bias" if "bias" in weight else "gain"
        found[f"{prefix}.{kind}"] = kernel(array) if array.ndim > 1 else torch.from_numpy(np.asarray(array))
    if found.keys() != {f"{prefix}.{kind}" for kind in kinds}:
        raise ValueError(f"layer {name}: weights {sorted(arrays)}, expected {', '.join(kinds)}")
    return found


def _skip_gain(layers: Mapping[str, KerasLayer], end: str) -> Tensor:
    """The gain of a block: its end is fed by a fixed factor, and that by the one with the weight."""
    fixed = [name for name in layers[end].feeds if layers[name].kind == _SCALAR]
    gains = [name for one in fixed for name in layers[one].feeds if name in layers and layers[name].kind == _SCALAR]
    if len(gains) != 1 or len(layers[gains[0]].arrays) != 1:
        raise ValueError(f"layer {end}: no gain is found behind it; these are not MULE's weights")
    (gain,) = layers[gains[0]].arrays.values()
    return torch.from_numpy(np.asarray(gain).reshape(1))
