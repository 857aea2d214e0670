"""DeepConvSep (Chandna, Miron, Janer & Gomez, LVA/ICA 2017), the DSD100 network."""

import torch
from torch import Tensor, nn


class DeepConvSep(nn.Module):
    """A convolution over the whole spectrum, one over time, a bottleneck, and back through the same kernels a source.

    Args:
        sources: K.
        bins: F.
        frames: T of a patch.
        filters: of both convolutions.
        bottleneck: units between them and the sources.
    """

    def __init__(self, sources: int = 4, bins: int = 513, frames: int = 30, filters: int = 50, bottleneck: int = 128):
        super().__init__()
        self.sources, self.bins, self.frames, self.filters = sources, bins, frames, filters
        self.vertical = nn.Conv2d(1, filters, (1, bins))
        self.horizontal = nn.Conv2d(filters, filters, (frames // 2, 1))
        self.left = frames - frames // 2 + 1
        self.squeeze = nn.Linear(filters * self.left, bottleneck)
        self.expand = nn.ModuleList(nn.Linear(bottleneck, filters * self.left) for _ in range(sources))
        self.bias = nn.Parameter(torch.zeros(sources))

    def forward(self, patches: Tensor) -> Tensor:
        """Magnitudes (B, T, F) to those of the sources (B, K, T, F), not below zero."""
        x = self.horizontal(self.vertical(patches[:, None]))
        x = torch.relu(self.squeeze(x.flatten(1)))
        outputs = []
        for expand in self.expand:
            y = torch.relu(expand(x)).view(-1, self.filters, self.left, 1)
            y = nn.functional.conv_transpose2d(y, self.horizontal.weight)
            outputs.append(nn.functional.conv_transpose2d(y, self.vertical.weight))
        return torch.relu(torch.cat(outputs, dim=1) + self.bias[:, None, None])
