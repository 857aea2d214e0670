"""The stems of clips from disk: whole files, channels or streams of them, or sums of several."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from benchmark.datasets.clips import STEM, Clip
from benchmark.errors import ClipError

_CACHE_BYTES = 2 << 30


@dataclass(frozen=True)
class Track:
    """A mixture and where its stems are.

    Attributes:
        id: of the clip.
        stems: for each source the places whose sum it is, as the dataset says them, with absolute paths.
        mixture: the mixture's own file; None where the mixture is the sum of its stems.
        start, end: the clip's part of its files in seconds; None for the whole.
    """

    id: str
    stems: tuple[tuple[str, ...], ...]
    mixture: str | None = None
    start: float | None = None
    end: float | None = None

    @classmethod
    def of(cls, clip: Clip, sources: Sequence[str], root: Path, is_sum: bool) -> "Track":
        """The track of a clip whose fields `stem_<source>` name its stems below the dataset's folder `root`."""
        stems = []
        for source in sources:
            value = clip.labels[f"{STEM}{source}"]
            places = [value] if isinstance(value, str) else list(value)
            stems.append(tuple(str(root / place) for place in places))
        return cls(clip.id, tuple(stems), None if is_sum else str(clip.path), clip.start, clip.end)

    @property
    def files(self) -> list[Path]:
        """Every file that it is read from, sorted."""
        places = [place for stem in self.stems for place in stem] + ([self.mixture] if self.mixture else [])
        return sorted({_split(place)[0] for place in places})


class StemReader:
    """Reads tracks at one rate and number of channels, and keeps what was read while memory allows.

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
        """Stems (K, C, T) float32, cut to the shortest.

        Raises:
            ClipError: a file is missing, is no audio, or has not that channel.
        """
        if track.id in self._cache:
            self._cache.move_to_end(track.id)
            return self._cache[track.id]
        parts = [[self._read(place, track) for place in places] for places in track.stems]
        length = min(part.shape[1] for part_list in parts for part in part_list)
        stems = np.stack([np.sum([part[:, :length] for part in part_list], axis=0) for part_list in parts])
        self._keep(track.id, stems.astype(np.float32))
        return self._cache[track.id] if track.id in self._cache else stems.astype(np.float32)

    def mixture(self, track: Track) -> np.ndarray:
        """The mixture (C, T) float32: its own file, or the sum of the stems."""
        stems = self.stems(track)
        if track.mixture is None:
            return stems.sum(axis=0)
        mixture = self._read(track.mixture, track)
        length = min(mixture.shape[1], stems.shape[2])
        return np.pad(mixture[:, :length], ((0, 0), (0, stems.shape[2] - length))).astype(np.float32)

    def _read(self, place: str, track: Track) -> np.ndarray:
        path, options = _split(place)
        if "stream" in options:
            raise ClipError(f"{place}: streams of MP4 files need ffmpeg; convert the stems to WAV or FLAC")
        try:
            with soundfile.SoundFile(path) as file:
                first = round((track.start or 0.0) * file.samplerate)
                last = file.frames if track.end is None else min(file.frames, round(track.end * file.samplerate))
                file.seek(min(first, file.frames))
                sound = file.read(max(0, last - first), dtype="float32", always_2d=True).T
                rate = file.samplerate
        except (OSError, soundfile.LibsndfileError) as error:
            raise ClipError(f"{path}: {getattr(error, 'error_string', error)}") from None
        if "channel" in options:
            number = int(options["channel"])
            if number >= len(sound):
                raise ClipError(f"{place}: the file has {len(sound)} channels, counted from 0")
            sound = sound[number : number + 1]
        if sound.shape[1] == 0 or not np.isfinite(sound).all():
            raise ClipError(f"{place}: holds no samples, or values that are not finite")
        stereo = sound[:2] if len(sound) >= 2 else np.repeat(sound, 2, axis=0)
        sound = sound.mean(axis=0, keepdims=True) if self.channels == 1 else stereo
        if rate != self.sample_rate:
            sound = soxr.resample(sound.T, rate, self.sample_rate, quality="HQ").T
        return np.ascontiguousarray(sound, dtype=np.float32)

    def _keep(self, name: str, stems: np.ndarray) -> None:
        if stems.nbytes > self.cache_bytes // 2:
            return
        self._cache[name] = stems
        self._held += stems.nbytes
        while self._held > self.cache_bytes:
            self._held -= self._cache.popitem(last=False)[1].nbytes


def _split(place: str) -> tuple[Path, Mapping[str, str]]:
    """`file.wav#channel=1` as path and options."""
    path, _, fragment = place.partition("#")
    return Path(path), dict(option.split("=", 1) for option in fragment.split("&") if "=" in option)
