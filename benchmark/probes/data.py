"""The features that a probe reads: frames of all clips, and a vector a clip."""

import itertools
import mmap
import os
import tempfile
from collections.abc import Iterable, Sequence

import numpy as np
import torch

# Bytes of memory-mapped files that may be in memory beside the copy that is made of them.
_RESIDENT = 1 << 28
_ROWS = 16384
# A table that would take more than this part of the memory goes to a temporary file.
_PART = 4


class FrameTable:
    """Frames of all clips as one matrix, in memory or memory-mapped, in one piece or in shards.

    Clip i holds the rows `offsets[i]:offsets[i + 1]` of the shards laid end to end.

    Attributes:
        offsets: (n_clips + 1,) int64.
        vectors: (n_clips, F) clip vectors, or None.
        dim: F of the frames (of the vectors where there are no frames).
    """

    def __init__(
        self,
        frames: np.ndarray | Sequence[np.ndarray] | None,
        offsets: np.ndarray | None = None,
        vectors: np.ndarray | None = None,
    ):
        """Wrap frames (n_frames, F), or shards of them, and/or clip vectors (n_clips, F).

        Raises:
            ValueError: Shapes or offsets do not fit together.
        """
        if frames is None and vectors is None:
            raise ValueError("a table needs frames or vectors")
        self.vectors = vectors
        self.shards = [frames] if isinstance(frames, np.ndarray) else list(frames or [])
        if frames is None:
            self.offsets, self.dim = np.zeros(len(vectors) + 1, dtype=np.int64), vectors.shape[1]
            return
        if offsets is None:
            raise ValueError("frames need offsets")
        self.offsets = np.asarray(offsets, dtype=np.int64)
        widths = {shard.shape[1:] for shard in self.shards}
        if len(widths) != 1 or len(next(iter(widths))) != 1:
            raise ValueError(f"shards must be (n, F) with one F, but are {sorted(widths)}")
        self.dim = next(iter(widths))[0]
        self._starts = np.cumsum([0, *(len(shard) for shard in self.shards)])
        if self.offsets[0] != 0 or np.any(np.diff(self.offsets) < 0) or self.offsets[-1] != self._starts[-1]:
            raise ValueError(f"offsets must rise from 0 to the number of frames, {self._starts[-1]}")
        if vectors is not None and len(vectors) != len(self.offsets) - 1:
            raise ValueError(f"{len(vectors)} clip vectors, but offsets of {len(self.offsets) - 1} clips")

    @classmethod
    def from_clips(cls, clips: Sequence[np.ndarray], vectors: np.ndarray | None = None) -> "FrameTable":
        """Make a table of one array (n_i, F) a clip, which may be views of memory maps; nothing is copied."""
        return cls(list(clips), np.cumsum([0, *(len(clip) for clip in clips)]), vectors)

    @property
    def n_clips(self) -> int:
        """Number of clips."""
        return len(self.offsets) - 1

    @property
    def has_frames(self) -> bool:
        """Whether there are frames beside the vectors."""
        return bool(self.shards)

    def rows(self, clips: np.ndarray, max_frames_per_clip: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """List the rows of some clips, of each at most so many evenly spaced ones.

        Returns:
            rows (m,) int64, and for each the position in `clips` (m,) int64 of its clip.

        Raises:
            ValueError: A clip has no frames.
        """
        first, counts = self.offsets[clips], np.diff(self.offsets)[clips]
        if np.any(counts == 0):
            raise ValueError(f"clip {clips[np.argmin(counts)]} has no frames")
        kept = counts if max_frames_per_clip is None else np.minimum(counts, max_frames_per_clip)
        clip = np.repeat(np.arange(len(clips)), kept)
        place = np.arange(len(clip)) - np.repeat(np.cumsum(kept) - kept, kept)
        # The middles of equal stretches; all frames when none is left out.
        return first[clip] + ((2 * place + 1) * counts[clip]) // (2 * kept[clip]), clip

    def frames(self, rows: np.ndarray) -> torch.Tensor:
        """Copy rows into a float32 tensor (m, F), on disk if it is large; pages of mapped files are given back on the way.

        Raises:
            ValueError: A value is not finite.
        """
        result = _room(len(rows), self.dim)
        shard = np.searchsorted(self._starts, rows, side="right") - 1
        # Rows mostly come sorted, so each shard is read in one piece.
        edges = np.flatnonzero(np.diff(shard, prepend=-1, append=-1))
        maps = {id(found): found for found in map(_mapped, self.shards) if found is not None}
        _give_back(maps.values())
        read = 0
        for start, end in itertools.pairwise(edges):
            number = shard[start]
            for first in range(start, end, _ROWS):
                last = min(first + _ROWS, end)
                result[first:last] = self.shards[number][rows[first:last] - self._starts[number]]
                read += last - first
                if read * self.dim * 4 > _RESIDENT:
                    _give_back(maps.values())
                    read = 0
        return _finite(result)

    def clip_vectors(self, clips: np.ndarray) -> torch.Tensor:
        """Copy clip vectors into a float32 tensor (m, F)."""
        if self.vectors is None:
            raise ValueError("the table has no clip vectors")
        return _finite(np.asarray(self.vectors[clips], dtype=np.float32))


def _room(rows: int, dim: int) -> np.ndarray:
    """An array (rows, dim) float32: in memory, or in a file without a name where memory is small, which goes with the array."""
    if rows * dim * 4 <= _memory() / _PART:
        return np.empty((rows, dim), dtype=np.float32)
    with tempfile.TemporaryFile(prefix="leveret-") as file:
        return np.memmap(file, np.float32, "w+", shape=(rows, dim))


def _memory() -> float:
    """Bytes of memory of the machine; infinite where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return float("inf")


def _mapped(array: np.ndarray) -> mmap.mmap | None:
    """The map of a file that an array is a view of, if it is one and nothing in it could be changed and lost."""
    base = None if array.flags.writeable else array
    while base is not None and not isinstance(base, mmap.mmap):
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return base


def _give_back(maps: Iterable[mmap.mmap]) -> None:
    """Let go of the pages of mapped files, which else count as memory until something else needs it."""
    advice = getattr(mmap, "MADV_DONTNEED", None)
    if advice is not None:
        for each in maps:
            each.madvise(advice)


def _finite(values: np.ndarray) -> torch.Tensor:
    # The sum of squares is not finite if any value is not, and costs no memory; if it only overflows, a closer look tells.
    if not np.isfinite(np.vdot(values, values)) and not np.isfinite(values).all():
        row = np.flatnonzero(~np.isfinite(values).all(1))[0]
        raise ValueError(f"features hold NaN or infinity (first in row {row} of those read)")
    return torch.from_numpy(values)
