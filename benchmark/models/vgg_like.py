"""The VGG-like network of Kehling & Cano (CMMR 2021, section 4.3) for patches of 10 frames x 128 mel bands.

Four convolutions of 32 kernels 3 x 3, each with batch normalisation and ReLU, max pooling 3 x 3 behind every second
one, two dense layers. The paper leaves the padding and the dense sizes open: "same" is the only padding with which
the time axis survives, 128 and 64 are ours (94,178 parameters for two classes).
"""

from collections.abc import Sequence

from torch import Tensor, nn

from benchmark.models.freezing import Freezable

# Keras' defaults, with which the authors' group trains.
_BATCH_NORM = {"eps": 1e-3, "momentum": 0.01}


def _convolution(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, 32, 3, padding="same"), nn.BatchNorm2d(32, **_BATCH_NORM), nn.ReLU())


class VggLike(Freezable):
    """VGG-like network; inputs are (B, frames, bands).

    Args:
        classes: outputs.
        frames: frames of a patch, at least 9.
        bands: mel bands, at least 9.
        dropout: rate behind both dense layers in training.
    """

    dim = 64

    def __init__(self, classes: int = 2, frames: int = 10, bands: int = 128, dropout: float = 0.5):
        super().__init__()
        self.early = nn.Sequential(_convolution(1), _convolution(32), nn.MaxPool2d(3))
        self.late = nn.Sequential(_convolution(32), _convolution(32), nn.MaxPool2d(3), nn.Flatten())
        flat = 32 * (bands // 9) * (frames // 9)
        self.dense1 = nn.Sequential(nn.Linear(flat, 128), nn.ReLU())
        self.dense2 = nn.Sequential(nn.Linear(128, self.dim), nn.ReLU())
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(self.dim, classes)

    def intermediate(self) -> Sequence[nn.Module]:
        """The first two convolutions."""
        return (self.early,)

    def stem(self, x: Tensor) -> Tensor:
        """Patches (B, frames, bands) to the maps of the second convolution, pooled, (B, 32, bands // 3, frames // 3)."""
        return self.early(x.transpose(-2, -1).unsqueeze(1))

    def rest(self, x: Tensor) -> Tensor:
        """Those maps to the last hidden layer, (B, 64)."""
        return self.dense2(self.dropout(self.dense1(self.late(x))))

    def forward(self, x: Tensor) -> Tensor:
        """Patches (B, frames, bands) to logits (B, classes)."""
        return self.output(self.dropout(self.embed(x)))
