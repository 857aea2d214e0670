"""The CNN for jazz solo instruments (Gómez, Abeßer & Cano, ISMIR 2018), after Han et al. (2017).

Repository juansgomez87/jazz-show-case, `models/model_transfer_solo.json`: four blocks of two convolutions, each
behind one row of zeros and itself with "same" padding, so that every map grows by two; 1,440,998 parameters for six
instruments.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.freezing import Freezable
from benchmark.models.keras_layout import Layers, assign, check_layers

_KERAS_CONVS = tuple(f"b{block}_c{conv}" for block in range(1, 5) for conv in (1, 2))


class JazzSolo(Freezable):
    """Jazz-solo CNN; inputs are (B, bands, frames), 128 x 43 in the paper.

    Args:
        classes: outputs (sigmoid).
    """

    dim = 1024

    def __init__(self, classes: int = 6):
        super().__init__()
        sizes = (1, 32, 32, 64, 64, 128, 128, 256, 256)
        # A row of zeros and "same" padding are together a padding of two.
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 3, padding=2) for i, o in pairwise(sizes))
        self.dense = nn.Linear(256, self.dim)
        self.output = nn.Linear(self.dim, classes)
        self.dropout2d = nn.Dropout(0.25)
        self.dropout = nn.Dropout(0.5)

    def intermediate(self) -> Sequence[nn.Module]:
        """Everything but the output, as in the authors' transfer."""
        return self.convs, self.dense

    def maxima(self, x: Tensor) -> Tensor:
        """Inputs (B, bands, frames) to the maxima of the last maps, (B, 256)."""
        x = x.unsqueeze(1)
        for index, conv in enumerate(self.convs):
            x = functional.relu(conv(x))
            if index in (1, 3, 5):
                x = self.dropout2d(functional.max_pool2d(x, 3))
        return x.amax(dim=(2, 3))

    def stem(self, x: Tensor) -> Tensor:
        """Inputs (B, bands, frames) to the dense layer, (B, 1024)."""
        return functional.relu(self.dense(self.maxima(x)))

    def rest(self, x: Tensor) -> Tensor:
        """The dense layer as it is."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (B, bands, frames) to logits (B, classes)."""
        return self.output(self.dropout(self.embed(x)))


def load_keras(net: JazzSolo, layers: Layers) -> None:
    """Fill `net` from the layers of the published HDF5 files; ValueError names what is missing or unexpected."""
    names = (*_KERAS_CONVS, "b5_fc1", "dense_3")
    check_layers(layers, names)
    for name, module in zip(names, (*net.convs, net.dense, net.output), strict=True):
        assign(module, layers[name], name)
