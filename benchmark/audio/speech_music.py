"""Features of speech, music and environmental sound (Lu, Jiang & Zhang 2001; Lu, Zhang & Jiang, IEEE Trans. SAP
10(7), 2002).

Windows of one second at 8 kHz, cut into 40 frames of 25 ms without overlap. The papers could not be read: the list of
features, the factor 1.5 of HZCRR and the window are confirmed by others, everything else follows general knowledge of
the method; the threshold of NFR is that of a public re-implementation.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SAMPLE_RATE = 8000
WINDOW = 8000
FRAME = 200

NAMES = (
    "hzcrr",
    "lster",
    "spectral_flux",
    "band_periodicity_1",
    "band_periodicity_2",
    "band_periodicity_3",
    "band_periodicity_4",
    "noise_frame_ratio",
    "zcr_mean",
    "zcr_std",
    "ste_mean",
    "ste_std",
)
BANDS_HZ = ((500.0, 1000.0), (1000.0, 2000.0), (2000.0, 3000.0), (3000.0, 4000.0))

_NOISE_BELOW = 0.3
_TAPS = 101
_DELTA = torch.finfo(torch.float32).eps


class SpeechMusicFeatures(nn.Module):
    """Windows (B, 8000) to the 12 features in `NAMES`, (B, 12), computed in float64.

    hzcrr: share of frames whose zero-crossing rate is above 1.5 times the window's mean.
    lster: share of frames whose energy is below half of the window's mean.
    spectral_flux: mean squared difference of the log magnitude spectra of neighbouring frames.
    band_periodicity: mean over frames of the highest local peak of the normalised correlation with the signal before,
        in four bands.
    noise_frame_ratio: share of frames whose highest such peak, in the whole band, is below 0.3.
    zcr, ste: mean and population standard deviation of zero-crossing rate and energy of the frames.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer(
            "filters", torch.stack([_band_pass(*band) for band in BANDS_HZ])[:, None], persistent=False
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.double()
        frames = x.unflatten(-1, (-1, FRAME))
        signs = torch.where(frames >= 0, 1.0, -1.0)
        zcr = (signs.diff(dim=-1).abs().sum(dim=-1) / 2 / FRAME).double()
        ste = frames.square().sum(dim=-1)
        hzcrr = (zcr > 1.5 * zcr.mean(dim=1, keepdim=True)).double().mean(dim=1)
        lster = (ste < 0.5 * ste.mean(dim=1, keepdim=True)).double().mean(dim=1)
        spectra = torch.log(torch.fft.rfft(frames).abs() + _DELTA)
        flux = spectra.diff(dim=1)[..., 1:].square().mean(dim=(1, 2))
        bands = functional.conv1d(x[:, None], self.filters, padding=_TAPS // 2)
        periodicity = correlation_peak(bands).mean(dim=-1)
        noise = (correlation_peak(x) < _NOISE_BELOW).double().mean(dim=-1)
        rest = [noise, zcr.mean(dim=1), zcr.std(dim=1, correction=0), ste.mean(dim=1), ste.std(dim=1, correction=0)]
        return torch.stack([hzcrr, lster, flux, *periodicity.unbind(dim=1), *rest], dim=1).float()


def correlation_peak(x: Tensor) -> Tensor:
    """Highest local peak of the normalised correlation of each frame but the first with the signal before it.

    Lags go from 1 to a frame; a frame without a local peak, or of silence, gets 0.

    Args:
        x: (..., n * 200) float64.

    Returns:
        (..., n - 1), within [-1, 1].
    """
    pairs = x.unfold(-1, 2 * FRAME, FRAME)
    current = pairs[..., FRAME:]
    size = 3 * FRAME
    spectrum = torch.fft.rfft(pairs, n=size) * torch.fft.rfft(current, n=size).conj()
    # Position p of the product is the lag FRAME - p.
    product = torch.fft.irfft(spectrum, n=size)[..., : FRAME + 1].flip(-1)
    total = functional.pad(pairs.square().cumsum(dim=-1), (1, 0))
    earlier = (total[..., FRAME:] - total[..., : FRAME + 1]).flip(-1)
    energy = earlier * earlier[..., :1]
    correlation = torch.where(energy > 1e-16, product / energy.clamp(min=1e-16).sqrt(), 0.0)
    middle = correlation[..., 1:-1]
    is_peak = (middle > correlation[..., :-2]) & (middle >= correlation[..., 2:])
    peaks = torch.where(is_peak, middle, -1.0).amax(dim=-1)
    return torch.where(is_peak.any(dim=-1), peaks, 0.0)


def _band_pass(low_hz: float, high_hz: float) -> Tensor:
    """Linear-phase band-pass, (101,): a difference of windowed sincs."""
    n = torch.arange(_TAPS, dtype=torch.float64) - _TAPS // 2
    high, low = (2 * f / SAMPLE_RATE * torch.sinc(2 * f / SAMPLE_RATE * n) for f in (high_hz, low_hz))
    return (high - low) * (0.54 + 0.46 * torch.cos(2 * math.pi * n / (_TAPS - 1)))
