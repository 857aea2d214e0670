"""Embeddings whose network sees patches of a fixed size: a clip becomes patches, a patch becomes a vector.

The patches of several clips share a batch. As all have one size nothing is padded, so what else is in the batch cannot
change a vector, and memory is bounded however long a clip is.
"""

import abc
import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.base import Embedding


@dataclasses.dataclass(frozen=True)
class Patches:
    """The patches of one clip, made piece by piece.

    Attributes:
        count: how many patches the network has to see, P.
        take: `take(start, stop)` gives patches [start, stop) as (stop - start, ...).
        times: centres of the frames in seconds, (n,).
        index: which patch each frame shows, (n,) int64, -1 for a frame that shows none; None: n = P, in order.
    """

    count: int
    take: Callable[[int, int], Tensor]
    times: np.ndarray
    index: np.ndarray | None = None


class PatchEmbedding(Embedding):
    """Cuts clips into patches and runs `network` on batches of `batch_size` of them.

    Args:
        network: (B, ...) to (B, dim), without gradients and in evaluation mode; on `device`.
        batch_size: patches a batch. On a CPU the best is where the activations still fit into the cache.
        blank: what fills the vector of a frame that shows no patch.
        batch_free: whether another batch size may be set.
        config, sample_rate, dim, hop_seconds, device: as in `Embedding`.
    """

    def __init__(
        self,
        config: EmbeddingConfig,
        network: Callable[[Tensor], Tensor],
        batch_size: int,
        *,
        sample_rate: int,
        dim: int,
        hop_seconds: float,
        device: str | torch.device,
        blank: float = 0.0,
        batch_free: bool = True,
    ):
        super().__init__(config, sample_rate=sample_rate, dim=dim, hop_seconds=hop_seconds, device=device)
        self.network = network
        self.batch_size = batch_size
        self.blank = blank
        self.batch_free = batch_free

    @property
    def batch_s(self) -> float | None:
        return self.batch_size * self.hop_seconds if self.batch_free else None

    @batch_s.setter
    def batch_s(self, seconds: float) -> None:
        self.batch_size = max(1, round(seconds / self.hop_seconds))

    @abc.abstractmethod
    def patches(self, waveform: np.ndarray) -> Patches:
        """The patches of a waveform (samples,), on `device`."""

    def _embed(self, waveforms: list[np.ndarray]) -> list[tuple[Tensor, np.ndarray]]:
        clips: list[tuple[Patches, Tensor]] = []
        pending: list[tuple[Tensor, int, Tensor]] = []
        filled = 0
        for waveform in waveforms:
            patches = self.patches(waveform)
            vectors = torch.empty(patches.count, self.dim)
            clips.append((patches, vectors))
            for start, piece in self._pieces(patches, self.batch_size - filled):
                pending.append((vectors, start, piece))
                filled += len(piece)
                if filled == self.batch_size:
                    self._run(pending)
                    pending, filled = [], 0
        if pending:
            self._run(pending)
        return [(self._frames(patches, vectors), patches.times) for patches, vectors in clips]

    def _frames(self, patches: Patches, vectors: Tensor) -> Tensor:
        if patches.index is None:
            return vectors
        # One row more, so that -1 points to it.
        blank = torch.full((1, self.dim), self.blank)
        return torch.cat([vectors, blank])[torch.from_numpy(patches.index)]

    def _pieces(self, patches: Patches, room: int) -> Iterator[tuple[int, Tensor]]:
        """Pieces that first fill up the batch that is pending, then whole batches, then the rest."""
        start = 0
        while start < patches.count:
            stop = min(start + room, patches.count)
            yield start, patches.take(start, stop)
            start, room = stop, self.batch_size

    def _run(self, pending: list[tuple[Tensor, int, Tensor]]) -> None:
        batch = torch.cat([piece for _, _, piece in pending]) if len(pending) > 1 else pending[0][2]
        with self.numbers():
            output = self.network(batch).to("cpu", torch.float32)
        offset = 0
        for vectors, start, piece in pending:
            vectors[start : start + len(piece)] = output[offset : offset + len(piece)]
            offset += len(piece)
