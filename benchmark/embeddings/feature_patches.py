"""Embeddings whose network sees patches of a clip's features: features once, patches of them in batches."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.patches import PatchEmbedding, Patches
from benchmark.embeddings.stretches import Context
from benchmark.embeddings.trainable import evenly

# Samples on either side that a frame of any front end here hears at most: the window, and slopes over some frames.
_REACH = 8192


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where patches lie in a sequence of feature frames.

    Attributes:
        size: frames of a patch.
        hop: frames between patches.
        step_s: seconds between frames.
        first_s: centre of frame 0 in seconds.
        tail: what becomes of frames behind the last whole patch: left out (`drop`), or heard in one more patch that
            ends with the clip (`last`).
    """

    size: int
    hop: int
    step_s: float
    first_s: float = 0.0
    tail: Literal["drop", "last"] = "drop"

    def starts(self, frames: int) -> np.ndarray:
        """First frames of the patches, (n,) int64, n >= 1; `frames` are at least `size`."""
        starts = np.arange(0, frames - self.size + 1, self.hop)
        if self.tail == "last" and starts[-1] + self.size < frames:
            starts = np.append(starts, frames - self.size)
        return starts

    def centres(self, starts: np.ndarray) -> np.ndarray:
        """Centres of the patches in seconds, (n,)."""
        return self.first_s + self.step_s * (starts + (self.size - 1) / 2)


def patch_inputs(
    features: Callable[[Tensor], Tensor], layout: Layout, least_samples: int
) -> Callable[[np.ndarray, int | None], Tensor]:
    """What `Trainable.inputs` wants: the patches that a `FeatureEmbedding` of the same parts sees, or some of them."""

    def inputs(waveform: np.ndarray, limit: int | None) -> Tensor:
        waveform = np.pad(waveform, (0, max(0, least_samples - len(waveform))))
        with torch.no_grad():
            frames = features(torch.from_numpy(waveform))
        starts = layout.starts(len(frames))
        return torch.stack([frames[start : start + layout.size] for start in starts[evenly(len(starts), limit)]])

    return inputs


class FeatureEmbedding(PatchEmbedding):
    """Gives each patch of a clip's features (T, ...) to `network`; its frame lies at the patch's centre.

    A clip with fewer frames than a patch is completed with zeros behind its samples.

    Args:
        features: waveform (samples,) on `device` to (T, ...).
        network: patches (B, size, ...) to (B, dim).
        layout: where the patches lie.
        least_samples: so many samples give one patch.
        config, batch_size, sample_rate, dim, device: as in `PatchEmbedding`.
    """

    def __init__(
        self,
        config: EmbeddingConfig,
        features: Callable[[Tensor], Tensor],
        network: Callable[[Tensor], Tensor],
        batch_size: int,
        layout: Layout,
        least_samples: int,
        *,
        sample_rate: int,
        dim: int,
        device: str | torch.device,
    ):
        super().__init__(
            config,
            network,
            batch_size,
            sample_rate=sample_rate,
            dim=dim,
            hop_seconds=layout.hop * layout.step_s,
            device=device,
        )
        self.features = features
        self.layout = layout
        self.least_samples = least_samples

    def context(self) -> Context:
        step = round(self.layout.step_s * self.sample_rate)
        needed = self.layout.size * step + _REACH
        return Context(self.layout.hop * step, needed, needed)

    def patches(self, waveform: np.ndarray) -> Patches:
        waveform = np.pad(waveform, (0, max(0, self.least_samples - len(waveform))))
        features = self.features(torch.from_numpy(waveform).to(self.device))
        starts = self.layout.starts(len(features))

        def take(start: int, stop: int) -> Tensor:
            return torch.stack([features[first : first + self.layout.size] for first in starts[start:stop].tolist()])

        return Patches(len(starts), take, self.layout.centres(starts))
