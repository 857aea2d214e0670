"""OpenL3's audio network: eight 3 x 3 convolutions on one second of spectrogram.

Arandjelović & Zisserman, "Look, Listen and Learn", ICCV 2017; Cramer, Wu, Salamon & Bello, "Look, Listen and Learn
More", ICASSP 2019; the layers are those of the openl3 package, version 0.4.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmark.models.keras_layout import assign

CHANNELS = (64, 64, 128, 128, 256, 256, 512, 512)
SIZES = (512, 6144)

_BATCH_NORM_EPS = 1e-3


# Convolutions that the freezing point fixes.
_EARLY = 4


class OpenL3(nn.Module):
    """Spectrograms (B, 1, F, T) in dB, the maximum of each at 0, to embeddings (B, size).

    Args:
        size: 512 takes the maximum of every map, 6144 that of each of its 4 x 3 parts (frequency, time, channel).

    Raises:
        ValueError: another size.
    """

    def __init__(self, size: int = 6144):
        super().__init__()
        if size not in SIZES:
            raise ValueError(f"size {size}; it must be one of {SIZES}")
        self.size = size
        self.input_norm = nn.BatchNorm2d(1, eps=_BATCH_NORM_EPS, momentum=0.01)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in zip((1, *CHANNELS[:-1]), CHANNELS, strict=True)
        )
        # The last convolution is the embedding layer: nothing follows it.
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(channels, eps=_BATCH_NORM_EPS, momentum=0.01) for channels in CHANNELS[:-1]
        )

    def late(self) -> list[nn.Module]:
        """The last four convolutions, with their normalisations."""
        return [*self.convolutions[_EARLY:], *self.norms[_EARLY:]]

    def stem(self, x: Tensor) -> Tensor:
        """Spectrograms to the maps of the fourth convolution, pooled, (B, 128, F // 4, T // 4)."""
        return self._through(self.input_norm(x), range(_EARLY))

    def rest(self, x: Tensor) -> Tensor:
        """Those maps to embeddings (B, size)."""
        return self._read(self._through(x, range(_EARLY, len(self.convolutions))))

    def forward(self, x: Tensor) -> Tensor:
        return self._read(self.maps(x))

    def _read(self, x: Tensor) -> Tensor:
        parts = (1, 1) if self.size == 512 else (4, 3)
        # The maps divide without a rest, so that stride equals kernel in the original's pooling.
        x = nn.functional.max_pool2d(x, (x.shape[2] // parts[0], x.shape[3] // parts[1]))
        return x.permute(0, 2, 3, 1).flatten(1)

    def maps(self, x: Tensor) -> Tensor:
        """The maps (B, 512, F // 8, T // 8) of the embedding layer."""
        return self._through(self.input_norm(x), range(len(self.convolutions)))

    def _through(self, x: Tensor, layers: range) -> Tensor:
        for i in layers:
            x = self.convolutions[i](x)
            if i < len(self.norms):
                x = nn.functional.relu(self.norms[i](x), inplace=not self.training)
            if i in (1, 3, 5):
                x = nn.functional.max_pool2d(x, 2)
        return x

    def fold(self) -> "OpenL3":
        """Fold each batch normalisation into the convolution before it: the same function, for frozen use alone.

        The normalisation of the input stays: the convolution behind it pads with zeros, which it would have to shift.
        """
        self.eval()
        for i, norm in enumerate(self.norms):
            if isinstance(norm, nn.BatchNorm2d):
                self.convolutions[i] = fuse_conv_bn_eval(self.convolutions[i], norm)
                self.norms[i] = nn.Identity()
        return self


def load_keras(net: OpenL3, layers: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Copy the authors' Keras weights into `net`.

    Layers are told by kind and order, as their names carry counters that differ from file to file. The spectrogram
    layer of files before v0.4 is left out.

    Args:
        net: not folded.
        layers: arrays of each layer, in the order of the file.

    Raises:
        ValueError: a layer is missing, unexpected or of another shape; the message names it.
    """
    modules = [net.input_norm]
    for i, convolution in enumerate(net.convolutions):
        modules += [convolution, *net.norms[i : i + 1]]
    found = [(name, arrays) for name, arrays in layers.items() if "spectrogram" not in name]
    for module, (name, arrays) in zip(modules, found, strict=False):
        assign(module, arrays, name)
    if len(found) > len(modules):
        raise ValueError(f"unexpected layer: {found[len(modules)][0]}")
    if len(found) < len(modules):
        last = found[-1][0] if found else "the beginning of the file"
        raise ValueError(f"missing layers: {len(modules) - len(found)} after {last}")
    if "audio" not in found[-1][0]:
        raise ValueError(f"layer {found[-1][0]}: expected audio_embedding_layer; these are not the audio weights")
