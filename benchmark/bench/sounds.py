"""Sound files to measure with: seeded, of real containers, rates and channels, as a dataset has them."""

from pathlib import Path

import numpy as np
import soundfile

# What recordings come in: the rate and the channels differ from what networks hear.
RATE, CHANNELS, SUBTYPE = 44_100, 2, "PCM_16"


def write_files(folder: Path, count: int, seconds: float, seed: int = 0) -> list[Path]:
    """Write `count` stereo WAV files (44.1 kHz, 16 bit) of `seconds` each: tones that come and go, in noise.

    Returns:
        Their paths; the same arguments give the same bytes.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    paths = []
    for number in range(count):
        sound = 0.05 * rng.standard_normal((len(t), CHANNELS))
        for hz in rng.uniform(80, 4000, 6):
            swell = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.2, 3) * t + rng.uniform(0, 6))
            sound += (0.08 * swell * np.sin(2 * np.pi * hz * t))[:, None]
        path = folder / f"{number:03d}.wav"
        soundfile.write(path, sound.astype(np.float32), RATE, subtype=SUBTYPE)
        paths.append(path)
    return paths
