"""Dilated convolutions and two-way LSTMs that embed bins (Mobin, Cheung & Olshausen, arXiv 1803.08629)."""

import torch
from torch import Tensor, nn

_DILATIONS = (1, 2, 4, 8, 16, 32, 1, 2, 4, 8, 16, 32)


class DilatedCnn(nn.Module):
    """Thirteen 3 x 3 convolutions, dilated alike in time and frequency; every second layer from the fourth adds an earlier one.

    Normalisation is by the statistics of the batch at hand, when separating as well, as in the authors' code.

    Args:
        channels: of all layers but the last.
        dim: D, size of a bin's vector.
    """

    def __init__(self, channels: int = 128, dim: int = 20):
        super().__init__()
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        before = 1
        for dilation in _DILATIONS:
            self.convs.append(nn.Conv2d(before, channels, 3, padding=dilation, dilation=dilation))
            self.norms.append(nn.BatchNorm2d(channels, eps=1e-3, track_running_stats=False))
            before = channels
        self.embed = nn.Conv2d(channels, dim, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, T, F) to unit vectors (B, T, F, D)."""
        x, kept = features[:, None], None
        for layer, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(x))
            if layer % 2 and layer > 1:
                x = x + kept
            x = torch.relu(x)
            if layer % 2:
                kept = x
        return nn.functional.normalize(self.embed(x).permute(0, 2, 3, 1), dim=-1, eps=1e-8)


class TwoWayLstm(nn.Module):
    """A stack of LSTMs forwards and one backwards, joined at the top alone, unlike a bidirectional LSTM's layers."""

    def __init__(self, bins: int = 129, dim: int = 20, layers: int = 4, units: int = 500):
        super().__init__()
        self.bins, self.dim = bins, dim
        self.forwards = nn.LSTM(bins, units, layers, batch_first=True)
        self.backwards = nn.LSTM(bins, units, layers, batch_first=True)
        for stack in (self.forwards, self.backwards):
            for name, bias in list(stack.named_parameters()):
                # The reference's cells have one bias; the second of cuDNN's form stays zero.
                if name.startswith("bias_hh"):
                    nn.init.zeros_(bias)
                    bias.requires_grad_(False)
        self.project = nn.Linear(2 * units, bins * dim)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, T, F) to unit vectors (B, T, F, D)."""
        ahead = self.forwards(features)[0]
        back = self.backwards(features.flip(1))[0].flip(1)
        vectors = self.project(torch.cat([ahead, back], dim=-1)).unflatten(-1, (self.bins, self.dim))
        return nn.functional.normalize(vectors, dim=-1, eps=1e-8)
