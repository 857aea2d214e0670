"""The front end of INA's networks: natural logarithm of 24 mel bands, without a floor.

Facts read in inaSpeechSegmenter 0.6.8: 16 kHz, frames of 400 samples every 160 without padding, pre-emphasis 0.97
within each frame, symmetric Hann window, power of a 512-point FFT, triangles on the HTK scale from 100 to 8000 Hz. The
triangles are Slaney-normalised, but the last bin of each falling slope is left out.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.audio import frontends

SAMPLE_RATE = 16_000
BANDS = 24
FRAME = 400
HOP = 160

_N_FFT = 512
_F_MIN_HZ, _F_MAX_HZ = 100.0, 8000.0
_PRE_EMPHASIS = 0.97
_FRAMES_AT_ONCE = 1024


def filters() -> Tensor:
    """The filter bank, (24, 257) float32."""
    limits = torch.tensor([_F_MIN_HZ, _F_MAX_HZ], dtype=torch.float64)
    low, high = frontends.hz_to_mel(limits, "htk").tolist()
    edges = frontends.mel_to_hz(torch.linspace(low, high, BANDS + 2, dtype=torch.float64), "htk").tolist()
    width = SAMPLE_RATE / _N_FFT
    bank = torch.zeros(BANDS, _N_FFT // 2 + 1, dtype=torch.float64)
    for band, (start, peak, end) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        height = 2.0 / (end - start)
        rising = torch.arange(math.floor(start / width) + 1, math.floor(peak / width) + 1)
        falling = torch.arange(math.floor(peak / width) + 1, math.floor(end / width))
        bank[band, rising] = height / (peak - start) * (width * rising.double() - start)
        bank[band, falling] = height / (end - peak) * (end - width * falling.double())
    return bank.float()


def log_mel(x: Tensor) -> Tensor:
    """Log-mel spectrum (T, 24) of a waveform (samples,) at 16 kHz; digital silence gives -inf.

    Fewer than 400 samples are completed with zeros to one frame.
    """
    frames = frontends.frame(functional.pad(x, (0, max(0, FRAME - len(x)))), FRAME, HOP)
    window = frontends.hann(FRAME, periodic=False, dtype=torch.float64).to(x.device)
    bank = filters().T.to(x.device)
    return torch.cat([_log_mel(piece, window, bank) for piece in frames.split(_FRAMES_AT_ONCE)])


def _log_mel(frames: Tensor, window: Tensor, bank: Tensor) -> Tensor:
    # The original emphasises in float32 and transforms in float64: weak bands are the rounding noise of the former.
    emphasised = frames - torch.cat([frames[:, :1], frames[:, :-1]], dim=1) * _PRE_EMPHASIS
    spectrum = torch.fft.rfft(emphasised.double() * window, n=_N_FFT)
    return ((spectrum.real.square() + spectrum.imag.square()).float() @ bank).log()
