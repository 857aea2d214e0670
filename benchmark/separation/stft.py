"""Short-time spectra that can be turned back: with a mask of ones the output is the input."""

import torch
from torch import Tensor, nn

WINDOWS = {
    "hann": torch.hann_window,
    "sqrt_hann": lambda size: torch.hann_window(size).sqrt(),
    "hamming": torch.hamming_window,
    "blackman_harris": lambda size: _blackman_harris(size),
}


class Stft(nn.Module):
    """Analysis and synthesis of signals, least squares: the sum of windowed frames over the sum of squared windows.

    Args:
        size: samples of a frame and of its transform.
        hop: samples from frame to frame.
        window: one of `WINDOWS`, periodic.
    """

    def __init__(self, size: int, hop: int, window: str = "hann"):
        super().__init__()
        if window not in WINDOWS:
            raise ValueError(f"window is {window!r}; it must be one of {', '.join(WINDOWS)}")
        self.size, self.hop = size, hop
        self.bins = size // 2 + 1
        self.register_buffer("window", WINDOWS[window](size), persistent=False)

    def forward(self, signals: Tensor) -> Tensor:
        """Signals (..., T) to complex spectra (..., F, frames); zeros before and behind, so that the ends are whole."""
        flat = signals.reshape(-1, signals.shape[-1])
        # Frames are centred on multiples of the hop; the last one reaches beyond the end.
        behind = self.size + (-flat.shape[-1]) % self.hop
        padded = nn.functional.pad(flat, (self.size // 2, behind))
        spectra = torch.stft(
            padded, self.size, self.hop, window=self.window.to(flat.dtype), center=False, return_complex=True
        )
        return spectra.reshape(*signals.shape[:-1], *spectra.shape[-2:])

    def inverse(self, spectra: Tensor, samples: int) -> Tensor:
        """Spectra (..., F, frames) to signals (..., samples)."""
        flat = spectra.reshape(-1, *spectra.shape[-2:])
        window = self.window.to(flat.real.dtype)
        frames = torch.fft.irfft(flat.transpose(1, 2), n=self.size) * window
        count = frames.shape[1]
        length = (count - 1) * self.hop + self.size
        both = torch.stack([frames, window.square().expand_as(frames)])
        both = both.reshape(-1, count, self.size).transpose(1, 2)
        folded = nn.functional.fold(both, (1, length), (1, self.size), stride=(1, self.hop))
        signal, weight = folded.reshape(2, len(flat), length)
        first = self.size // 2
        signal, weight = signal[:, first : first + samples], weight[:, first : first + samples]
        return (signal / weight.clamp(min=1e-8)).reshape(*spectra.shape[:-2], samples)


def _blackman_harris(size: int) -> Tensor:
    """Four-term window of Harris (Proc. IEEE 66(1), 1978), periodic."""
    phase = 2 * torch.pi * torch.arange(size) / size
    terms = (0.35875, -0.48829, 0.14128, -0.01168)
    return sum(weight * torch.cos(k * phase) for k, weight in enumerate(terms))
