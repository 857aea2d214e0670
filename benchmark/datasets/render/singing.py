"""A sung voice: eSpeak's articulation, a melody's pitch.

Source and filter (Fant 1960): the spectral envelopes of spoken syllables, by cepstral smoothing, are stretched to a
melody's notes, warped to
the singer's vocal tract and imposed on a pulse train with vibrato, portamento and breath.
"""

import functools
from dataclasses import dataclass

import numpy as np
from scipy import signal

from benchmark.datasets.render.espeak import SAMPLE_RATE, speak

SYLLABLES = ("la", "na", "mi", "so", "re", "do", "lu", "ne", "vo", "ma", "lo", "ri", "a", "o", "e", "di", "nu", "ve")
_FFT, _HOP, _SPOKEN_F0_HZ = 1024, 110, 100


@dataclass(frozen=True)
class Singer:
    """Who sings.

    Attributes:
        variant: eSpeak's variant that lends the articulation.
        tract: Factor on the formants.
        vibrato_hz, vibrato_cents: Rate and depth.
        breath: Noise in the source, 0 to 0.3.
        tilt_db: Slope of the voice source in dB an octave, relative to eSpeak's.
    """

    variant: str
    tract: float
    vibrato_hz: float
    vibrato_cents: float
    breath: float
    tilt_db: float


def draw_singer(gender: str, variants: tuple[str, ...], rng: np.random.Generator) -> Singer:
    """A singer, "female" or "male". Only the vocal tract's length and the source's slope differ between the two, and both overlap."""
    female = gender == "female"
    return Singer(
        variant=str(rng.choice(variants)),
        tract=float(rng.normal(1.14 if female else 0.98, 0.04)),
        vibrato_hz=float(rng.uniform(4.5, 6.5)),
        vibrato_cents=float(rng.uniform(10, 60)),
        breath=float(rng.uniform(0.02, 0.15)),
        tilt_db=float(rng.normal(-1.0 if female else 0.0, 1.0)),
    )


def sing(melody: np.ndarray, singer: Singer, rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Sing a melody on random syllables.

    Args:
        melody: (notes, 3): onset and duration in seconds, MIDI pitch; one note at a time.
        singer: Who.
        rng: Draws syllables, jitter and breath.
        seconds: Length of the result.

    Returns:
        (samples,) float64 at `SAMPLE_RATE`, peak of the order of 1.
    """
    samples = round(seconds * SAMPLE_RATE)
    frames = samples // _HOP + 1
    envelopes = np.full((frames, _FFT // 2 + 1), 1e-4)
    pitch = np.full(frames, np.nan)
    for onset, duration, midi in melody:
        first, last = (min(int(time * SAMPLE_RATE / _HOP), frames) for time in (onset, onset + duration))
        if last - first < 4:
            continue
        spoken = _syllable(singer.variant, str(rng.choice(SYLLABLES)))
        envelopes[first:last] = spoken[_stretch(len(spoken), last - first)]
        pitch[first:last] = midi
    source = _source(pitch, singer, rng, samples)
    return _filter(source, _warp(envelopes, singer))


@functools.lru_cache(maxsize=512)
def _syllable(variant: str, syllable: str) -> np.ndarray:
    """Amplitude envelopes (frames, bins) of a spoken syllable, by iterated cepstral smoothing ("true envelope", Roebel 2005)."""
    spoken = speak(syllable, f"it+{variant}", rate_wpm=110, constant_f0_hz=_SPOKEN_F0_HZ)
    padded = np.pad(spoken, _FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP] * np.hanning(_FFT)
    logs = np.log(np.abs(np.fft.rfft(frames)) + 1e-3)
    lifter = np.zeros(_FFT)
    order = SAMPLE_RATE // _SPOKEN_F0_HZ // 3
    lifter[: order + 1] = 1.0
    lifter[-order:] = 1.0
    target = logs
    for _ in range(6):
        smooth = np.fft.rfft(np.fft.irfft(target) * lifter).real
        target = np.maximum(logs, smooth)
    return np.exp(smooth)


def _stretch(spoken: int, sung: int) -> np.ndarray:
    """Frames of a syllable for each frame of a note: the ends at their own speed, the vowel in the middle slowed down."""
    edge = min(spoken // 3, sung // 3)
    middle = np.linspace(edge, spoken - edge - 1, sung - 2 * edge)
    return np.concatenate([np.arange(edge), middle.astype(int), np.arange(spoken - edge, spoken)])


def _warp(envelopes: np.ndarray, singer: Singer) -> np.ndarray:
    bins = np.arange(envelopes.shape[1])
    position = np.minimum(bins / singer.tract, len(bins) - 1.001)
    low = position.astype(int)
    weight = position - low
    warped = envelopes[:, low] * (1 - weight) + envelopes[:, low + 1] * weight
    octaves = np.log2(np.maximum(bins * SAMPLE_RATE / _FFT, 200.0) / 200.0)
    return warped * 10 ** (singer.tilt_db * octaves / 20)


def _source(pitch: np.ndarray, singer: Singer, rng: np.random.Generator, samples: int) -> np.ndarray:
    """A flat pulse train on the melody, silent where there is none, with vibrato, portamento, jitter and breath."""
    voiced = ~np.isnan(pitch)
    held = (
        np.interp(np.arange(len(pitch)), np.flatnonzero(voiced), pitch[voiced])
        if voiced.any()
        else np.full(len(pitch), 60.0)
    )
    slide = np.hanning(16)
    held = np.convolve(np.pad(held, 8, mode="edge"), slide / slide.sum(), mode="same")[8:-8]
    time_s = np.arange(samples) / SAMPLE_RATE
    frame = np.arange(samples) / _HOP
    wobble = np.interp(
        frame, np.arange(len(pitch)), np.convolve(rng.standard_normal(len(pitch)), np.ones(20) / 20, mode="same")
    )
    vibrato = singer.vibrato_cents / 100 * np.sin(2 * np.pi * singer.vibrato_hz * time_s + rng.uniform(0, 2 * np.pi))
    midi = np.interp(frame, np.arange(len(pitch)), held) + vibrato + 0.3 * wobble
    phase = np.cumsum(440 * 2 ** ((midi - 69) / 12)) / SAMPLE_RATE
    ticks = np.flatnonzero(np.diff(np.floor(phase))) + 1
    # Sub-sample positions: a pulse is a band-limited click where the phase crosses a whole number.
    late = (phase[ticks] - np.floor(phase[ticks])) / (phase[ticks] - phase[ticks - 1])
    taps = np.arange(-8, 8)
    offset = taps[None, :] + late[:, None]
    clicks = np.sinc(offset) * (0.5 + 0.5 * np.cos(np.pi * np.clip(offset / 9, -1, 1)))
    source = np.zeros(samples + 32)
    np.add.at(source, ticks[:, None] + taps[None, :] + 16, clicks * np.sqrt(np.gradient(ticks.astype(float)))[:, None])
    gate = np.convolve(
        np.interp(frame, np.arange(len(pitch)), voiced.astype(float)), np.hanning(441) / 220.0, mode="same"
    )
    return (source[16 : samples + 16] + singer.breath * rng.standard_normal(samples)) * gate


def _filter(source: np.ndarray, envelopes: np.ndarray) -> np.ndarray:
    """Impose envelopes, one every `_HOP` samples, by short-time Fourier analysis and overlap-add."""
    window = 4 * _HOP
    _, _, spectrum = signal.stft(source, SAMPLE_RATE, nperseg=window, noverlap=window - _HOP, nfft=_FFT)
    frames = min(spectrum.shape[1], len(envelopes))
    shaped = spectrum[:, :frames] * envelopes[:frames].T
    _, sung = signal.istft(shaped, SAMPLE_RATE, nperseg=window, noverlap=window - _HOP, nfft=_FFT)
    sung = np.pad(sung, (0, max(len(source) - len(sung), 0)))[: len(source)]
    return sung / max(np.max(np.abs(sung)), 1e-9)
