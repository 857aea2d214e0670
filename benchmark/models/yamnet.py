"""YAMNet: MobileNet v1 on 0.96 s of log-mel spectrum, 521 classes of AudioSet.

Plakal & Ellis, tensorflow/models, research/audioset/yamnet; Howard et al., "MobileNets", 2017.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmark.models.keras_layout import assign, check_layers, copy

FRAMES, BANDS, SIZE, CLASSES = 96, 64, 1024, 521

# Stride and output channels of layers 2 to 14.
_SEPARABLE = (
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    *[(1, 512)] * 5,
    (2, 1024),
    (1, 1024),
)


# Layers that the freezing point fixes.
_EARLY = 7


class _Convolution(nn.Module):
    """Convolution with TensorFlow's "same" padding, batch normalisation without a scale, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, groups: int = 1):
        super().__init__()
        # On even sizes a stride of 2 pads 0 before and 1 after.
        self.padding = (0, 1, 0, 1) if stride == 2 else (size // 2,) * 4
        self.conv: nn.Module = nn.Conv2d(inputs, outputs, size, stride, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=1e-4, momentum=0.01)
        self.norm.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(nn.functional.pad(x, self.padding))))


class YAMNet(nn.Module):
    """Log-mel patches (B, 96, 64) to embeddings (B, 1024), none negative; `classifier` makes logits of them."""

    def __init__(self) -> None:
        super().__init__()
        # By the names of the authors' layers.
        self.layers = nn.ModuleDict({"layer1/conv": _Convolution(1, 32, stride=2)})
        channels = 32
        for number, (stride, width) in enumerate(_SEPARABLE, start=2):
            depthwise = _Convolution(channels, channels, stride=stride, groups=channels)
            self.layers[f"layer{number}/depthwise_conv"] = depthwise
            self.layers[f"layer{number}/pointwise_conv"] = _Convolution(channels, width, size=1)
            channels = width
        self.classifier = nn.Linear(SIZE, CLASSES)

    def late(self) -> list[nn.Module]:
        """Layers 8 to 14, the second half."""
        return [layer for name, layer in self.layers.items() if _number(name) > _EARLY]

    def stem(self, x: Tensor) -> Tensor:
        """Patches (B, 96, 64) to the maps of layer 7, (B, 512, 6, 4)."""
        x = x.unsqueeze(1)
        for name, layer in self.layers.items():
            if _number(name) <= _EARLY:
                x = layer(x)
        return x

    def rest(self, x: Tensor) -> Tensor:
        """Those maps to embeddings (B, 1024)."""
        for layer in self.late():
            x = layer(x)
        return x.mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.stem(x))

    def fold(self) -> "YAMNet":
        """Fold each batch normalisation into the convolution before it: the same function, for frozen use alone."""
        self.eval()
        for layer in self.layers.values():
            if isinstance(layer.norm, nn.BatchNorm2d):
                layer.conv = fuse_conv_bn_eval(layer.conv, layer.norm)
                layer.norm = nn.Identity()
        return self


def _number(name: str) -> int:
    return int(name.partition("/")[0].removeprefix("layer"))


def load_keras(net: YAMNet, layers: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Copy the authors' Keras weights into `net`.

    Args:
        net: not folded.
        layers: arrays of each layer, by name. The classifier is the one layer whose name does not begin with `layer`.

    Raises:
        ValueError: a layer is missing, unexpected or of another shape; the message names it.
    """
    heads = [name for name in layers if not name.startswith("layer")] or ["logits"]
    check_layers(layers, [*net.layers, *(f"{name}/bn" for name in net.layers), heads[0]])
    for name, layer in net.layers.items():
        arrays = layers[name]
        if layer.conv.groups > 1:
            # Depthwise kernels lie as (h, w, channels, 1), not as (h, w, 1, channels).
            arrays = [np.swapaxes(arrays[0], 2, 3), *arrays[1:]]
        assign(layer.conv, arrays, name)
        values = [torch.from_numpy(np.asarray(array)) for array in layers[f"{name}/bn"]]
        copy([layer.norm.bias, layer.norm.running_mean, layer.norm.running_var], values, f"{name}/bn")
    assign(net.classifier, layers[heads[0]], heads[0])
