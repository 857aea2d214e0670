"""Seeded weights that a reference implementation and our port can both be given.

Each array depends on its own name and shape alone, so that neither side needs a file of weights: the recipe that runs the reference
and the test that runs the port call the same function with the names of the authors' checkpoint.
"""

import zlib

import numpy as np


def seeded_array(name: str, shape: tuple[int, ...], gain: float = 1.0) -> np.ndarray:
    """An array of float32 that depends on `name` and `shape` alone.

    Variances lie in [0.5, 1.5], scales of normalisation layers in [0.75, 1.25], biases and means within 0.1 of zero;
    everything else is normal with standard deviation `gain`/sqrt(fan-in), so that activations keep their size through a deep network.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    last = name.lower().replace(":0", "").replace("/", ".").rsplit(".", 1)[-1]
    if "var" in last:
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if last in {"gamma", "scale"} or (last == "weight" and len(shape) == 1):
        return rng.uniform(0.75, 1.25, shape).astype(np.float32)
    if len(shape) <= 1:
        return rng.uniform(-0.1, 0.1, shape).astype(np.float32)
    # Keras and TensorFlow kernels keep the output channels last, PyTorch first.
    fan_in = int(np.prod(shape[:-1])) if "kernel" in last else int(np.prod(shape[1:]))
    return (rng.standard_normal(shape) * gain / np.sqrt(max(fan_in, 1))).astype(np.float32)


def seeded_waveform(samples: int, sample_rate: int) -> np.ndarray:
    """A test signal of tones, vibrato and a chirp, (samples,) float32 within [-1, 1]: signal S1 of the models' check values."""
    t = np.arange(samples, dtype=np.float64) / sample_rate
    n = np.arange(samples, dtype=np.float64)
    tones = 0.3 * np.sin(2 * np.pi * 220 * t)
    tones += 0.2 * np.sin(2 * np.pi * 440.5 * t + 0.3) + 0.1 * np.sin(2 * np.pi * 1330 * t)
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * t)
    return (tones * swell + 0.01 * np.sin(0.001 * n * n)).astype(np.float32)
