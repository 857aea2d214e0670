"""The plain network that Kehling & Cano (CMMR 2021, section 4.4) compare embeddings with.

A mel patch of 10 x 128 is flattened, one dense layer of 128, one output layer: 164,226 parameters for two classes.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from benchmark.models.freezing import Freezable


class Dnn(Freezable):
    """Dense baseline; inputs are (B, frames, bands).

    Args:
        classes: outputs.
        frames: frames of a patch.
        bands: mel bands.
    """

    dim = 128

    def __init__(self, classes: int = 2, frames: int = 10, bands: int = 128):
        super().__init__()
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(frames * bands, self.dim), nn.ReLU())
        self.output = nn.Linear(self.dim, classes)

    def intermediate(self) -> Sequence[nn.Module]:
        """The hidden layer, the only one before the output."""
        return (self.hidden,)

    def stem(self, x: Tensor) -> Tensor:
        """Patches (B, frames, bands) to the hidden layer, (B, 128)."""
        return self.hidden(x)

    def rest(self, x: Tensor) -> Tensor:
        """The hidden layer as it is."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Patches (B, frames, bands) to logits (B, classes)."""
        return self.output(self.embed(x))
