"""The ACMus networks for speech and music and for ensemble size (Grollmisch et al., EUSIPCO 2020).

Four 3 x 3 convolutions (16, 32, 64, 128 maps), max pooling behind the first three, global max pooling, a dense layer
of 64. Repository ACMUS-MIR/ACMus-Models: `speech_music` reads patches of 140 frames x 80 mel bands (105,668
parameters, four classes), `ensemble` 34 frames x 257 bins (105,733 parameters, five classes); the layers are the
same.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.freezing import Freezable
from benchmark.models.keras_layout import Layers, assign, check_layers

_KERAS_LAYERS = ("conv2d", "conv2d_1", "conv2d_2", "conv2d_3", "dense", "dense_1")


class Acmus(Freezable):
    """ACMus network; inputs are normalised patches (B, frames, bands).

    Args:
        classes: outputs, 4 for speech_music and 5 for ensemble.
    """

    dim = 64

    def __init__(self, classes: int = 4):
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, padding="same") for inputs, outputs in pairwise((1, 16, 32, 64, 128))
        )
        self.dense = nn.Linear(128, self.dim)
        self.output = nn.Linear(self.dim, classes)
        self.dropout2d = nn.Dropout(0.25)
        self.dropout = nn.Dropout(0.5)

    def intermediate(self) -> Sequence[nn.Module]:
        """The convolutions."""
        return (self.convs,)

    def maxima(self, x: Tensor) -> Tensor:
        """Patches (B, frames, bands) to the maxima of the last maps, (B, 128)."""
        x = x.unsqueeze(1)
        for conv in self.convs[:3]:
            x = self.dropout2d(functional.max_pool2d(functional.relu(conv(x)), 2))
        return functional.relu(self.convs[3](x)).amax(dim=(2, 3))

    def stem(self, x: Tensor) -> Tensor:
        """Patches (B, frames, bands) to the maxima of the last maps, (B, 128)."""
        return self.maxima(x)

    def rest(self, x: Tensor) -> Tensor:
        """Those maxima to the dense layer, (B, 64)."""
        return functional.relu(self.dense(self.dropout2d(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Patches (B, frames, bands) to logits (B, classes)."""
        return self.output(self.dropout(self.embed(x)))


def load_keras(net: Acmus, layers: Layers) -> None:
    """Fill `net` from the layers of the published HDF5 files; ValueError names what is missing or unexpected."""
    check_layers(layers, _KERAS_LAYERS)
    for name, module in zip(_KERAS_LAYERS, (*net.convs, net.dense, net.output), strict=True):
        assign(module, layers[name], name)
