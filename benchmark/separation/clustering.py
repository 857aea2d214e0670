"""Separators that embed bins and cluster them: deep clustering, and Mobin et al.'s convolutions and LSTMs."""

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from benchmark.separation.base import Separator
from benchmark.separation.losses import (
    active_bins,
    affinity_loss,
    attractor_masks,
    loudest,
    magnitude_weights,
)
from benchmark.separation.stft import Stft

_FITTED = 20_000


class ClusteringSeparator(Separator):
    """Bins are embedded and divided by k-means; every bin goes to the nearest centre, and a binary mask a source is left.

    Args:
        net: features (B, T, F) to unit vectors (B, T, F, D).
        stft: front end.
        objective: `affinity` (deep clustering) or `attractor` (Mobin et al.).
        weights: `active` bins alone, or by `magnitude`.
    """

    counts_any = True

    def __init__(
        self,
        sources: Sequence[str],
        sample_rate: int,
        net: nn.Module,
        stft: Stft,
        objective: str = "affinity",
        weights: str = "active",
    ):
        super().__init__(sources, sample_rate, 1, fixed_order=False)
        self.net, self.stft, self.objective, self.weights = net, stft, objective, weights
        self.register_buffer("mean", torch.zeros(stft.bins))
        self.register_buffer("scale", torch.ones(stft.bins))

    def fit_statistics(self, mixtures: Sequence[Tensor]) -> None:
        """Mean and deviation of the log-magnitudes of training mixtures (1, T), a bin of frequency each."""
        features = torch.cat([self._features(self.stft(mixture)) for mixture in mixtures], dim=1)[0]
        self.mean.copy_(features.mean(0))
        self.scale.copy_(features.std(0).clamp(min=1e-3))

    @staticmethod
    def _features(spectra: Tensor) -> Tensor:
        """Complex (B, F, T) to log-magnitudes (B, T, F)."""
        return torch.log(spectra.abs() + 1e-6).transpose(1, 2)

    def embed(self, spectra: Tensor) -> Tensor:
        """Complex spectra (B, F, T) to vectors (B, T, F, D)."""
        return self.net((self._features(spectra) - self.mean) / self.scale)

    def loss(self, mixture: Tensor, stems: Tensor) -> Tensor:
        spectra, parts = self.stft(mixture[:, 0]), self.stft(stems[:, :, 0]).abs().transpose(2, 3)
        magnitudes = spectra.abs().transpose(1, 2)
        vectors = self.embed(spectra).flatten(1, 2)
        labels, active = loudest(parts).flatten(1, 2), active_bins(magnitudes).flatten(1)
        if self.objective == "attractor":
            masks = attractor_masks(vectors, labels, active).mT.reshape(parts.shape)
            # Of logarithms, as in the paper; bins far below the loudest must not outweigh those that are heard.
            floor = magnitudes.flatten(1).amax(1).clamp(min=1e-8).view(-1, 1, 1, 1) * 1e-3
            return (torch.log(masks * magnitudes[:, None] + floor) - torch.log(parts + floor)).square().mean()
        weights = magnitude_weights(magnitudes.flatten(1)) if self.weights == "magnitude" else active
        return affinity_loss(vectors, labels, weights)

    def separate(self, mixture: Tensor, sources: int | None = None) -> Tensor:
        count = sources or len(self.sources)
        spectra = self.stft(mixture[:, 0])
        vectors, active = self.embed(spectra), active_bins(spectra.abs().transpose(1, 2)).bool()
        masks = torch.stack([self._cluster(v, a, count) for v, a in zip(vectors, active, strict=True)])
        estimates = masks.transpose(2, 3) * spectra[:, None]
        return self.stft.inverse(estimates, mixture.shape[-1])[:, :, None]

    @staticmethod
    def _cluster(vectors: Tensor, active: Tensor, count: int) -> Tensor:
        """Vectors (T, F, D) to masks (K, T, F); centres are of active bins, an even selection where there are many."""
        every = vectors.flatten(0, 1).detach().cpu().numpy().astype(np.float32)
        fitted = every[active.flatten().cpu().numpy()]
        if len(fitted) < count:
            fitted = every
        fitted = fitted[:: max(1, len(fitted) // _FITTED)]
        labels = KMeans(count, n_init=10, random_state=0).fit(fitted).predict(every)
        masks = torch.nn.functional.one_hot(torch.from_numpy(labels).long(), count).to(vectors)
        return masks.T.reshape(count, *active.shape)
