"""The spectrogram U-Net of Jansson et al. (ISMIR 2017): a mask of one source from magnitudes."""

import torch
from torch import Tensor, nn


class UNet(nn.Module):
    """Six strided convolutions down, six up, with connections across.

    Args:
        width: channels of the first layer; they double.
        depth: number of layers each way.
        dropout: after the first three layers of the way up.
    """

    def __init__(self, width: int = 16, depth: int = 6, dropout: float = 0.5):
        super().__init__()
        self.depth = depth
        sizes = [width * 2**i for i in range(depth)]
        self.down = nn.ModuleList()
        before = 1
        for size in sizes:
            conv = nn.Conv2d(before, size, 5, stride=2, padding=2)
            self.down.append(nn.Sequential(conv, nn.BatchNorm2d(size), nn.LeakyReLU(0.2)))
            before = size
        self.up = nn.ModuleList()
        for i, size in enumerate([*sizes[-2::-1], 1]):
            inputs = sizes[-1] if i == 0 else 2 * sizes[depth - 1 - i]
            deconv = nn.ConvTranspose2d(inputs, size, 5, stride=2, padding=2, output_padding=1)
            if i == depth - 1:
                self.up.append(deconv)
            else:
                after = nn.Dropout(dropout if i < 3 else 0.0)
                self.up.append(nn.Sequential(deconv, nn.BatchNorm2d(size), nn.ReLU(), after))

    @property
    def multiple(self) -> int:
        """Frequencies and frames must be multiples of this."""
        return 2**self.depth

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (B, F, T) in [0, 1] to a mask (B, F, T) in [0, 1]."""
        x, skips = magnitudes[:, None], []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        for i, layer in enumerate(self.up):
            x = layer(x if i == 0 else torch.cat([x, skips[-1 - i]], dim=1))
        return torch.sigmoid(x[:, 0])
