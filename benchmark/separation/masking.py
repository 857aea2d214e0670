"""Separators that estimate magnitudes or masks and keep the mixture's phase."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.separation.base import Separator, pair_means
from benchmark.separation.losses import dissimilarity_loss
from benchmark.separation.nets.deep_clustering import MaskInference
from benchmark.separation.nets.deepconvsep import DeepConvSep
from benchmark.separation.nets.open_unmix import OpenUnmix
from benchmark.separation.nets.unet import UNet
from benchmark.separation.stft import Stft


class MaskInferenceSeparator(Separator):
    """Masks by a BLSTM, trained on magnitudes with L1 and, without a fixed order, the best permutation of a clip."""

    def __init__(
        self, sources: Sequence[str], sample_rate: int, net: MaskInference, stft: Stft, fixed_order: bool = False
    ):
        super().__init__(sources, sample_rate, 1, fixed_order)
        self.net, self.stft = net, stft
        self.norm = nn.BatchNorm1d(stft.bins)

    def _masks(self, spectra: Tensor) -> Tensor:
        """Complex (B, F, T) to masks (B, K, F, T)."""
        features = self.norm(torch.log(spectra.abs() + 1e-6)).transpose(1, 2)
        return self.net(features).transpose(2, 3)

    def loss(self, mixture: Tensor, stems: Tensor) -> Tensor:
        spectra, parts = self.stft(mixture[:, 0]), self.stft(stems[:, :, 0]).abs()
        estimates = self._masks(spectra) * spectra.abs()[:, None]
        return self.best_order(pair_means(lambda a, b: (a - b).abs(), parts, estimates))

    def separate(self, mixture: Tensor, sources: int | None = None) -> Tensor:
        spectra = self.stft(mixture[:, 0])
        return self.stft.inverse(self._masks(spectra) * spectra[:, None], mixture.shape[-1])[:, :, None]


class DeepConvSepSeparator(Separator):
    """Patches of magnitudes, soft masks of the outputs, and errors less the distance to the wrong sources.

    Args:
        voice, other: names of the source with its own weight, and of the one that has no error of its own (or None).
        hop: frames from patch to patch when separating; patches fade into each other.
    """

    SCALE = 0.3

    def __init__(
        self, sources: Sequence[str], sample_rate: int, net: DeepConvSep, stft: Stft, voice: str | None = None,
        other: str | None = None, hop: int = 10,
    ):  # fmt: skip
        super().__init__(sources, sample_rate, 1, fixed_order=True)
        self.net, self.stft, self.hop = net, stft, hop
        self.voice = self.sources.index(voice) if voice else -1
        self.other = self.sources.index(other) if other else -1

    def _masks(self, patches: Tensor) -> Tensor:
        found = self.net(patches)
        # Where all outputs are zero, all sources have an equal share.
        found = found + 1e-8
        return found / found.sum(1, keepdim=True)

    def _magnitudes(self, spectra: Tensor) -> Tensor:
        return self.SCALE * spectra.abs().transpose(-1, -2) / self.stft.size**0.5

    def loss(self, mixture: Tensor, stems: Tensor) -> Tensor:
        whole, parts = self._magnitudes(self.stft(mixture[:, 0])), self._magnitudes(self.stft(stems[:, :, 0]))
        size = self.net.frames
        whole = whole.unfold(1, size, size // 2).transpose(2, 3).flatten(0, 1)
        parts = parts.unfold(2, size, size // 2).transpose(3, 4).transpose(1, 2).flatten(0, 1)
        estimates = self._masks(whole) * whole[:, None]
        return dissimilarity_loss(estimates, parts, self.voice, self.other)

    def separate(self, mixture: Tensor, sources: int | None = None) -> Tensor:
        spectra = self.stft(mixture[:, 0])
        size, frames = self.net.frames, spectra.shape[-1]
        # A last patch that is not whole is filled with silence: no end of a song is lost.
        count = max(0, -(-(frames - size) // self.hop)) + 1
        whole = nn.functional.pad(self._magnitudes(spectra), (0, 0, 0, (count - 1) * self.hop + size - frames))
        patches = whole.unfold(1, size, self.hop).transpose(2, 3)
        masks = self._masks(patches.flatten(0, 1)).unflatten(0, patches.shape[:2])
        fade = torch.minimum(torch.arange(1, size + 1), torch.arange(size, 0, -1)).to(masks)
        total = masks.new_zeros(len(masks), masks.shape[2], whole.shape[1], masks.shape[-1])
        weight = masks.new_zeros(whole.shape[1])
        for i in range(count):
            part = slice(i * self.hop, i * self.hop + size)
            total[:, :, part] += masks[:, i] * fade[:, None]
            weight[part] += fade
        mask = (total / weight[:, None])[:, :, :frames].transpose(2, 3)
        return self.stft.inverse(mask * spectra[:, None], mixture.shape[-1])[:, :, None]


class UNetSeparator(Separator):
    """A U-Net a source on scaled magnitudes, L1 of the masked ones; the highest bin is left to a mask of one half."""

    def __init__(self, sources: Sequence[str], sample_rate: int, nets: Sequence[UNet], stft: Stft):
        super().__init__(sources, sample_rate, 1, fixed_order=True)
        self.nets, self.stft = nn.ModuleList(nets), stft

    def _masks(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes (B, F, T) to masks (B, K, F, T)."""
        bins, frames = magnitudes.shape[1:]
        multiple = self.nets[0].multiple
        used = (bins - 1) // multiple * multiple
        scaled = magnitudes / magnitudes.flatten(1).amax(1).clamp(min=1e-8)[:, None, None]
        scaled = nn.functional.pad(scaled[:, :used], (0, (-frames) % multiple))
        masks = torch.stack([net(scaled)[..., :frames] for net in self.nets], dim=1)
        return nn.functional.pad(masks, (0, 0, 0, bins - used), value=0.5)

    def loss(self, mixture: Tensor, stems: Tensor) -> Tensor:
        whole, parts = self.stft(mixture[:, 0]).abs(), self.stft(stems[:, :, 0]).abs()
        return (self._masks(whole) * whole[:, None] - parts).abs().mean()

    def separate(self, mixture: Tensor, sources: int | None = None) -> Tensor:
        spectra = self.stft(mixture[:, 0])
        return self.stft.inverse(self._masks(spectra.abs()) * spectra[:, None], mixture.shape[-1])[:, :, None]


class OpenUnmixSeparator(Separator):
    """A network a target on magnitudes, then one step of the multichannel Wiener filter over all of them.

    Args:
        wiener: steps of the filter; 0: magnitudes with the mixture's phase.
    """

    _FRAMES = 300
    _EPS = 1e-10

    def __init__(
        self, sources: Sequence[str], sample_rate: int, nets: Sequence[OpenUnmix], stft: Stft, channels: int = 2,
        wiener: int = 1,
    ):  # fmt: skip
        super().__init__(sources, sample_rate, channels, fixed_order=True)
        self.nets, self.stft, self.wiener = nn.ModuleList(nets), stft, wiener

    def fit_statistics(self, mixtures: Sequence[Tensor]) -> None:
        """Input statistics of training mixtures (C, T): minus the mean and one over the deviation, a bin each."""
        magnitudes = torch.cat([self.stft(mixture).abs().mean(0) for mixture in mixtures], dim=-1)
        std = magnitudes.std(1)
        std = std.clamp(min=1e-4 * float(std.max()))
        for net in self.nets:
            net.input_mean.data.copy_(-magnitudes.mean(1)[: net.used])
            net.input_scale.data.copy_(1 / std[: net.used])

    def loss(self, mixture: Tensor, stems: Tensor) -> Tensor:
        whole, parts = self.stft(mixture).abs(), self.stft(stems).abs()
        return torch.stack([(net(whole) - parts[:, k]).square().mean() for k, net in enumerate(self.nets)]).mean()

    def separate(self, mixture: Tensor, sources: int | None = None) -> Tensor:
        spectra = self.stft(mixture)
        magnitudes = torch.stack([net(spectra.abs()) for net in self.nets], dim=1)
        phase = torch.polar(torch.ones_like(spectra.abs()), spectra.angle())
        estimates = magnitudes * phase[:, None]
        if self.wiener:
            blocks = [
                torch.stack([self._filter(y, x) for y, x in zip(part, whole, strict=True)])
                for part, whole in zip(estimates.split(self._FRAMES, -1), spectra.split(self._FRAMES, -1), strict=True)
            ]
            estimates = torch.cat(blocks, dim=-1)
        return self.stft.inverse(estimates, mixture.shape[-1])

    def _filter(self, estimates: Tensor, mixture: Tensor) -> Tensor:
        """Estimates (K, C, F, T) given the mixture (C, F, T), by expectation and maximisation, spectra at most 10."""
        loudest = max(1.0, float(mixture.abs().max()) / 10)
        y, x = estimates / loudest, (mixture / loudest).permute(1, 2, 0)
        noise = self._EPS**0.5 * torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
        for _ in range(self.wiener):
            vectors = y.permute(0, 2, 3, 1)
            power = vectors.abs().square().mean(-1)
            outer = vectors[..., :, None] * vectors[..., None, :].conj()
            spatial = outer.sum(2) / (self._EPS + power.sum(2)[..., None, None])
            each = power[..., None, None] * spatial[:, :, None]
            gain = each @ torch.linalg.inv(each.sum(0) + noise)
            y = (gain @ x[..., None])[..., 0].permute(0, 3, 1, 2)
        return y * loudest
