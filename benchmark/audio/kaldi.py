"""Kaldi's log-mel filter bank features, as `torchaudio.compliance.kaldi.fbank` computes them with dither 0.

Functions:
    povey: Kaldi's default window.
Classes:
    KaldiFbank: waveform to log-mel energies, in pieces that stay in the processor's cache.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from benchmark.audio.frontends import frame, hann, mel_filterbank

# The least energy whose logarithm is taken: the float32 epsilon, as in Kaldi.
FLOOR = torch.finfo(torch.float32).eps

_CHUNK_FRAMES = 2048


def povey(n: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Povey window, (n,): the symmetric Hann window to the power of 0.85."""
    return hann(n, periodic=False, dtype=torch.float64).pow(0.85).to(dtype)


class KaldiFbank(nn.Module):
    """Waveforms (B, samples) to ln(max(mel energy, FLOOR)), (B, T, n_mels), T = 1 + (samples - frame) // shift.

    From each frame its mean is taken away, then 0.97 times the sample before (the first sample stands before itself);
    the triangles are linear in mel; neither energy nor mean normalisation.

    Args:
        sample_rate: Hz.
        n_mels: number of bands.
        window: `povey`, or `hanning`, the symmetric Hann window.
        frame_s, shift_s: length and distance of frames in seconds.
        f_min, f_max: lowest and highest edge in Hz; half the sample rate by default.
        scale: factor of the waveform, 2^15 where a model expects 16-bit samples.
        pre_emphasis: share of the sample before.

    Raises:
        ValueError: (forward) fewer samples than one frame.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        sample_rate: int = 16_000,
        n_mels: int = 128,
        window: Literal["povey", "hanning"] = "povey",
        frame_s: float = 0.025,
        shift_s: float = 0.010,
        f_min: float = 20.0,
        f_max: float | None = None,
        scale: float = 1.0,
        pre_emphasis: float = 0.97,
    ):
        super().__init__()
        self.size, self.shift = int(frame_s * sample_rate), int(shift_s * sample_rate)
        self.n_fft = 1 << (self.size - 1).bit_length()
        self.scale, self.pre_emphasis = scale, pre_emphasis
        window_of = {"povey": povey, "hanning": lambda n: hann(n, periodic=False)}
        filters = mel_filterbank(n_mels, self.n_fft, sample_rate, f_min, f_max, scale="htk", norm=None, shape="mel")
        self.register_buffer("window", window_of[window](self.size), persistent=False)
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        frames = frame(x.float() * self.scale, self.size, self.shift)
        return torch.cat([self._log_mel(piece) for piece in frames.split(_CHUNK_FRAMES, dim=-2)], dim=-2)

    def _log_mel(self, frames: Tensor) -> Tensor:
        frames = frames - frames.mean(dim=-1, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        spectrum = torch.fft.rfft((frames - self.pre_emphasis * before) * self.window, n=self.n_fft)
        # Kaldi takes the magnitude first: its rounding is part of what the models were trained with.
        return (spectrum.abs().square() @ self.filters).clamp(min=FLOOR).log()
