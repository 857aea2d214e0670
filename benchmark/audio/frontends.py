"""Windows, mel filter banks, spectrograms and cepstra in PyTorch.

The front ends of the suite's models differ in details, so each detail is an argument that has a name: the window
(periodic or symmetric), where it lies in the FFT, the padding, the mel scale, the norm and the shape of the triangles.

Conventions: waveforms are (..., samples) in [-1, 1]; spectra are (..., T, bins), time before frequency; frequencies
are Hz.

Functions:
    hann: Hann window, periodic or symmetric.
    hz_to_mel, mel_to_hz: the HTK and the Slaney scale.
    mel_filterbank: triangular filters, as librosa, torchaudio, Kaldi and TensorFlow build them.
    dct_matrix: orthonormal DCT-II.
    frame, pad: cut into overlapping frames; extend at both ends.
    stft, stft_power, stft_magnitude: short-time Fourier transform.
    power_to_db: decibels with a floor and a range.
    deltas: local slopes over time.
    MelSpectrogram: waveform to mel power, in pieces that stay in the processor's cache.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Scale = Literal["slaney", "htk"]
PadMode = Literal["constant", "reflect"]
Align = Literal["centre", "start"]

# Slaney's scale (Auditory Toolbox, 1998): linear below 1 kHz, then 27 steps for a factor of 6.4.
_SLANEY_HZ_PER_MEL = 200.0 / 3
_SLANEY_BREAK_HZ = 1000.0
_SLANEY_BREAK_MEL = _SLANEY_BREAK_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = math.log(6.4) / 27

# Pieces of this size stay in the cache between window, FFT and filter bank.
_CHUNK_BYTES = 4 * 2**20


def hann(n: int, periodic: bool = True, dtype: torch.dtype = torch.float32) -> Tensor:
    """Hann window, (n,), with denominator n if `periodic` (SciPy's `fftbins=True`), else n - 1 (`numpy.hanning`)."""
    return torch.hann_window(n, periodic=periodic, dtype=torch.float64).to(dtype)


def hz_to_mel(hz: Tensor, scale: Scale = "slaney") -> Tensor:
    """Frequencies in Hz to mel; `htk`: 2595 log10(1 + f/700), `slaney`: linear below 1 kHz, logarithmic above."""
    if scale == "htk":
        return 2595.0 * torch.log10(1.0 + hz / 700.0)
    _check_choice("scale", scale, ("slaney", "htk"))
    above = _SLANEY_BREAK_MEL + torch.log(hz.clamp(min=1e-10) / _SLANEY_BREAK_HZ) / _SLANEY_LOG_STEP
    return torch.where(hz >= _SLANEY_BREAK_HZ, above, hz / _SLANEY_HZ_PER_MEL)


def mel_to_hz(mel: Tensor, scale: Scale = "slaney") -> Tensor:
    """Inverse of `hz_to_mel`."""
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    _check_choice("scale", scale, ("slaney", "htk"))
    above = _SLANEY_BREAK_HZ * torch.exp(_SLANEY_LOG_STEP * (mel - _SLANEY_BREAK_MEL))
    return torch.where(mel >= _SLANEY_BREAK_MEL, above, mel * _SLANEY_HZ_PER_MEL)


def mel_filterbank(
    n_mels: int,
    n_fft: int,
    sample_rate: int,
    f_min: float = 0.0,
    f_max: float | None = None,
    scale: Scale = "slaney",
    norm: Literal["slaney"] | None = "slaney",
    shape: Literal["hz", "mel"] = "hz",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Triangular mel filters, (n_mels, n_fft // 2 + 1), computed in float64.

    Args:
        n_mels: number of bands; their n_mels + 2 edges are equally spaced in mel from `f_min` to `f_max`.
        n_fft: length of the FFT.
        sample_rate: Hz.
        f_min: lowest edge in Hz.
        f_max: highest edge in Hz, half the sample rate by default.
        scale: `slaney` (librosa's default) or `htk`.
        norm: `slaney` divides each triangle by half its bandwidth in Hz; None keeps the peaks at 1.
        shape: slopes linear in `hz` (librosa, torchaudio's transforms) or in `mel` (Kaldi, TensorFlow).
        dtype: of the result.
    """
    _check_choice("norm", norm, ("slaney", None))
    _check_choice("shape", shape, ("hz", "mel"))
    limits = torch.tensor([f_min, sample_rate / 2 if f_max is None else f_max], dtype=torch.float64)
    low, high = hz_to_mel(limits, scale).tolist()
    edges_mel = torch.linspace(low, high, n_mels + 2, dtype=torch.float64)
    edges_hz = mel_to_hz(edges_mel, scale)
    bins_hz = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft
    edges, bins = (edges_hz, bins_hz) if shape == "hz" else (edges_mel, hz_to_mel(bins_hz, scale))
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters = torch.minimum(rise, fall).clamp(min=0.0)
    if norm == "slaney":
        filters = filters * (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, None]
    return filters.to(dtype)


def dct_matrix(n_coefficients: int, n_inputs: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Orthonormal DCT-II, (n_coefficients, n_inputs): cepstra = log-mel @ dct_matrix(...).T."""
    k = torch.arange(n_coefficients, dtype=torch.float64)[:, None]
    n = torch.arange(n_inputs, dtype=torch.float64)[None, :]
    matrix = torch.cos(math.pi / n_inputs * (n + 0.5) * k) * math.sqrt(2.0 / n_inputs)
    matrix[:1] /= math.sqrt(2.0)
    return matrix.to(dtype)


def frame(x: Tensor, size: int, hop: int) -> Tensor:
    """Overlapping frames of `x` (..., samples) as a view, (..., 1 + (samples - size) // hop, size); a rest is left out.

    Raises:
        ValueError: `x` is shorter than one frame.
    """
    if x.shape[-1] < size:
        raise ValueError(f"{x.shape[-1]} samples are fewer than one frame of {size}")
    return x.unfold(-1, size, hop)


def pad(x: Tensor, before: int, after: int, mode: PadMode = "constant") -> Tensor:
    """Extend `x` (..., samples) by zeros (`constant`) or by reflection that does not repeat the edge (`reflect`).

    Unlike PyTorch's own, the reflection goes on, to and fro, when the signal is shorter than the padding, as NumPy's
    does.
    """
    if mode == "constant":
        return functional.pad(x, (before, after))
    _check_choice("mode", mode, ("constant", "reflect"))
    samples = x.shape[-1]
    if samples == 1:
        return x.expand(*x.shape[:-1], 1 + before + after)
    position = torch.arange(-before, samples + after, device=x.device) % (2 * samples - 2)
    return x[..., torch.minimum(position, 2 * samples - 2 - position)]


def stft(
    x: Tensor,
    n_fft: int,
    hop: int,
    window: Tensor,
    center: bool = True,
    pad_mode: PadMode = "constant",
    align: Align = "centre",
) -> Tensor:
    """One-sided short-time Fourier transform of `x` (..., samples), complex (..., T, n_fft // 2 + 1).

    Args:
        x: waveforms.
        n_fft: length of the FFT.
        hop: samples between frames.
        window: (w,), w <= n_fft.
        center: pad half a frame at both ends, so that frame i is centred on sample i * hop and T = 1 + samples // hop.
        pad_mode: how `center` pads; librosa pads by `reflect` up to 0.8 and by zeros (`constant`) from 0.9.
        align: where a window shorter than the FFT lies. `centre` (librosa, PyTorch): frames have `n_fft` samples, with
            the window in their middle; `start` (TensorFlow, Kaldi): frames have w samples and zeros follow.

    Raises:
        ValueError: without `center`, fewer samples than one frame.
    """
    frames, window = _frames(x, n_fft, hop, window, center, pad_mode, align)
    return torch.fft.rfft(frames * window, n=n_fft)


def stft_power(x: Tensor, n_fft: int, hop: int, window: Tensor, **layout) -> Tensor:
    """Squared magnitude of `stft`, (..., T, n_fft // 2 + 1)."""
    return _power(stft(x, n_fft, hop, window, **layout))


def stft_magnitude(x: Tensor, n_fft: int, hop: int, window: Tensor, **layout) -> Tensor:
    """Magnitude of `stft`, (..., T, n_fft // 2 + 1)."""
    return stft(x, n_fft, hop, window, **layout).abs()


def power_to_db(
    power: Tensor,
    ref: float | Literal["max"] = 1.0,
    amin: float = 1e-10,
    range_db: float | None = 80.0,
) -> Tensor:
    """10 log10(max(power, amin) / max(ref, amin)), as librosa's function of this name.

    Args:
        power: (..., T, F), not negative.
        ref: power of 0 dB; `max`: the greatest value of each (T, F).
        amin: floor of the power.
        range_db: what lies more than this below the greatest value of each (T, F) is raised to it; None: no such limit.
    """
    peak = power.amax(dim=(-2, -1), keepdim=True).clamp(min=amin)
    reference = peak if ref == "max" else power.new_tensor(max(float(ref), amin))
    decibels = 10.0 * (torch.log10(power.clamp(min=amin)) - torch.log10(reference))
    if range_db is None:
        return decibels
    return torch.maximum(decibels, 10.0 * (torch.log10(peak) - torch.log10(reference)) - range_db)


def deltas(x: Tensor, width: int = 9) -> Tensor:
    """Slope, per frame, of the least-squares line through the `width` frames around each frame of `x` (..., T, F).

    The first and last width // 2 frames take the slope of the first and last whole fit. When T < `width` the greatest
    odd number of frames that fits is used; a single frame has slope 0.
    """
    frames = x.shape[-2]
    width = min(width, frames - 1 + frames % 2)
    half = width // 2
    if half == 0:
        return torch.zeros_like(x)
    steps = torch.arange(-half, half + 1, device=x.device, dtype=x.dtype)
    slopes = x.unfold(-2, width, 1) @ (steps / steps.square().sum())
    first, last = slopes[..., :1, :], slopes[..., -1:, :]
    edge = (-1,) * (x.dim() - 2) + (half, -1)
    return torch.cat([first.expand(*edge), slopes, last.expand(*edge)], dim=-2)


class MelSpectrogram(nn.Module):
    """Waveforms (..., samples) to mel spectra (..., T, n_mels): power (or magnitude) times filter bank, no logarithm.

    Args:
        sample_rate: Hz.
        n_fft: length of the FFT.
        hop: samples between frames.
        n_mels: number of bands.
        window: (w,), w <= n_fft; a periodic Hann window of `n_fft` by default.
        f_min: lowest edge in Hz.
        f_max: highest edge in Hz, half the sample rate by default.
        power: exponent of the magnitude, 2.0 or 1.0.
        scale, norm, shape: as in `mel_filterbank`.
        center, pad_mode, align: as in `stft`.
        dtype: in which everything is computed; the input is converted to it.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        sample_rate: int,
        n_fft: int,
        hop: int,
        n_mels: int,
        window: Tensor | None = None,
        f_min: float = 0.0,
        f_max: float | None = None,
        power: Literal[1.0, 2.0] = 2.0,
        scale: Scale = "slaney",
        norm: Literal["slaney"] | None = "slaney",
        shape: Literal["hz", "mel"] = "hz",
        center: bool = True,
        pad_mode: PadMode = "constant",
        align: Align = "centre",
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        _check_choice("power", power, (1.0, 2.0))
        self.n_fft, self.hop, self.power = n_fft, hop, power
        self.layout = (center, pad_mode, align)
        filters = mel_filterbank(n_mels, n_fft, sample_rate, f_min, f_max, scale, norm, shape, dtype)
        self.register_buffer(
            "window", hann(n_fft, dtype=dtype) if window is None else window.to(dtype), persistent=False
        )
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.filters.dtype)
        frames, window = _frames(x, self.n_fft, self.hop, self.window, *self.layout)
        one_step = frames[..., :1, :].numel() * x.element_size()
        pieces = [self._mel(piece * window) for piece in frames.split(max(1, _CHUNK_BYTES // one_step), dim=-2)]
        return torch.cat(pieces, dim=-2)

    def _mel(self, frames: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(frames, n=self.n_fft)
        return (_power(spectrum) if self.power == 2.0 else spectrum.abs()) @ self.filters


def _frames(
    x: Tensor, n_fft: int, hop: int, window: Tensor, center: bool, pad_mode: PadMode, align: Align
) -> tuple[Tensor, Tensor]:
    """Frames (..., T, size) of the padded signal and the window (size,) that belongs to them."""
    _check_choice("align", align, ("centre", "start"))
    if window.shape[-1] > n_fft:
        raise ValueError(f"a window of {window.shape[-1]} does not fit into an FFT of {n_fft}")
    if align == "centre" and window.shape[-1] < n_fft:
        before = (n_fft - window.shape[-1]) // 2
        window = functional.pad(window, (before, n_fft - window.shape[-1] - before))
    size = window.shape[-1]
    if center:
        x = pad(x, size // 2, size // 2, pad_mode)
    return frame(x, size, hop), window


def _power(spectrum: Tensor) -> Tensor:
    return spectrum.real.square() + spectrum.imag.square()


def _check_choice(name: str, value: object, choices: tuple) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, choices))}")
