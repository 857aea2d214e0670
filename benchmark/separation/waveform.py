"""Separators on samples and on complex spectra: Wave-U-Net, Conv-TasNet, HDemucs, complex ratio masks, GCRN."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.separation.base import Separator, pair_means
from benchmark.separation.losses import si_sdr_loss
from benchmark.separation.nets.dense_unet import DenseUNet
from benchmark.separation.nets.gcrn import Gcrn
from benchmark.separation.nets.wave_unet import WaveUNet
from benchmark.separation.stft import Stft


class WaveUNetSeparator(Separator):
    """Mean squared error of samples; outputs are clipped when separating.

    Args:
        segment: samples of an output, at least, when separating.
    """

    def __init__(self, sources: Sequence[str], sample_rate: int, net: WaveUNet, segment: int = 16384):
        super().__init__(sources, sample_rate, net.channels, fixed_order=True)
        self.net, self.segment = net, segment

    def loss(self, mixture: Tensor, stems: Tensor) -> Tensor:
        taken, given = self._lengths(mixture.shape[-1])
        first = (taken - given) // 2
        return (self.net(mixture[..., :taken]) - stems[..., first : first + given]).square().mean()

    def separate(self, mixture: Tensor, sources: int | None = None) -> Tensor:
        samples = mixture.shape[-1]
        taken, given = self.net.lengths(min(self.segment, samples))
        before = (taken - given) // 2
        count = -(-samples // given)
        padded = nn.functional.pad(mixture, (before, count * given - samples + taken - given - before))
        # Outputs meet without an overlap, since each has real context around it.
        pieces = [self.net(padded[..., i * given : i * given + taken]) for i in range(count)]
        return torch.cat(pieces, dim=-1)[..., :samples].clamp(-1, 1)

    def _lengths(self, samples: int) -> tuple[int, int]:
        """Input and output that fit in so many samples.

        Raises:
            ValueError: none do; the segment must be longer.
        """
        best, wanted = None, 1
        while True:
            taken, given = self.net.lengths(wanted)
            if taken > samples:
                break
            best, wanted = (taken, given), given + 1
        if best is None:
            raise ValueError(f"a segment of {samples} samples is shorter than the network's context of {taken}")
        return best


class ConvTasNetSeparator(Separator):
    """torchaudio's Conv-TasNet (Luo & Mesgarani 2019), by negative SI-SDR."""

    def __init__(self, sources: Sequence[str], sample_rate: int, net: nn.Module, fixed_order: bool = False):
        super().__init__(sources, sample_rate, 1, fixed_order)
        self.net = net

    def loss(self, mixture: Tensor, stems: Tensor) -> Tensor:
        return si_sdr_loss(self.net(mixture), stems[:, :, 0], self.fixed_order)

    def separate(self, mixture: Tensor, sources: int | None = None) -> Tensor:
        return self.net(mixture)[:, :, None]


class HDemucsSeparator(Separator):
    """torchaudio's Hybrid Demucs (Défossez 2021), by L1 of samples; a mixture is normalised by its mean and deviation."""

    def __init__(self, sources: Sequence[str], sample_rate: int, net: nn.Module, channels: int = 2):
        super().__init__(sources, sample_rate, channels, fixed_order=True)
        self.net = net

    def loss(self, mixture: Tensor, stems: Tensor) -> Tensor:
        return (self.net(mixture) - stems).abs().mean()

    def separate(self, mixture: Tensor, sources: int | None = None) -> Tensor:
        mono = mixture.mean(1, keepdim=True)
        mean, std = mono.mean(-1, keepdim=True), mono.std(-1, keepdim=True, correction=0).clamp(min=1e-8)
        samples = mixture.shape[-1]
        # The network takes no fewer samples than a few of its frames.
        padded = nn.functional.pad((mixture - mean) / std, (0, max(0, 4 * self.net.nfft - samples)))
        return self.net(padded)[..., :samples] * std[:, None] + mean[:, None] / len(self.sources)


class ComplexMaskSeparator(Separator):
    """Complex masks by a Dense U-Net (Zhang, Liu & Wang 2021), linear; the loss is of the masked spectra.

    Args:
        target: `cirm` (complex masks), `mapping` (spectra), or `magnitude` (a mask of magnitudes, mixture phase).
    """

    def __init__(
        self, sources: Sequence[str], sample_rate: int, net: DenseUNet, stft: Stft, target: str = "cirm",
        fixed_order: bool = True,
    ):  # fmt: skip
        super().__init__(sources, sample_rate, 1, fixed_order)
        self.net, self.stft, self.target = net, stft, target

    def _estimates(self, spectra: Tensor) -> Tensor:
        """Complex (B, F, T) to complex (B, K, F, T)."""
        bins, frames = spectra.shape[1:]
        (rows, high), (columns, wide) = self.net.lengths(bins), self.net.lengths(frames)
        top, left = (rows - high) // 2, (columns - wide) // 2
        is_magnitude = self.target == "magnitude"
        inputs = spectra.abs()[:, None] if is_magnitude else torch.view_as_real(spectra).permute(0, 3, 1, 2)
        around = (left, columns - left - frames, top, rows - top - bins)
        found = self.net(nn.functional.pad(inputs, around))[..., :bins, :frames]
        if is_magnitude:
            return torch.sigmoid(found) * spectra[:, None]
        pairs = found.unflatten(1, (len(self.sources), 2)).permute(0, 1, 3, 4, 2).contiguous()
        complexes = torch.view_as_complex(pairs)
        return complexes * spectra[:, None] if self.target == "cirm" else complexes

    def loss(self, mixture: Tensor, stems: Tensor) -> Tensor:
        estimates, parts = self._estimates(self.stft(mixture[:, 0])), self.stft(stems[:, :, 0])

        def error(a: Tensor, b: Tensor) -> Tensor:
            return (a.abs() - b.abs()).abs() if self.target == "magnitude" else torch.view_as_real(a - b).abs().sum(-1)

        return self.best_order(pair_means(error, parts, estimates))

    def separate(self, mixture: Tensor, sources: int | None = None) -> Tensor:
        return self.stft.inverse(self._estimates(self.stft(mixture[:, 0])), mixture.shape[-1])[:, :, None]


class GcrnSeparator(Separator):
    """Complex spectra by GCRN.

    Args:
        level: root mean square that a mixture is scaled to first; 1 in the authors' code, whose spectra are then about
            11, which a short training takes long to reach.
    """

    def __init__(
        self, sources: Sequence[str], sample_rate: int, net: Gcrn, stft: Stft, fixed_order: bool = True, level: float = 1.0
    ):  # fmt: skip
        super().__init__(sources, sample_rate, 1, fixed_order)
        self.net, self.stft, self.level = net, stft, level

    def _spectra(self, mixture: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) to spectra (B, K, F, frames) of the sources, and the scale (B, 1) that was taken off."""
        scale = mixture.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-8) / self.level
        parts = torch.view_as_real(self.stft(mixture / scale)).permute(0, 3, 2, 1)
        found = self.net(parts).permute(0, 1, 4, 3, 2).contiguous()
        return torch.view_as_complex(found), scale

    def loss(self, mixture: Tensor, stems: Tensor) -> Tensor:
        found, scale = self._spectra(mixture[:, 0])
        parts = self.stft(stems[:, :, 0] / scale[:, None])
        return self.best_order(pair_means(lambda a, b: torch.view_as_real(a - b).square().mean(-1), parts, found))

    def separate(self, mixture: Tensor, sources: int | None = None) -> Tensor:
        found, scale = self._spectra(mixture[:, 0])
        return (self.stft.inverse(found, mixture.shape[-1]) * scale[:, None])[:, :, None]
