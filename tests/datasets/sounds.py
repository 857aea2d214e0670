"""Small sounds for tests."""

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
