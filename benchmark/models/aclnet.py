"""AclNet, a network on raw waveforms (Huang & Alvarado Leanos 2018, arXiv 1811.06669).

The layer table is that of a public port (HwanWoongLee/Pytorch_AclNet_AudioClassification), whose keys this module
keeps; whether it is the paper's is not verified. Two strided 1-D convolutions and a pool give 64 values per 10 ms,
which a VGG then reads as a picture. The port drops out 20 % in front of its classifier in evaluation too, a defect
that is not reproduced.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.freezing import Freezable


class _ConvBatchRelu(nn.Module):
    def __init__(self, conv: nn.Conv1d | nn.Conv2d):
        super().__init__()
        self.conv = conv
        norm = nn.BatchNorm2d if isinstance(conv, nn.Conv2d) else nn.BatchNorm1d
        self.batch = norm(conv.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.batch(self.conv(x)))


class _LowLevel(nn.Module):
    """(B, 1, samples) to (B, 64, samples / 160)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 16, 9, stride=2, padding=4)
        self.cbr = _ConvBatchRelu(nn.Conv1d(16, 64, 5, stride=4, padding=2))

    def forward(self, x: Tensor) -> Tensor:
        return functional.max_pool1d(self.cbr(self.conv(x)), 20)


class _HighLevel(nn.Module):
    """(B, 1, 64, columns) to maps (B, 512, 2, columns / 32); `cbr9` is the classifier."""

    def __init__(self, classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        sizes = (32, 64, 64, 128, 128, 256, 256, 512, 512)
        for index, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            setattr(self, f"cbr{index}", _ConvBatchRelu(nn.Conv2d(inputs, outputs, 3, padding=1)))
        self.cbr9 = _ConvBatchRelu(nn.Conv2d(512, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(self.conv1(x), 2)
        for index in (1, 3, 5, 7):
            x = getattr(self, f"cbr{index + 1}")(getattr(self, f"cbr{index}")(x))
            x = functional.max_pool2d(x, 2)
        return x


class AclNet(Freezable):
    """AclNet; inputs are waveforms (B, samples) at 16 kHz, 20,480 samples in the port, at least 5,120.

    Args:
        classes: outputs.
    """

    dim = 512

    def __init__(self, classes: int = 10):
        super().__init__()
        self.LLF = _LowLevel()
        self.HLF = _HighLevel(classes)

    def intermediate(self) -> Sequence[nn.Module]:
        """The two convolutions on the waveform."""
        return (self.LLF,)

    def maps(self, x: Tensor) -> Tensor:
        """Waveforms (B, samples) to maps (B, 512, 2, samples / 5120)."""
        return self.HLF(self.stem(x))

    def stem(self, x: Tensor) -> Tensor:
        """Waveforms (B, samples) to what the two convolutions on them make, an image (B, 1, rows, columns)."""
        return self.LLF(x.unsqueeze(1)).unsqueeze(1)

    def rest(self, x: Tensor) -> Tensor:
        """That image to the mean of the last maps, (B, 512)."""
        return self.HLF(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Waveforms (B, samples) to scores (B, classes), not negative: the port ends in a ReLU."""
        maps = functional.dropout(self.maps(x), 0.2, self.training)
        return self.HLF.cbr9(maps).mean(dim=(2, 3))
