"""AENet, a CNN for audio events (Takahashi, Gygli & Van Gool 2017, arXiv 1701.00599).

Repository znaoya/aenet (`aenet/base.py`, Lasagne): two pairs of 3 x 3 convolutions on three channels (static
filter-bank values and their first and second slopes), two dense layers of 1024, 41 classes; 114,599,017 parameters
for patches of 200 frames x 50.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.freezing import Freezable
from benchmark.models.keras_layout import copy

_LAYERS = ("conv1a", "conv1b", "conv2a", "conv2b", "fc5", "fc6", "prob")


class AENet(Freezable):
    """AENet; inputs are (B, 3, frames, bands).

    Args:
        classes: outputs.
        frames: frames of a patch.
        bands: values per frame and channel.
        hidden: size of both dense layers.
    """

    def __init__(self, classes: int = 41, frames: int = 200, bands: int = 50, hidden: int = 1024):
        super().__init__()
        self.dim = hidden
        self.conv1a = nn.Conv2d(3, 64, 3)
        self.conv1b = nn.Conv2d(64, 64, 3)
        self.conv2a = nn.Conv2d(64, 128, 3)
        self.conv2b = nn.Conv2d(128, 128, 3)
        self.fc5 = nn.Linear(128 * ((frames - 8) // 2) * (((bands - 4) // 2 - 4) // 2), hidden)
        self.fc6 = nn.Linear(hidden, hidden)
        self.prob = nn.Linear(hidden, classes)

    def intermediate(self) -> Sequence[nn.Module]:
        """The convolutions."""
        return self.conv1a, self.conv1b, self.conv2a, self.conv2b

    def stem(self, x: Tensor) -> Tensor:
        """Patches (B, 3, frames, bands) to the flattened maps of the last convolution."""
        x = functional.relu(self.conv1b(functional.relu(self.conv1a(x))))
        x = functional.max_pool2d(x, (1, 2))
        x = functional.relu(self.conv2b(functional.relu(self.conv2a(x))))
        return functional.max_pool2d(x, 2).flatten(1)

    def rest(self, x: Tensor) -> Tensor:
        """Those maps to the last hidden layer, (B, hidden)."""
        return functional.relu(self.fc6(functional.relu(self.fc5(x))))

    def forward(self, x: Tensor) -> Tensor:
        """Patches (B, 3, frames, bands) to logits (B, classes)."""
        return self.prob(self.embed(x))


def load_lasagne(net: AENet, arrays: Sequence[np.ndarray]) -> None:
    """Fill `net` from Lasagne's `param_values`: kernel and bias of each layer in order.

    Theano convolves, PyTorch correlates: the kernels are turned by 180 degrees. Dense kernels are (in, out).

    Raises:
        ValueError: another number of arrays or another shape; names the layer.
    """
    if len(arrays) != 2 * len(_LAYERS):
        raise ValueError(f"{len(arrays)} arrays, expected {2 * len(_LAYERS)}: kernel and bias of {', '.join(_LAYERS)}")
    for index, name in enumerate(_LAYERS):
        weight, bias = (np.asarray(array, dtype=np.float32) for array in arrays[2 * index : 2 * index + 2])
        weight = weight[:, :, ::-1, ::-1] if weight.ndim == 4 else weight.T
        module = getattr(net, name)
        copy([module.weight, module.bias], [torch.from_numpy(weight.copy()), torch.from_numpy(bias)], name)
