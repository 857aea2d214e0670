"""The topology of INA's speech/music network trained on other inputs (Kehling & Cano, CMMR 2021, section 4.1).

The released networks read log mel bands and normalise each patch; the paper trains their topology on patches of 68
frames x 21 MFCC, or 128 mel bands, with feature-wise normalisation. Kernels, pools, dense sizes and dropout are those
of the released `sm` network (Doukhan et al., ICASSP 2018): every convolution and hidden dense layer is followed by
batch normalisation and ReLU.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from benchmark.models.freezing import Freezable

_BATCH_NORM = {"eps": 1e-3, "momentum": 0.01}
_DROPOUTS = (0.2, 0.3, 0.4, 0.5)


def _convolution(inputs: int, outputs: int, kernel: tuple[int, int], *pool: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel), nn.BatchNorm2d(outputs, **_BATCH_NORM), nn.ReLU(), *pool)


class InaKc(Freezable):
    """INA topology; inputs are (B, 68, bands).

    Args:
        classes: outputs.
        bands: cepstra (21) or mel bands (128), at least 18.
        dropout: whether the hidden dense layers have dropout 0.2, 0.3, 0.4, 0.5 in training.
    """

    frames = 68
    dim = 512

    def __init__(self, classes: int = 2, bands: int = 21, dropout: bool = True):
        super().__init__()
        self.conv1 = _convolution(1, 64, (5, 4), nn.MaxPool2d(2))
        self.conv2 = _convolution(64, 128, (3, 3))
        # Keras' "same" pool: an odd axis gets its padding behind only.
        self.conv3 = _convolution(128, 128, (3, 3), nn.MaxPool2d(2, ceil_mode=True))
        self.conv4 = _convolution(128, 256, (3, 3), nn.MaxPool2d((12, 1)))
        width = -(-((bands - 3) // 2 - 4) // 2) - 2
        sizes = [256 * width] + [self.dim] * 4
        self.dense = nn.Sequential(
            *(nn.Sequential(nn.Linear(i, o), nn.BatchNorm1d(o, **_BATCH_NORM), nn.ReLU()) for i, o in pairwise(sizes))
        )
        self.dropouts = nn.ModuleList(nn.Dropout(rate if dropout else 0.0) for rate in _DROPOUTS)
        self.output = nn.Linear(self.dim, classes)

    def intermediate(self) -> Sequence[nn.Module]:
        """The four convolutions, pooling included."""
        return self.conv1, self.conv2, self.conv3, self.conv4

    def stem(self, x: Tensor) -> Tensor:
        """Patches (B, 68, bands) to the flattened maps of the last convolution, (B, 256 * width)."""
        x = self.conv2(self.conv1(x.unsqueeze(1)))
        return self.conv4(self.conv3(x)).flatten(1)

    def rest(self, x: Tensor) -> Tensor:
        """Those maps to the last hidden layer, (B, 512)."""
        for index, layer in enumerate(self.dense):
            x = layer(x if index == 0 else self.dropouts[index - 1](x))
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Patches (B, 68, bands) to logits (B, classes)."""
        return self.output(self.dropouts[-1](self.embed(x)))
