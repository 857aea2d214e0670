"""Small sounds for tests."""

import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile


def tone(seconds: float = 0.1, rate: int = 8000, hz: float = 440.0, level: float = 0.5) -> np.ndarray:
    """(samples,) float64 of a sine."""
    return level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def write(path: Path, samples: np.ndarray | None = None, rate: int = 8000, **options: str) -> Path:
    """Write a sound, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone() if samples is None else samples, rate, **options)
    return path


@lru_cache
def stem_mp4(pitches: Sequence[float], seconds: float = 1.0, rate: int = 44100) -> bytes:
    """An MP4 with a stereo AAC stream a pitch, as MUSDB18's; needs PyAV."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        streams = [file.add_stream("aac", rate=rate, layout="stereo") for _ in pitches]
        for stream, hz in zip(streams, pitches, strict=True):
            samples = np.tile(tone(seconds, rate, hz).astype(np.float32), (2, 1))
            for start in range(0, samples.shape[1], 1024):
                part = np.ascontiguousarray(samples[:, start : start + 1024])
                frame = av.AudioFrame.from_ndarray(part, "fltp", "stereo")
                frame.sample_rate, frame.pts = rate, start
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    return buffer.getvalue()
