"""What recording, rooms and transmission do to a sound, drawn at random but never from its label.

All functions take and return (samples,) float64 at a rate of `SAMPLE_RATE` and keep the length.
"""

from dataclasses import dataclass

import numpy as np
from scipy import signal

SAMPLE_RATE = 22050
_MU = 255.0


@dataclass(frozen=True)
class Chain:
    """How likely each degradation of a data set is, and how strong the noise may be.

    Attributes:
        room, tilt, band, noise, codec, clipping: Probabilities of each.
        snr_db: Range of the signal-to-noise ratio, in dB.
        tilt_db: Standard deviation of the equaliser's gains, in dB.
    """

    room: float = 0.5
    tilt: float = 0.7
    band: float = 0.2
    noise: float = 0.5
    codec: float = 0.2
    clipping: float = 0.1
    snr_db: tuple[float, float] = (10.0, 35.0)
    tilt_db: float = 4.0


def degrade(samples: np.ndarray, rng: np.random.Generator, chain: Chain) -> np.ndarray:
    """Send a sound through the chain, from the room to the level, and return it with a peak between -18 and -0.5 dB of full scale."""
    chances = rng.random(6)
    samples = normalise(samples)
    if chances[0] < chain.room:
        samples = room(samples, rng, rt60_s=rng.uniform(0.12, 0.7), wet=rng.uniform(0.1, 0.6))
    if chances[1] < chain.tilt:
        samples = equalise(samples, rng, spread_db=chain.tilt_db)
    if chances[2] < chain.band:
        samples = band_limit(samples, low_hz=rng.uniform(40, 350), high_hz=rng.uniform(3000, 8000))
    if chances[3] < chain.noise:
        samples = add_noise(samples, rng, snr_db=rng.uniform(*chain.snr_db), exponent=rng.uniform(0, 2))
    if chances[4] < chain.codec:
        coarse = rng.uniform(0.5, 3.0)
        samples = (
            quantise_spectrum(samples, coarse) if rng.random() < 0.5 else mu_law(samples, bits=int(rng.integers(6, 9)))
        )
    if chances[5] < chain.clipping:
        samples = clip(samples, over_db=rng.uniform(1, 9))
    return normalise(samples) * 10 ** (rng.uniform(-18, -0.5) / 20)


def normalise(samples: np.ndarray) -> np.ndarray:
    """Scale to a peak of 1; silence stays silence."""
    peak = np.max(np.abs(samples), initial=0.0)
    return samples / peak if peak > 0 else samples


def room(samples: np.ndarray, rng: np.random.Generator, rt60_s: float, wet: float) -> np.ndarray:
    """Reverberate: exponentially decaying noise, 60 dB in `rt60_s`, of `wet` times the direct sound's energy."""
    time_s = np.arange(round(rt60_s * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(time_s)) * 10 ** (-3 * time_s / rt60_s)
    # High frequencies are absorbed sooner: a one-pole low-pass stands for it.
    tail = signal.lfilter([0.6], [1.0, -0.4], tail)
    tail[: round(0.002 * SAMPLE_RATE)] = 0.0
    tail *= np.sqrt(wet / np.sum(tail**2))
    tail[0] = 1.0
    return signal.fftconvolve(samples, tail)[: len(samples)]


def equalise(samples: np.ndarray, rng: np.random.Generator, spread_db: float) -> np.ndarray:
    """Colour by a smooth random frequency response: normal deviates of `spread_db` at octaves from 60 Hz to 8 kHz."""
    octaves = np.arange(8)
    gains_db = rng.normal(0, spread_db, len(octaves))
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    gain = np.interp(np.log2(np.maximum(frequency, 1.0) / 60), octaves, gains_db)
    return np.fft.irfft(spectrum * 10 ** (gain / 20), len(samples))


def band_limit(samples: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """Keep a band, as a telephone or a small radio does: Butterworth, order 4 at each edge."""
    return signal.sosfilt(signal.butter(4, (low_hz, high_hz), "bandpass", fs=SAMPLE_RATE, output="sos"), samples)


def coloured_noise(rng: np.random.Generator, samples: int, exponent: float) -> np.ndarray:
    """Noise of power 1/f^exponent (0 white, 1 pink, 2 brown) and unit variance; below 20 Hz it is flat."""
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.standard_normal(samples)) * np.maximum(frequency, 20.0) ** (-exponent / 2)
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, samples)
    return noise / max(np.std(noise), 1e-12)


def add_noise(samples: np.ndarray, rng: np.random.Generator, snr_db: float, exponent: float = 1.0) -> np.ndarray:
    """Add coloured noise at a signal-to-noise ratio."""
    noise = coloured_noise(rng, len(samples), exponent)
    return samples + noise * np.sqrt(np.mean(samples**2)) * 10 ** (-snr_db / 20)


def quantise_spectrum(samples: np.ndarray, coarseness: float) -> np.ndarray:
    """Lose detail as a transform coder does: each short-time magnitude is rounded, in steps of `coarseness` times its frame's mean."""
    _, _, spectrum = signal.stft(samples, SAMPLE_RATE, nperseg=512)
    magnitude = np.abs(spectrum)
    step = np.maximum(coarseness * magnitude.mean(axis=0, keepdims=True), 1e-9)
    kept = np.round(magnitude / step) * step / np.maximum(magnitude, 1e-12)
    _, coded = signal.istft(spectrum * kept, SAMPLE_RATE, nperseg=512)
    return coded[: len(samples)]


def mu_law(samples: np.ndarray, bits: int) -> np.ndarray:
    """Quantise logarithmically (G.711's mu-law curve) to `bits` bits; the peak is taken as full scale."""
    peak = max(np.max(np.abs(samples), initial=0.0), 1e-9)
    compressed = np.sign(samples) * np.log1p(_MU * np.abs(samples) / peak) / np.log1p(_MU)
    half = 2 ** (bits - 1) - 1
    compressed = np.round(compressed * half) / half
    return np.sign(compressed) * np.expm1(np.abs(compressed) * np.log1p(_MU)) / _MU * peak


def clip(samples: np.ndarray, over_db: float) -> np.ndarray:
    """Overdrive by `over_db` beyond the peak and cut off."""
    limit = np.max(np.abs(samples), initial=0.0) * 10 ** (-over_db / 20)
    return np.clip(samples, -limit, limit)
