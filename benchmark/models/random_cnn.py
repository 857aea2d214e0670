"""Randomly weighted CNNs: what the structure of a network is worth before any training.

Pons & Serra, "Randomly weighted CNNs for (music) audio classification", ICASSP 2019 (arXiv 1805.00237); layers and
initialisation as in the authors' code (jordipons/elmarc, `dl_models.py`). A feature is the mean of a feature map over
all its positions. For the back end behind the frame-level front ends that code averages over the maps too and fills up
with zeros; here each map is a feature, as the paper describes.
"""

import itertools
import zlib

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor, nn
from torch.nn import functional

BANDS = 96

# TensorFlow's truncated normal ends at two standard deviations; the factor 1.3 makes up for the variance that is lost.
_TRUNCATION = 2.0
_VARIANCE = 2.0 * 1.3


class SmallFilters(nn.Module):
    """VGG-like: spectrograms (B, T, 96) to features (B, 5 n) of five layers of n filters; T is at least 1,280."""

    _POOLS = ((4, 2), (4, 3), (5, 2), (4, 2), (4, 4))

    def __init__(self, n: int):
        super().__init__()
        self.dim = 5 * n
        self.convolutions = nn.ModuleList(nn.Conv2d(1 if i == 0 else n, n, 3, padding=1) for i in range(5))

    def forward(self, x: Tensor) -> Tensor:
        x, features = x.unsqueeze(1), []
        for convolution, pool in zip(self.convolutions, self._POOLS, strict=True):
            x = functional.max_pool2d(functional.elu(convolution(x)), pool)
            features.append(x.mean(dim=(2, 3)))
        return torch.cat(features, dim=1)


class SingleLayer(nn.Module):
    """One layer of n filters of 7 frames x `bands`: spectrograms (B, T, 96) to features (B, n).

    Args:
        n: filters.
        bands: their height. The maximum over frequency follows.
    """

    def __init__(self, n: int, bands: int):
        super().__init__()
        self.dim = n
        self.convolutions = nn.ModuleList([nn.Conv2d(1, n, (7, bands))])

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.relu(self.convolutions[0](x.unsqueeze(1)))
        return maps.amax(dim=3).mean(dim=2)


class MusicalFilters(nn.Module):
    """Filters shaped for music: spectrograms (B, T, 96) to features (B, dim).

    Args:
        n: filters of the narrowest kind; the others have 2 n, 4 n (and 8 n).
        timbral: filters of 7, 3 and 1 frames x 86 and 38 bands, maximum over frequency: 14 n features.
        temporal: filters of 165, 128, 64 and 32 frames on the mean over the bands: 14 n features.
    """

    def __init__(self, n: int, timbral: bool = True, temporal: bool = True):
        super().__init__()
        self.dim = 14 * n * (timbral + temporal)
        shapes = itertools.product((int(0.9 * BANDS), int(0.4 * BANDS)), zip((7, 3, 1), (n, 2 * n, 4 * n), strict=True))
        self.timbral = nn.ModuleList(
            nn.Conv2d(1, filters, (time, bands), padding=(time // 2, 0)) for bands, (time, filters) in shapes if timbral
        )
        # So many less of each kind that there are as many temporal features as timbral ones.
        lengths = zip((165, 128, 64, 32), (n, 2 * n, 4 * n, 8 * n), strict=True)
        self.temporal = nn.ModuleList(nn.Conv1d(1, filters - n // 4, length) for length, filters in lengths if temporal)

    @property
    def convolutions(self) -> list[nn.Module]:
        return [*self.timbral, *self.temporal]

    def forward(self, x: Tensor) -> Tensor:
        picture, envelope = x.unsqueeze(1), x.mean(dim=2).unsqueeze(1)
        features = [torch.relu(layer(picture)).amax(dim=3).mean(dim=2) for layer in self.timbral]
        for layer in self.temporal:
            size = layer.kernel_size[0]
            # TensorFlow's "same": even lengths pad one more behind than in front.
            features.append(torch.relu(layer(functional.pad(envelope, ((size - 1) // 2, size // 2)))).mean(dim=2))
        return torch.cat(features, dim=1)


class SampleLevel(nn.Module):
    """Filters of 3 samples: waveforms (B, samples) to features (B, 7 n); at least 2,187 samples."""

    def __init__(self, n: int):
        super().__init__()
        self.dim = 7 * n
        self.convolutions = nn.ModuleList(
            [nn.Conv1d(1, n, 3, stride=3), *(nn.Conv1d(n, n, 3, padding=1) for _ in range(6))]
        )

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.convolutions[0](x.unsqueeze(1)))
        features = [x.mean(dim=2)]
        for convolution in self.convolutions[1:]:
            x = functional.max_pool1d(torch.relu(convolution(x)), 3)
            features.append(x.mean(dim=2))
        return torch.cat(features, dim=1)


class FrameLevel(nn.Module):
    """Filters of up to 512 samples every 32, then three layers over time: waveforms (B, samples) to features (B, dim).

    Args:
        n: filters of a layer.
        many: filters of 512, 256, 128, 64 and 32 samples side by side (8 n features), not of 512 alone (4 n).
    """

    _STRIDE = 32

    def __init__(self, n: int, many: bool = False):
        super().__init__()
        sizes = (512, 256, 128, 64, 32) if many else (512,)
        self.dim = (len(sizes) + 3) * n
        self.same = many
        self.front = nn.ModuleList(nn.Conv1d(1, n, size, stride=self._STRIDE) for size in sizes)
        self.back = nn.ModuleList(nn.Conv1d(inputs, n, 7) for inputs in (len(sizes) * n, n, n))

    @property
    def convolutions(self) -> list[nn.Module]:
        return [*self.front, *self.back]

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(1)
        fronts = [torch.relu(layer(self._padded(x, layer.kernel_size[0]))) for layer in self.front]
        first = torch.relu(self.back[0](torch.cat(fronts, dim=1)))
        second = torch.relu(self.back[1](functional.pad(first, (3, 3)))) + first
        pooled = functional.max_pool1d(second, 2)
        third = torch.relu(self.back[2](functional.pad(pooled, (3, 3)))) + pooled
        return torch.cat([maps.mean(dim=2) for maps in (*fronts, first, second, third)], dim=1)

    def _padded(self, x: Tensor, size: int) -> Tensor:
        """TensorFlow's "same" padding, where there is one."""
        samples = x.shape[2]
        total = max(-(-samples // self._STRIDE) * self._STRIDE - self._STRIDE + size - samples, 0) if self.same else 0
        return functional.pad(x, (total // 2, total - total // 2))


RandomCnn = SmallFilters | SingleLayer | MusicalFilters | SampleLevel | FrameLevel


def initialize(net: RandomCnn, seed: int) -> None:
    """Draw the weights of `net`: truncated normal, variance 2 / fan-in (He), biases 0.

    The numbers depend on the seed and on the position and shape of each layer alone, not on a generator of PyTorch.
    """
    for i, convolution in enumerate(net.convolutions):
        shape = tuple(convolution.weight.shape)
        rng = np.random.default_rng([seed, zlib.crc32(f"{i}:{shape}".encode())])
        uniform = ndtr(-_TRUNCATION) + rng.random(shape) * (ndtr(_TRUNCATION) - ndtr(-_TRUNCATION))
        values = ndtri(uniform) * np.sqrt(_VARIANCE / np.prod(shape[1:]))
        with torch.no_grad():
            convolution.weight.copy_(torch.from_numpy(values))
            convolution.bias.zero_()
