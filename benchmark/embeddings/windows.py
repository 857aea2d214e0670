"""Embeddings whose network hears windows of a fixed length, cut from the clip at a fixed hop."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import source
from benchmark.embeddings.patches import PatchEmbedding, Patches
from benchmark.embeddings.stretches import Context
from benchmark.errors import UserError


@dataclasses.dataclass(frozen=True)
class Windows:
    """Where windows lie in a clip; samples outside of the clip are zero.

    Attributes:
        size: samples of a window.
        hop: samples between windows.
        before: zeros in front of the clip: the first window starts there.
        after: zeros behind the clip.
        tail: what becomes of samples behind the last whole window: left out (`drop`), or completed with zeros (`pad`).
            A clip that is shorter than a window is always completed.
    """

    size: int
    hop: int
    before: int = 0
    after: int = 0
    tail: Literal["drop", "pad"] = "drop"

    def count(self, samples: int) -> int:
        """How many windows a clip of `samples` has, at least one."""
        steps = (self.before + samples + self.after - self.size) / self.hop
        return 1 + max(0, math.floor(steps) if self.tail == "drop" else math.ceil(steps))

    def centres(self, count: int, sample_rate: int) -> np.ndarray:
        """Centres of the first `count` windows in seconds, (count,)."""
        return (np.arange(count) * self.hop - self.before + self.size / 2) / sample_rate

    def cut(self, waveform: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Windows [start, stop) of a waveform (samples,), as (stop - start, size)."""
        first = start * self.hop - self.before
        stretch = slice_or_zeros(waveform, first, first + (stop - start - 1) * self.hop + self.size)
        return np.lib.stride_tricks.sliding_window_view(stretch, self.size)[:: self.hop]


def slice_or_zeros(waveform: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Samples [start, stop) of a waveform (samples,), zero where it has none."""
    inside = waveform[max(start, 0) : max(stop, 0)]
    before = min(max(-start, 0), stop - start)
    return np.pad(inside, (before, stop - start - before - len(inside)))


def hop_in_frames(config: EmbeddingConfig, hop_s: float, frame_hop: int, sample_rate: int) -> int:
    """The hop of windows in frames of the front end, of `frame_hop` samples each.

    Raises:
        UserError: `hop_s` is not a positive multiple of the frames' hop.
    """
    frames = round(hop_s * sample_rate / frame_hop)
    if frames < 1 or not math.isclose(frames * frame_hop, hop_s * sample_rate, abs_tol=0.5):
        unit = frame_hop / sample_rate
        raise UserError(f"{source(config)}: args: hop is {hop_s:g}; it must be a multiple of {unit:g} s")
    return frames


class WindowEmbedding(PatchEmbedding):
    """Gives each window of a clip to `network`; the frame of a window lies at its centre.

    Args:
        windows: where they lie.
        config, network, batch_size, sample_rate, dim, device, batch_free: as in `PatchEmbedding`; `network` takes (B, size).
    """

    def __init__(
        self,
        config: EmbeddingConfig,
        network: Callable[[Tensor], Tensor],
        batch_size: int,
        windows: Windows,
        *,
        sample_rate: int,
        dim: int,
        device: str | torch.device,
        batch_free: bool = True,
    ):
        super().__init__(
            config,
            network,
            batch_size,
            sample_rate=sample_rate,
            dim=dim,
            hop_seconds=windows.hop / sample_rate,
            device=device,
            batch_free=batch_free,
        )
        self.windows = windows

    def context(self) -> Context:
        return Context(self.windows.hop, self.windows.size, self.windows.size)

    def patches(self, waveform: np.ndarray) -> Patches:
        count = self.windows.count(len(waveform))

        def take(start: int, stop: int) -> Tensor:
            return torch.from_numpy(self.windows.cut(waveform, start, stop).copy()).to(self.device)

        return Patches(count, take, self.windows.centres(count, self.sample_rate))
