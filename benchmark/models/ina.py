"""INA's networks for speech/music (`sm`), speech/music/noise (`smn`) and female/male speech (`gender`).

Doukhan, Carrive, Vallet, Larcher & Meignier, ICASSP 2018 (gender); Doukhan, Lechapt, Evrard & Carrive, MIREX 2018
(speech/music); the layers are those of the files in inaSpeechSegmenter 0.6.8. Every convolution (no padding) and every
hidden dense layer is followed by batch normalisation and ReLU.
"""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from benchmark.models.filtered_conv import filter_convolutions
from benchmark.models.freezing import Freezable
from benchmark.models.keras_layout import Layers, assign

FRAMES = 68

_BATCH_NORM = {"eps": 1e-3, "momentum": 0.01}
_DROPOUTS = (0.2, 0.3, 0.4, 0.5)


@dataclasses.dataclass(frozen=True)
class Design:
    """What the three networks differ in.

    Attributes:
        bands: mel bands of the input.
        kernels: (time, mel) of each convolution.
        channels: outputs of each convolution.
        pools: index of a convolution -> the pooling behind it.
        hidden: size of the dense layers.
        classes: outputs, in the order of the original.
    """

    bands: int
    kernels: tuple[tuple[int, int], ...]
    channels: tuple[int, ...]
    pools: dict[int, nn.MaxPool2d]
    hidden: int
    classes: tuple[str, ...]


# Keras' "same" pools: an odd axis of the second pool gets its padding behind only (`ceil_mode`); the 62 frames of smn's
# first one get one row on either side.
DESIGNS = {
    "sm": Design(
        bands=21,
        kernels=((5, 4), (3, 3), (3, 3), (3, 3)),
        channels=(64, 128, 128, 256),
        pools={0: nn.MaxPool2d(2), 2: nn.MaxPool2d(2, ceil_mode=True), 3: nn.MaxPool2d((12, 1))},
        hidden=512,
        classes=("speech", "music"),
    ),
    "smn": Design(
        bands=21,
        kernels=((7, 4), (3, 3), (3, 3), (3, 3)),
        channels=(64, 128, 128, 256),
        pools={
            0: nn.MaxPool2d((4, 2), padding=(1, 0)),
            2: nn.MaxPool2d(2, ceil_mode=True),
            3: nn.MaxPool2d((4, 1)),
        },
        hidden=256,
        classes=("speech", "music", "noise"),
    ),
    "gender": Design(
        bands=24,
        kernels=((3, 3),) * 5,
        channels=(64, 64, 128, 128, 256),
        pools={1: nn.MaxPool2d((1, 2)), 3: nn.MaxPool2d(2), 4: nn.MaxPool2d((28, 1))},
        hidden=512,
        classes=("female", "male"),
    ),
}


class Ina(Freezable):
    """One of the networks; inputs are patches (B, 1, 68, bands) of normalised log mel.

    Args:
        model: `sm`, `smn` or `gender`.
        classes: outputs, those of the original by default.
    """

    def __init__(self, model: str, classes: int | None = None):
        super().__init__()
        self.design = design = DESIGNS[model]
        channels = pairwise((1, *design.channels))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, kernel) for (i, o), kernel in zip(channels, design.kernels, strict=True)
        )
        self.convolution_norms = nn.ModuleList(nn.BatchNorm2d(c, **_BATCH_NORM) for c in design.channels)
        sizes = pairwise((design.channels[-1], *[design.hidden] * 4))
        self.dense = nn.ModuleList(nn.Linear(i, o) for i, o in sizes)
        self.dense_norms = nn.ModuleList(nn.BatchNorm1d(design.hidden, **_BATCH_NORM) for _ in self.dense)
        self.dropouts = nn.ModuleList(nn.Dropout(rate) for rate in _DROPOUTS)
        self.output = nn.Linear(design.hidden, classes or len(design.classes))
        self.dim = design.hidden

    def intermediate(self) -> Sequence[nn.Module]:
        """The convolutions with their normalisation."""
        return self.convolutions, self.convolution_norms

    def maps(self, x: Tensor, behind_first: bool = False) -> Tensor:
        """Patches (B, 1, 68, bands) to the pooled maps of the last convolution, (B, 256).

        With `behind_first`, `x` is what the first convolution, its ReLU and the pooling behind it give.
        """
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.convolution_norms, strict=True)):
            if i == 0 and behind_first:
                continue
            x = norm(convolution(x)).relu_()
            if i in self.design.pools:
                x = self.design.pools[i](x)
        return x.flatten(1)

    def hidden(self, x: Tensor) -> Tensor:
        """Maps (B, 256) to the last hidden layer, (B, hidden)."""
        for i, (dense, norm) in enumerate(zip(self.dense, self.dense_norms, strict=True)):
            x = norm(dense(x if i == 0 else self.dropouts[i - 1](x))).relu_()
        return x

    def stem(self, x: Tensor) -> Tensor:
        """Patches (B, 1, 68, bands) to the pooled maps of the last convolution, (B, 256)."""
        return self.maps(x)

    def rest(self, x: Tensor) -> Tensor:
        """Those maps to the last hidden layer, (B, hidden)."""
        return self.hidden(x)

    def forward(self, x: Tensor) -> Tensor:
        """Patches (B, 1, 68, bands) to logits (B, classes)."""
        return self.output(self.dropouts[-1](self.embed(x)))

    def fold(self) -> "Ina":
        """Fold each batch normalisation into the layer before it and filter the convolutions behind the first.

        The function stays the same; what is folded is for frozen use alone.
        """
        self.eval()
        for layers, norms, fuse in (
            (self.convolutions, self.convolution_norms, fuse_conv_bn_eval),
            (self.dense, self.dense_norms, fuse_linear_bn_eval),
        ):
            for i, norm in enumerate(norms):
                if not isinstance(norm, nn.Identity):
                    layers[i] = fuse(layers[i], norm)
                    norms[i] = nn.Identity()
        filter_convolutions(self)
        return self


def load_keras(net: Ina, layers: Layers) -> None:
    """Copy the authors' Keras weights into `net`.

    Layers are told by kind and order, as their names carry counters that differ from file to file.

    Raises:
        ValueError: another sequence of layers, or an array of another shape; the message names the layer.
    """
    expected: list[tuple[str, nn.Module]] = []
    for convolution, norm in zip(net.convolutions, net.convolution_norms, strict=True):
        expected += [("conv2d", convolution), ("batch_normalization", norm)]
    for dense, norm in zip(net.dense, net.dense_norms, strict=True):
        expected += [("dense", dense), ("batch_normalization", norm)]
    expected.append(("dense", net.output))
    if len(layers) != len(expected):
        raise ValueError(f"{len(layers)} layers with weights, expected {len(expected)}: {', '.join(layers)}")
    for (name, arrays), (kind, module) in zip(layers.items(), expected, strict=True):
        if not name.startswith(kind):
            raise ValueError(f"layer {name}: expected a layer {kind} in its place")
        assign(module, arrays, name)
