"""PANNs, the pretrained audio neural networks of Kong et al. (IEEE/ACM TASLP 28, 2020; arXiv 1912.10211).

Each maps log-mel spectra (B, 1, T, 64) in dB, 10 ms a frame, to maps over time (B, C, T // stride) and those to an
embedding (B, dim). Names of modules are those of the authors' checkpoints. Dropout is the paper's; SpecAugment and
mixup belong to training and are not here.
"""

import abc
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, dropout, relu

from benchmark.models.filtered_conv import filter_convolutions
from benchmark.models.frozen_conv import freeze_convolutions
from benchmark.models.panns_blocks import (
    ConvBlock,
    ConvBlock5x5,
    InvertedResidual,
    ResidualStages,
    WaveBlock,
    convolution,
    fold_norms,
)
from benchmark.models.strict import load_strict

BANDS = 64
# Those of Cnn14's 3 x 3 convolutions whose maps are not too narrow for filtering.
_FILTERED = tuple(f"conv_block{i}" for i in range(1, 6))
_FRONT_END = ("spectrogram_extractor.", "logmel_extractor.")


class Panns(nn.Module, abc.ABC):
    """What the networks share: normalisation per band, read-out and classifier.

    Args:
        channels: C, of the maps.
        dim: size of the embedding.
        classes: outputs of the classifier.

    Attributes:
        stride: frames a step of the maps stands for.
        behind: names of the parts that still learn behind the freezing point, besides `fc1`.
    """

    stride = 32
    behind: tuple[str, ...]

    def __init__(self, channels: int, dim: int, classes: int = 527):
        super().__init__()
        self.channels, self.dim = channels, dim
        self.bn0 = nn.BatchNorm2d(BANDS)
        self.fc1 = nn.Linear(channels, dim)
        self.fc_audioset = nn.Linear(dim, classes)

    @abc.abstractmethod
    def body(self, x: Tensor, waveform: Tensor) -> Tensor:
        """Normalised spectra (B, 1, T, 64), and the waveform (B, samples) that they show, to maps (B, C, T', F')."""

    def late(self) -> list[nn.Module]:
        """What learns behind the freezing point."""
        return [*(self.get_submodule(name) for name in self.behind), self.fc1]

    def normalised(self, x: Tensor) -> Tensor:
        """Log-mel spectra (B, 1, T, 64) in dB as the convolutions read them."""
        x = self.bn0(x.transpose(1, 3)).transpose(1, 3)
        return x.to(self.fc1.weight.dtype).contiguous(memory_format=torch.channels_last)

    def maps(self, x: Tensor, waveform: Tensor) -> Tensor:
        """Log-mel spectra (B, 1, T, 64) in dB to maps over time, mean over frequency: (B, C, T // stride)."""
        return self.body(self.normalised(x), waveform.to(self.fc1.weight.dtype)).mean(dim=3)

    def read(self, x: Tensor) -> Tensor:
        """Maps over time (B, C, T') to embeddings (B, dim), not negative."""
        x = dropout(x.amax(dim=2) + x.mean(dim=2), 0.5, self.training)
        return relu(self.fc1(x))

    def forward(self, x: Tensor, waveform: Tensor) -> Tensor:
        """Log-mel spectra (B, 1, T, 64) in dB to embeddings (B, dim), not negative."""
        return self.read(self.maps(x, waveform))

    def classify(self, embedding: Tensor) -> Tensor:
        """Probabilities (B, classes) of the classes that the network was trained for."""
        return torch.sigmoid(self.fc_audioset(dropout(embedding, 0.5, self.training)))

    def freeze_for(self, dtype: torch.dtype = torch.float32, filtered: bool = False) -> "Panns":
        """Merge normalisations with convolutions and convert everything but `bn0` to `dtype`; for frozen use alone.

        With `filtered` the blocks but the last go through Winograd's filtering, in less than half the time on a
        processor; there maps are too narrow for it.
        """
        fold_norms(self)
        if filtered:
            for name in _FILTERED:
                if hasattr(self, name):
                    filter_convolutions(getattr(self, name))
        freeze_convolutions(self)
        norm = self.bn0
        self.to(dtype).to(memory_format=torch.channels_last)
        self.bn0 = norm.float()
        return self


class Cnn14(Panns):
    """Six blocks of two 3 x 3 convolutions, 64 to 2048 channels. 80.8 million parameters."""

    behind = ("conv_block4", "conv_block5", "conv_block6")

    def __init__(self, classes: int = 527):
        super().__init__(2048, 2048, classes)
        for i, (before, after) in enumerate([(1, 64), (64, 128), (128, 256), (256, 512), (512, 1024), (1024, 2048)]):
            self.add_module(f"conv_block{i + 1}", ConvBlock(before, after))

    def body(self, x: Tensor, waveform: Tensor) -> Tensor:
        return self._after_first(self.conv_block1(x))

    def _after_first(self, x: Tensor) -> Tensor:
        for block in (self.conv_block2, self.conv_block3, self.conv_block4, self.conv_block5):
            x = block(x)
        return self.conv_block6(x, pool=(1, 1))


class Cnn10(Panns):
    """Four blocks of two 3 x 3 convolutions, 64 to 512 channels. 5.2 million parameters."""

    stride = 16
    behind = ("conv_block3", "conv_block4")
    block: type[nn.Module] = ConvBlock

    def __init__(self, classes: int = 527):
        super().__init__(512, 512, classes)
        for i, (before, after) in enumerate([(1, 64), (64, 128), (128, 256), (256, 512)]):
            self.add_module(f"conv_block{i + 1}", self.block(before, after))

    def body(self, x: Tensor, waveform: Tensor) -> Tensor:
        return self.conv_block4(self.conv_block3(self.conv_block2(self.conv_block1(x))))


class Cnn6(Cnn10):
    """Four 5 x 5 convolutions, 64 to 512 channels. 4.8 million parameters."""

    block = ConvBlock5x5


class ResNet38(Panns):
    """A block of convolutions, 16 residual blocks, another block of convolutions. 73.8 million parameters."""

    behind = ("resnet.layer3", "resnet.layer4", "conv_block_after1")

    def __init__(self, classes: int = 527):
        super().__init__(2048, 2048, classes)
        self.conv_block1 = ConvBlock(1, 64)
        self.resnet = ResidualStages((3, 4, 6, 3))
        self.conv_block_after1 = ConvBlock(512, 2048)

    def body(self, x: Tensor, waveform: Tensor) -> Tensor:
        x = dropout(avg_pool2d(self.resnet(self.conv_block1(x)), 2), 0.2, self.training)
        return self.conv_block_after1(x, pool=(1, 1))


class MobileNetV2(Panns):
    """Inverted residuals with strides of their own; 1280 maps, an embedding of 1024. 4.1 million parameters."""

    behind = tuple(f"features.{number}" for number in range(10, 19))
    # Widening, channels, repeats, stride of the first one.
    STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 2), (6, 160, 3, 1), (6, 320, 1, 1))

    def __init__(self, classes: int = 527):
        super().__init__(1280, 1024, classes)
        first = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.AvgPool2d(2), nn.BatchNorm2d(32), nn.ReLU6(inplace=True)
        )
        layers: list[nn.Module] = [first]
        before = 32
        for widening, after, repeats, stride in self.STAGES:
            for i in range(repeats):
                layers.append(InvertedResidual(before, after, stride if i == 0 else 1, widening))
                before = after
        layers.append(nn.Sequential(convolution(before, 1280, 1), nn.BatchNorm2d(1280), nn.ReLU6(inplace=True)))
        self.features = nn.Sequential(*layers)

    def body(self, x: Tensor, waveform: Tensor) -> Tensor:
        return self.features(x)


class WavegramLogmelCnn14(Cnn14):
    """Cnn14 that also sees a learnt picture of the waveform, the wavegram. 81.1 million parameters.

    The picture and the spectrum have the same number of steps where the waveform has an even number of frames.
    """

    def __init__(self, classes: int = 527):
        super().__init__(classes)
        self.pre_conv0, self.pre_bn0 = nn.Conv1d(1, 64, 11, stride=5, padding=5, bias=False), nn.BatchNorm1d(64)
        self.pre_block1, self.pre_block2 = WaveBlock(64, 64), WaveBlock(64, 128)
        self.pre_block3, self.pre_block4 = WaveBlock(128, 128), ConvBlock(4, 64)
        self.conv_block2 = ConvBlock(128, 128)

    def body(self, x: Tensor, waveform: Tensor) -> Tensor:
        wave = relu(self.pre_bn0(self.pre_conv0(waveform[:, None])), inplace=True)
        for block in (self.pre_block1, self.pre_block2, self.pre_block3):
            wave = block(wave, pool=4)
        # Channel 32 i + j becomes column j of map i.
        wave = wave.unflatten(1, (-1, 32)).transpose(2, 3)
        wave = self.pre_block4(wave.contiguous(memory_format=torch.channels_last), pool=(2, 1))
        return self._after_first(torch.cat([self.conv_block1(x), wave], dim=1))


MODELS: dict[str, type[Panns]] = {
    "cnn14": Cnn14,
    "cnn14-16k": Cnn14,
    "cnn14-8k": Cnn14,
    "cnn10": Cnn10,
    "cnn6": Cnn6,
    "resnet38": ResNet38,
    "mobilenetv2": MobileNetV2,
    "wavegram-logmel-cnn14": WavegramLogmelCnn14,
}


def load_panns(net: Panns, filters: Tensor, window: Tensor, state: Mapping[str, Tensor]) -> None:
    """Fill a network and its front end from a checkpoint's state dict.

    Args:
        net: not yet frozen.
        filters: the mel filters (n_fft // 2 + 1, 64), filled with the checkpoint's own.
        window: the window (n_fft,), which the checkpoint's Fourier transform must have.
        state: the authors' keys; those of the front end are `spectrogram_extractor.stft.conv_real.weight` and
            `.conv_imag.weight` (n_fft // 2 + 1, 1, n_fft) and `logmel_extractor.melW`.

    Raises:
        ValueError: a missing or unexpected key, a wrong shape or another front end; the message names the key.
    """
    real, imaginary = (f"{_FRONT_END[0]}stft.conv_{part}.weight" for part in ("real", "imag"))
    mel = f"{_FRONT_END[1]}melW"
    front = {key: value for key, value in state.items() if key.startswith(_FRONT_END)}
    shape = (len(filters), 1, len(window))
    for key, expected in ((real, shape), (imaginary, shape), (mel, tuple(filters.shape))):
        if key not in front:
            raise ValueError(f"missing key {key}")
        if tuple(front[key].shape) != expected:
            raise ValueError(f"key {key}: shape {tuple(front[key].shape)}, expected {expected}")
    unexpected = sorted(front.keys() - {real, imaginary, mel})
    if unexpected:
        raise ValueError(f"unexpected keys: {unexpected}")
    # The row of frequency 0 is the window itself.
    if not torch.allclose(front[real][0, 0], window.to(front[real]), atol=1e-4):
        raise ValueError(f"key {real}: not the transform of a Hann window")
    load_strict(net, {key: value for key, value in state.items() if key not in front})
    filters.copy_(front[mel])
