"""The log-mel front end that VGGish and YAMNet share: 64 bands of 125 to 7500 Hz, frames of 25 ms every 10 ms."""

import torch
from torch import Tensor, nn

from benchmark.audio.frontends import MelSpectrogram, hann

SAMPLE_RATE = 16_000
FRAME, HOP, BANDS = 400, 160, 64
PATCH_FRAMES = 96
# Samples that 96 frames see: 0.975 s.
PATCH = (PATCH_FRAMES - 1) * HOP + FRAME


class LogMel(nn.Module):
    """Patches of audio (B, 15600) to ln(mel + offset), (B, 96, 64)."""

    def __init__(self, offset: float):
        super().__init__()
        self.offset = offset
        self.mel = MelSpectrogram(
            SAMPLE_RATE,
            512,
            HOP,
            BANDS,
            window=hann(FRAME),
            f_min=125.0,
            f_max=7500.0,
            power=1.0,
            scale="htk",
            norm=None,
            shape="mel",
            center=False,
            align="start",
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(self.mel(x) + self.offset)
