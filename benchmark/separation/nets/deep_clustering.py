"""Deep clustering (Hershey et al., ICASSP 2016) and its mask-inference sibling: one BLSTM body, two heads."""

import torch
from torch import Tensor, nn


class DeepClustering(nn.Module):
    """Log-magnitudes to a unit vector a bin; bins of one source point the same way.

    Args:
        bins: F.
        dim: D, size of a vector.
        layers, units: of the BLSTM; `units` a direction.
        dropout: between layers.
        activation: `tanh` (the paper's) or `sigmoid`.
    """

    def __init__(
        self,
        bins: int = 129,
        dim: int = 40,
        layers: int = 2,
        units: int = 600,
        dropout: float = 0.0,
        activation: str = "tanh",
    ):
        super().__init__()
        self.bins, self.dim = bins, dim
        self.blstm = nn.LSTM(bins, units, layers, batch_first=True, dropout=dropout, bidirectional=True)
        self.project = nn.Linear(2 * units, bins * dim)
        self.activation = {"tanh": torch.tanh, "sigmoid": torch.sigmoid}[activation]

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, T, F), normalised, to (B, T, F, D)."""
        vectors = self.activation(self.project(self.blstm(features)[0]))
        return nn.functional.normalize(vectors.unflatten(-1, (self.bins, self.dim)), dim=-1, eps=1e-8)


class MaskInference(nn.Module):
    """The same body with a mask a source (Kolbaek et al. 2017); trained with the best permutation of the sources."""

    def __init__(self, bins: int = 129, sources: int = 2, layers: int = 4, units: int = 600, dropout: float = 0.0):
        super().__init__()
        self.bins, self.sources = bins, sources
        self.blstm = nn.LSTM(bins, units, layers, batch_first=True, dropout=dropout, bidirectional=True)
        self.project = nn.Linear(2 * units, bins * sources)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, T, F), normalised, to masks (B, K, T, F) in [0, 1]."""
        masks = torch.sigmoid(self.project(self.blstm(features)[0]))
        return masks.unflatten(-1, (self.sources, self.bins)).permute(0, 2, 1, 3)
