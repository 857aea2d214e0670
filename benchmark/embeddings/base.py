"""What every embedding is: waveforms in, frames of vectors and their times out.

Conventions: a waveform is (samples,) float32, mono, at the embedding's `sample_rate`; frames are (n, dim) float32 with
n >= 1; times are (n,) float64, the centres of the frames in seconds, strictly increasing. What a clip is embedded with
never changes its vectors beyond 1e-5 relative.
"""

import abc
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import source
from benchmark.embeddings.stretches import LONGEST_S, Context, Cuts, Stretch, cut
from benchmark.errors import ClipError, UserError

Frames = tuple[np.ndarray, np.ndarray]

POOLS = ("mean", "mean_std", "max", "first")


class Embedding(abc.ABC):
    """Maps waveforms to frames of vectors; a family implements `_embed`.

    Args:
        config: the embedding's YAML; what it declares must be what the model gives.
        sample_rate: Hz, of the waveforms.
        dim: size of a frame.
        hop_seconds: distance of the frames (the nominal one where the last frame may lie elsewhere).
        device: where the model runs.

    Attributes:
        name, sample_rate, dim, hop_seconds, device: as above.
        pool_how: how `config` pools frames to a clip vector.
        longest_s: longer clips are heard in stretches (`benchmark.embeddings.stretches`).
        precision: of the network; below float32 it runs under autocast.
        batch_s: seconds of audio in a batch of the network, which may be set; None where that is not left open.

    Raises:
        UserError: `config` declares another sample rate, size or hop.
    """

    longest_s: float = LONGEST_S
    precision: torch.dtype = torch.float32
    batch_s: float | None = None

    def __init__(
        self, config: EmbeddingConfig, *, sample_rate: int, dim: int, hop_seconds: float, device: str | torch.device
    ):
        for field, declared, real in (
            ("sample_rate", config.sample_rate, sample_rate),
            ("dim", config.dim, dim),
            ("hop", config.hop, hop_seconds),
        ):
            if declared is not None and not np.isclose(declared, real, rtol=1e-6):
                raise UserError(
                    f"{source(config)}: {field}: says {declared:g}, the model gives {real:g}; write {real:g}"
                )
        self.name = config.name
        self.sample_rate = sample_rate
        self.dim = dim
        self.hop_seconds = hop_seconds
        self.device = torch.device(device)
        self.pool_how = config.pool

    def embed(self, waveforms: Sequence[np.ndarray]) -> list[Frames]:
        """Embed clips.

        Args:
            waveforms: each (samples,) float32, finite, at least one sample; they may differ in length.

        Returns:
            For each clip its frames (n, dim) float32 and their centres (n,) float64 in seconds.

        Raises:
            ValueError: a waveform has another shape or type, is empty or is not finite.
            ClipError: the model gave values that are not finite.
        """
        for position, waveform in enumerate(waveforms):
            _check_waveform(waveform, position)
        if not len(waveforms):
            return []
        limit = self._cuts().limit
        whole = iter(self._together([waveform for waveform in waveforms if len(waveform) <= limit]))
        return [
            next(whole) if len(waveform) <= limit else joined(self.embed_stream([waveform])) for waveform in waveforms
        ]

    def embed_stream(self, blocks: Iterable[np.ndarray]) -> Iterator[Frames]:
        """Embed one clip of any length that comes in blocks; memory does not grow with it.

        Args:
            blocks: (n,) float32 each, its samples in order.

        Yields:
            Its frames and their times, in consecutive pieces: together what `embed` gives for the clip.

        Raises:
            ValueError, ClipError: as `embed`.
        """
        for stretch in cut(_checked_blocks(blocks), self._cuts()):
            frames, times = self._of_stretch(stretch)
            if len(times):
                yield frames, times

    def _of_stretch(self, stretch: Stretch) -> Frames:
        return stretch.keep(*self._together([stretch.samples])[0], self.sample_rate)

    def _together(self, waveforms: list[np.ndarray]) -> list[Frames]:
        if not waveforms:
            return []
        with torch.inference_mode():
            embedded = self._embed(waveforms)
        return [self._checked(frames, times, position) for position, (frames, times) in enumerate(embedded)]

    def _cuts(self) -> Cuts:
        return Cuts.of(self.context(), self.sample_rate, self.longest_s)

    def context(self) -> Context:
        """What frames need around them; by default nothing: the stretches of a long clip are clips of their own."""
        return Context()

    def numbers(self) -> contextlib.AbstractContextManager:
        """What the network runs in, if it is not converted itself."""
        if self.precision == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.precision)

    def embed_clip(self, waveform: np.ndarray) -> np.ndarray:
        """The vector of one clip, (dim,) or (2 * dim,): its frames pooled as the YAML says."""
        frames, _ = self.embed([waveform])[0]
        return pool(frames, self.pool_how)

    @abc.abstractmethod
    def _embed(self, waveforms: list[np.ndarray]) -> list[tuple[Tensor, np.ndarray]]:
        """Frames (n, dim) and times (n,) of each checked waveform; called without gradients."""

    def _checked(self, frames: Tensor, times: np.ndarray, position: int) -> Frames:
        vectors = np.ascontiguousarray(frames.detach().to("cpu", torch.float32).numpy())
        times = np.asarray(times, dtype=np.float64)
        if len(times) < 1 or vectors.shape != (len(times), self.dim) or np.any(np.diff(times) <= 0):
            raise RuntimeError(
                f"{self.name}: frames {vectors.shape} and times {times.shape} do not fit size {self.dim}"
            )
        if not np.isfinite(vectors).all():
            raise ClipError(f"{self.name} gives values that are not finite for clip {position} of the batch")
        return vectors, times


def pool(frames: np.ndarray, how: str) -> np.ndarray:
    """Pool the frames (n, dim) of a clip to one vector of float32.

    Args:
        frames: at least one.
        how: `mean`; `mean_std` (means, then population standard deviations: 2 * dim numbers); `max`; `first`.

    Raises:
        ValueError: no frames, or an unknown `how`.
    """
    if len(frames) == 0:
        raise ValueError("there are no frames to pool")
    if how == "mean":
        return frames.mean(axis=0, dtype=np.float64).astype(np.float32)
    if how == "mean_std":
        exact = frames.astype(np.float64)
        return np.concatenate([exact.mean(axis=0), exact.std(axis=0)]).astype(np.float32)
    if how == "max":
        return frames.max(axis=0)
    if how == "first":
        return frames[0].copy()
    raise ValueError(f"pool is {how!r}; it must be one of {', '.join(POOLS)}")


def embed_equal_lengths(
    waveforms: Sequence[np.ndarray], embed_batch: Callable[[np.ndarray], Sequence[Tensor]], max_samples: int
) -> list[Tensor]:
    """Run a whole-clip network on batches of clips of exactly the same length, so that no padding changes a result.

    Args:
        waveforms: clips of any lengths.
        embed_batch: takes (B, samples) float32 and gives one tensor a clip.
        max_samples: upper limit of B * samples; a clip longer than this runs alone.

    Returns:
        What `embed_batch` gave, in the order of `waveforms`.
    """
    positions: dict[int, list[int]] = {}
    for position, waveform in enumerate(waveforms):
        positions.setdefault(len(waveform), []).append(position)
    results: dict[int, Tensor] = {}
    for samples, group in positions.items():
        size = max(1, max_samples // samples)
        for start in range(0, len(group), size):
            batch = group[start : start + size]
            results.update(zip(batch, embed_batch(np.stack([waveforms[i] for i in batch])), strict=True))
    return [results[position] for position in range(len(waveforms))]


def joined(pieces: Iterable[Frames]) -> Frames:
    """The pieces that `Embedding.embed_stream` gives, in one."""
    pieces = list(pieces)
    return np.concatenate([frames for frames, _ in pieces]), np.concatenate([times for _, times in pieces])


def _checked_blocks(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for position, block in enumerate(blocks):
        _check_waveform(block, position)
        yield block


def _check_waveform(waveform: np.ndarray, position: int) -> None:
    if not isinstance(waveform, np.ndarray) or waveform.ndim != 1 or waveform.dtype != np.float32:
        shape, kind = getattr(waveform, "shape", None), getattr(waveform, "dtype", type(waveform).__name__)
        raise ValueError(f"waveform {position} must be (samples,) float32, mono; it is {shape} {kind}")
    if len(waveform) == 0:
        raise ValueError(f"waveform {position} has no samples")
    if not np.isfinite(waveform).all():
        raise ValueError(f"waveform {position} has values that are not finite")
