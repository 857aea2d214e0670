"""Log-mel spectra and cepstra as librosa's users compute them, with statistics that are learnt from training data.

Conventions: a waveform is (samples,) in [-1, 1]; features are (T, F), time first, frames centred on multiples of the
hop.

Classes and functions:
    LogMel: decibels below the greatest value of the clip, of a clip normalised to its peak.
    Mfcc: orthonormal DCT-II of decibels.
    peak_normalized: a clip divided by its greatest absolute value.
    Standardizer: feature-wise zero mean in a range of -1 to 1 (Kehling & Cano, CMMR 2021, section 4.1).
"""

import torch
from torch import Tensor, nn

from benchmark.audio.frontends import MelSpectrogram, dct_matrix, hann, power_to_db


def peak_normalized(x: Tensor) -> Tensor:
    """`x` (samples,) over its greatest absolute value; silence stays as it is."""
    peak = x.abs().amax()
    return x / torch.where(peak > 0, peak, 1.0)


class LogMel(nn.Module):
    """Waveform (samples,) to log-mel (T, bands): peak-normalised, 10 log10 over the greatest value, 80 dB deep.

    Args:
        sample_rate: Hz.
        n_fft: length of window and FFT.
        hop: samples between frames.
        bands: mel bands (Slaney's scale and norm, 0 to half the rate).
    """

    def __init__(self, sample_rate: int = 22050, n_fft: int = 2048, hop: int = 512, bands: int = 128):
        super().__init__()
        self.hop, self.size = hop, bands
        self.mel = MelSpectrogram(sample_rate, n_fft, hop, bands)

    def forward(self, x: Tensor) -> Tensor:
        return power_to_db(self.mel(peak_normalized(x)), ref="max")


class Mfcc(nn.Module):
    """Waveform (samples,) to cepstra (T, coefficients), peak-normalised; librosa's `mfcc` with its defaults otherwise.

    Args:
        coefficients: how many, C0 included.
        sample_rate: Hz.
        n_fft: length of the FFT.
        hop: samples between frames.
        bands: mel bands (Slaney's scale and norm).
        window: length of the Hann window, `n_fft` by default.
        f_max: upper edge of the highest band in Hz, half the rate by default.
    """

    def __init__(
        self,
        coefficients: int,
        sample_rate: int = 22050,
        n_fft: int = 2048,
        hop: int = 512,
        bands: int = 128,
        window: int | None = None,
        f_max: float | None = None,
    ):
        super().__init__()
        self.hop, self.size = hop, coefficients
        self.mel = MelSpectrogram(sample_rate, n_fft, hop, bands, window=hann(window or n_fft), f_max=f_max)
        self.register_buffer("dct", dct_matrix(coefficients, bands).T.contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return power_to_db(self.mel(peak_normalized(x))) @ self.dct


class Standardizer(nn.Module):
    """(..., F) to (x - mean) / scale, feature by feature; `mean` and `scale` are (F,)."""

    def __init__(self, mean: Tensor, scale: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    @classmethod
    def fit(cls, features: Tensor) -> "Standardizer":
        """Statistics of training frames (n, F): mean, and greatest distance from it (1 for a constant feature)."""
        mean = features.mean(dim=0)
        scale = (features - mean).abs().amax(dim=0)
        return cls(mean, torch.where(scale > 0, scale, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale
