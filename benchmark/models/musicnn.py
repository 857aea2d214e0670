"""musicnn and its VGG companion: music taggers on three seconds of log-mel spectrum.

Pons & Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging", 2019; the layers are those
of the package musicnn 0.1.0. Everywhere the batch normalisation stands behind the ReLU.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.keras_layout import assign

FRAMES, BANDS, CLASSES = 187, 96, 50

_EPS = 1e-3
_ARRAYS = {"conv": ("kernel", "bias"), "norm": ("gamma", "beta", "moving_mean", "moving_variance")}
# Kept by the optimizer in training.
_OPTIMIZER = ("/Adam", "/Adam_1", "beta1_power", "beta2_power")


class _Block(nn.Module):
    """Convolution with TensorFlow's "same" padding in time, ReLU, batch normalisation, maximum over frequency."""

    def __init__(self, outputs: int, time: int, frequency: int):
        super().__init__()
        self.padding = (0, 0, (time - 1) // 2, time // 2)
        self.conv = nn.Conv2d(1, outputs, (time, frequency))
        self.norm = nn.BatchNorm2d(outputs, eps=_EPS, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(torch.relu(self.conv(functional.pad(x, self.padding)))).amax(dim=3)


class Musicnn(nn.Module):
    """Log-mel patches (B, T, 96) to the read-outs of `read_outs`; T is free, training used 187.

    Args:
        read_out: which of them `forward` gives.

    Raises:
        ValueError: another read-out.
    """

    sizes: ClassVar = {"penultimate": 200, "mean_pool": 753, "max_pool": 753}

    def __init__(self, read_out: str = "penultimate"):
        super().__init__()
        self.read_out = _checked(read_out, self.sizes)
        self.input_norm = nn.BatchNorm2d(1, eps=_EPS, momentum=0.01)
        self.timbral = nn.ModuleList(_Block(204, 7, int(share * BANDS)) for share in (0.4, 0.7))
        self.temporal = nn.ModuleList(_Block(51, time, 1) for time in (128, 64, 32))
        self.middle = nn.ModuleList(nn.Conv1d(inputs, 64, 7, padding=3) for inputs in (561, 64, 64))
        self.middle_norms = nn.ModuleList(nn.BatchNorm1d(64, eps=_EPS, momentum=0.01) for _ in range(3))
        self.pool_norm = nn.BatchNorm1d(1506, eps=_EPS, momentum=0.01)
        self.dense = nn.Linear(1506, 200)
        self.dense_norm = nn.BatchNorm1d(200, eps=_EPS, momentum=0.01)
        self.classifier = nn.Linear(200, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.read_outs(x)[self.read_out]

    def late(self) -> list[nn.Module]:
        """What is behind the convolutions on the spectrum."""
        return [self.middle, self.middle_norms, self.pool_norm, self.dense, self.dense_norm]

    def stem(self, x: Tensor) -> Tensor:
        """Patches to the maps of the convolutions on the spectrum, (B, 561, T)."""
        x = self.input_norm(x.unsqueeze(1))
        return torch.cat([block(x) for block in (*self.timbral, *self.temporal)], dim=1)

    def rest(self, x: Tensor) -> Tensor:
        """Those maps to the read-out."""
        return self._read(self._behind(x))[self.read_out]

    def maps(self, x: Tensor) -> list[Tensor]:
        """The maps (B, C, T): timbral and temporal (561), then the three middle layers (64 each)."""
        return self._behind(self.stem(x))

    def _behind(self, x: Tensor) -> list[Tensor]:
        maps = [x]
        for i, (convolution, norm) in enumerate(zip(self.middle, self.middle_norms, strict=True)):
            y = norm(torch.relu(convolution(maps[-1])))
            maps.append(y + maps[-1] if i else y)
        return maps

    def read_outs(self, x: Tensor) -> dict[str, Tensor]:
        """`penultimate` (B, 200), `mean_pool` and `max_pool` over time (B, 753 each), `logits` (B, 50)."""
        return self._read(self.maps(x))

    def _read(self, several: list[Tensor]) -> dict[str, Tensor]:
        maps = torch.cat(several, dim=1)
        maximum, mean = maps.amax(dim=2), maps.mean(dim=2)
        # Interleaved: maximum and mean of the first map, of the second one, ...
        flat = self.pool_norm(torch.stack([maximum, mean], dim=2).flatten(1))
        penultimate = self.dense_norm(torch.relu(self.dense(flat)))
        return {
            "penultimate": penultimate,
            "mean_pool": mean,
            "max_pool": maximum,
            "logits": self.classifier(penultimate),
        }


class MusicnnVgg(nn.Module):
    """Log-mel patches (B, 187, 96) to `pool5`, (B, 256), in the order time, frequency, channel.

    Args:
        read_out: `pool5`.

    Raises:
        ValueError: another read-out.
    """

    sizes: ClassVar = {"pool5": 256}

    # Convolutions that the freezing point fixes.
    _EARLY = 2
    _POOLS = (((4, 1), 2), (2, 2), (2, 2), (2, 2), (4, 4))

    def __init__(self, read_out: str = "pool5"):
        super().__init__()
        self.read_out = _checked(read_out, self.sizes)
        self.input_norm = nn.BatchNorm2d(1, eps=_EPS, momentum=0.01)
        self.convolutions = nn.ModuleList(nn.Conv2d(1 if i == 0 else 128, 128, 3, padding=1) for i in range(5))
        self.norms = nn.ModuleList(nn.BatchNorm2d(128, eps=_EPS, momentum=0.01) for _ in range(5))
        self.classifier = nn.Linear(256, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.read_outs(x)[self.read_out]

    def late(self) -> list[nn.Module]:
        """The last three convolutions, with their normalisations."""
        return [*self.convolutions[self._EARLY :], *self.norms[self._EARLY :]]

    def stem(self, x: Tensor) -> Tensor:
        """Patches to the maps of the second convolution, pooled."""
        return self._through(self.input_norm(x.unsqueeze(1)), slice(self._EARLY))

    def rest(self, x: Tensor) -> Tensor:
        """Those maps to `pool5`."""
        return self._through(x, slice(self._EARLY, None)).permute(0, 2, 3, 1).flatten(1)

    def _through(self, x: Tensor, layers: slice) -> Tensor:
        several = zip(self.convolutions[layers], self.norms[layers], self._POOLS[layers], strict=True)
        for convolution, norm, (size, stride) in several:
            x = functional.max_pool2d(norm(torch.relu(convolution(x))), size, stride)
        return x

    def read_outs(self, x: Tensor) -> dict[str, Tensor]:
        """`pool5` (B, 256) and `logits` (B, 50)."""
        pool5 = self.rest(self.stem(x))
        return {"pool5": pool5, "logits": self.classifier(pool5)}


def load_tensorflow(net: Musicnn | MusicnnVgg, arrays: Mapping[str, np.ndarray]) -> None:
    """Copy the variables of the authors' TensorFlow checkpoint into `net`; those of the optimizer are left out.

    Raises:
        ValueError: a variable is missing, unexpected or of another shape; the message names it.
    """
    modules = _layers(net)
    names = {layer: [f"{layer}/{array}" for array in _arrays_of(module)] for layer, module in modules.items()}
    expected = {name for group in names.values() for name in group}
    found = {name for name in arrays if not name.endswith(_OPTIMIZER)}
    if found != expected:
        missing, unexpected = sorted(expected - found), sorted(found - expected)
        raise ValueError(f"missing variables: {missing or 'none'}; unexpected variables: {unexpected or 'none'}")
    for layer, module in modules.items():
        values = [arrays[name] for name in names[layer]]
        if isinstance(module, nn.Conv1d):
            # (time, inputs, 1, outputs): the inputs were the frequency axis of a picture.
            values[0] = values[0].squeeze(2)
        assign(module, values, layer)


def _layers(net: Musicnn | MusicnnVgg) -> dict[str, nn.Module]:
    """The modules by the names that TensorFlow counted up."""
    if isinstance(net, MusicnnVgg):
        layers = {f"{i + 1}CNN": convolution for i, convolution in enumerate(net.convolutions)}
        return layers | _counted("batch_normalization", [net.input_norm, *net.norms]) | {"dense": net.classifier}
    blocks = [*net.timbral, *net.temporal]
    norms = [net.input_norm, *(block.norm for block in blocks), *net.middle_norms, net.pool_norm, net.dense_norm]
    return (
        _counted("conv2d", [*(block.conv for block in blocks), *net.middle])
        | _counted("batch_normalization", norms)
        | _counted("dense", [net.dense, net.classifier])
    )


def _counted(name: str, modules: list[nn.Module]) -> dict[str, nn.Module]:
    return {f"{name}_{i}" if i else name: module for i, module in enumerate(modules)}


def _arrays_of(module: nn.Module) -> tuple[str, ...]:
    return _ARRAYS["norm" if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) else "conv"]


def _checked(read_out: str, sizes: Mapping[str, int]) -> str:
    if read_out not in sizes:
        raise ValueError(f"read-out {read_out!r}; it must be one of {', '.join(sizes)}")
    return read_out
