"""The stems of clips at one rate and number of channels, kept in memory as far as it goes."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from benchmark.audio.stems import read_mixture, read_stem
from benchmark.datasets.clips import STEM, Clip
from benchmark.errors import ClipError

_CACHE_BYTES = 2 << 30


@dataclass(frozen=True)
class Track:
    """A mixture and where its stems are.

    Attributes:
        id: of the clip.
        root: the dataset's folder.
        path: the clip's file.
        labels: the clip's fields, `stem_<source>` among them.
        sources: which of them are wanted.
        mixture: `file`: the clip's file is the mixture; `sum`: the sum of all its stems is.
        start, end: the clip's part of its files in seconds; None for the whole.
    """

    id: str
    root: Path
    path: Path
    labels: Mapping[str, Any] = field(hash=False)
    sources: tuple[str, ...]
    mixture: str = "sum"
    start: float | None = None
    end: float | None = None

    @classmethod
    def of(cls, clip: Clip, sources: Sequence[str], root: Path, mixture: str) -> "Track":
        """The track of a clip of a dataset below `root`."""
        return cls(clip.id, root, clip.path, dict(clip.labels), tuple(sources), mixture, clip.start, clip.end)

    @property
    def files(self) -> list[Path]:
        """Every file that it is read from, sorted."""
        names = []
        for key, value in self.labels.items():
            if key.startswith(STEM) and (self.mixture == "sum" or key.removeprefix(STEM) in self.sources):
                names += [value] if isinstance(value, str) else list(value)
        return sorted({self.root / name.partition("#")[0] for name in names} | {self.path})


class StemReader:
    """Reads tracks, and keeps what was read while memory allows.

    Args:
        sample_rate: Hz.
        channels: 1: channels are averaged; 2: a mono file stands for both.
        cache_bytes: of decoded sound that is kept.
    """

    def __init__(self, sample_rate: int, channels: int, cache_bytes: int = _CACHE_BYTES):
        self.sample_rate, self.channels, self.cache_bytes = sample_rate, channels, cache_bytes
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._held = 0

    def stems(self, track: Track) -> np.ndarray:
        """Stems (K, C, T) float32 of the wanted sources, cut to the shortest.

        Raises:
            ClipError: a file is missing, is no audio, or has not that channel.
        """
        return self.parts(track)[: len(track.sources)]

    def parts(self, track: Track) -> np.ndarray:
        """The stems, and where they are not the whole mixture (one source of several) what is left as one more."""
        if track.id in self._cache:
            self._cache.move_to_end(track.id)
            return self._cache[track.id]
        stems = [self._fit(read_stem(track.root, track.labels[f"{STEM}{name}"]), track) for name in track.sources]
        length = min(stem.shape[1] for stem in stems)
        parts = np.stack([stem[:, :length] for stem in stems])
        if len(track.sources) == 1:
            whole = self._whole(track, length)
            parts = np.concatenate([parts, whole[None] - parts])
        self._keep(track.id, parts)
        return parts

    def mixture(self, track: Track) -> np.ndarray:
        """The mixture (C, T) float32 that is to be separated, as long as the stems."""
        parts = self.parts(track)
        if len(track.sources) == 1:
            return parts.sum(axis=0)
        return self._whole(track, parts.shape[-1])

    def whole(self, track: Track) -> np.ndarray:
        """The mixture (C, T) float32 in its own length; no stem of it need be known."""
        return self._fit(read_mixture(track.root, track.path, track.labels, track.mixture), track)

    def _whole(self, track: Track, length: int) -> np.ndarray:
        sound = self.whole(track)
        return np.pad(sound[:, :length], ((0, 0), (0, max(0, length - sound.shape[1]))))

    def _fit(self, found: tuple[np.ndarray, int], track: Track) -> np.ndarray:
        """The clip's part of a sound, at the reader's rate and number of channels."""
        sound, rate = found
        first = round((track.start or 0.0) * rate)
        last = sound.shape[1] if track.end is None else round(track.end * rate)
        sound = sound[:, first:last]
        if sound.shape[1] == 0 or not np.isfinite(sound).all():
            raise ClipError(f"{track.path}: {track.id}: holds no samples, or values that are not finite")
        stereo = sound[:2] if len(sound) >= 2 else np.repeat(sound, 2, axis=0)
        sound = sound.mean(axis=0, keepdims=True) if self.channels == 1 else stereo
        if rate != self.sample_rate:
            sound = soxr.resample(sound.T, rate, self.sample_rate, quality="HQ").reshape(-1, len(sound)).T
        return np.ascontiguousarray(sound, dtype=np.float32)

    def _keep(self, name: str, parts: np.ndarray) -> None:
        if parts.nbytes > self.cache_bytes // 2:
            return
        self._cache[name] = parts
        self._held += parts.nbytes
        while self._held > self.cache_bytes:
            self._held -= self._cache.popitem(last=False)[1].nbytes
