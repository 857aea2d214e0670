"""The GE2E speaker encoder of Resemblyzer: three LSTM layers and a projection to the unit sphere.

Wan, Wang, Papir & Lopez Moreno, "Generalized end-to-end loss for speaker verification", ICASSP 2018; the sizes are
those of Resemblyzer 0.1.4.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from benchmark.models.strict import load_strict

BANDS = 40
DIM = 256
FRAMES = 160

# The scale and offset of the training loss, which the encoder does not use.
_LOSS_ONLY = ("similarity_weight", "similarity_bias")
# Far below the norm of anything but a vector of zeros, which stays one.
_LEAST_NORM = 1e-12


class Ge2e(nn.Module):
    """Mel power (B, T, 40) to unit vectors (B, 256) without negative entries; T is 160 in the original."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(BANDS, DIM, num_layers=3, batch_first=True)
        self.linear = nn.Linear(DIM, DIM)

    def late(self) -> list[nn.Module | nn.Parameter]:
        """The third LSTM layer and the projection."""
        third = [parameter for name, parameter in self.lstm.named_parameters() if name.endswith("_l2")]
        return [*third, self.linear]

    def forward(self, x: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(x)
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1, eps=_LEAST_NORM)


def load_resemblyzer(net: Ge2e, state: Mapping[str, Tensor]) -> None:
    """Copy `model_state` of Resemblyzer's checkpoint into `net`.

    Raises:
        ValueError: a missing or unexpected key, or another shape.
    """
    load_strict(net, {key: value for key, value in state.items() if key not in _LOSS_ONLY})
