"""Open-Unmix (Stöter et al., JOSS 2019): the magnitudes of one target by a BLSTM; its names are the checkpoints'."""

import torch
from torch import Tensor, nn


class OpenUnmix(nn.Module):
    """One network a target.

    Args:
        bins: F of the spectrum.
        used: bins that the network reads; the rest is beyond the bandwidth of the training set.
        channels: of the mixture.
        hidden: units; the BLSTM has half a direction.
    """

    def __init__(self, bins: int = 2049, used: int = 1487, channels: int = 2, hidden: int = 512, layers: int = 3):
        super().__init__()
        self.bins, self.used, self.channels, self.hidden = bins, used, channels, hidden
        self.fc1 = nn.Linear(used * channels, hidden, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden)
        self.lstm = nn.LSTM(hidden, hidden // 2, layers, bidirectional=True, dropout=0.4 if layers > 1 else 0.0)
        self.fc2 = nn.Linear(2 * hidden, hidden, bias=False)
        self.bn2 = nn.BatchNorm1d(hidden)
        self.fc3 = nn.Linear(hidden, bins * channels, bias=False)
        self.bn3 = nn.BatchNorm1d(bins * channels)
        self.input_mean, self.input_scale = nn.Parameter(torch.zeros(used)), nn.Parameter(torch.ones(used))
        self.output_scale, self.output_mean = nn.Parameter(torch.ones(bins)), nn.Parameter(torch.ones(bins))

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes of the mixture (B, C, F, T) to those of the target."""
        batch, channels, bins, frames = magnitudes.shape
        x = magnitudes.permute(3, 0, 1, 2)
        x = (x[..., : self.used] + self.input_mean) * self.input_scale
        x = self.bn1(self.fc1(x.reshape(frames * batch, -1))).view(frames, batch, self.hidden)
        x = torch.tanh(x)
        x = torch.cat([x, self.lstm(x)[0]], dim=-1).view(frames * batch, -1)
        x = torch.relu(self.bn2(self.fc2(x)))
        x = self.bn3(self.fc3(x)).view(frames, batch, channels, bins)
        mask = torch.relu(x * self.output_scale + self.output_mean)
        return mask.permute(1, 2, 3, 0) * magnitudes
