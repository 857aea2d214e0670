"""Everyday sounds from small physical models.

Each event is a function of two generators and a length in seconds. The first draws the scene (which bell, which shoes, how hard it
rains), the second what happens in this clip of it, so that clips of one scene are related and belong in one fold. Results are
(samples,) float64 at `SAMPLE_RATE`, at any level.

Models: modal synthesis for struck bodies (bell, clock, knock), rising damped sines for bubbles (Minnaert; van den Doel 2005), filtered
noise for air and water, impulses through resonances for engines and steps, after Farnell, "Designing Sound" (2010).
"""

from collections.abc import Callable

import numpy as np
from scipy import signal

from benchmark.datasets.render.degrade import SAMPLE_RATE, coloured_noise

Generator = np.random.Generator


def rain(scene: Generator, clip: Generator, seconds: float) -> np.ndarray:
    """Drops: clicks at random times through the resonance of what they hit, over a hiss of the drops farther away."""
    rate, centre, hiss = scene.uniform(40, 400), scene.uniform(1500, 6000), scene.uniform(0.02, 0.15)
    samples = round(seconds * SAMPLE_RATE)
    drops = (clip.random(samples) < rate / SAMPLE_RATE) * clip.exponential(1.0, samples)
    return _resonance(drops, centre, bandwidth=centre * 0.6) + hiss * coloured_noise(clip, samples, exponent=0.5)


def wind(scene: Generator, clip: Generator, seconds: float) -> np.ndarray:
    """Noise whose resonance and strength follow slow gusts."""
    base, width, howl = scene.uniform(150, 700), scene.uniform(0.15, 0.6), scene.uniform(0.0, 1.0)
    samples = round(seconds * SAMPLE_RATE)
    gust = np.interp(np.arange(samples), np.linspace(0, samples, 9), clip.uniform(0.1, 1.0, 9))
    _, _, spectrum = signal.stft(clip.standard_normal(samples), SAMPLE_RATE, nperseg=1024)
    frequency = np.fft.rfftfreq(1024, 1 / SAMPLE_RATE)[:, None]
    strength = np.interp(np.linspace(0, samples, spectrum.shape[1]), np.arange(samples), gust)
    centre = base * (0.7 + 0.8 * strength)
    shape = np.exp(-0.5 * (np.log((frequency + 20) / centre) / width) ** 2) + 0.3 * (1 - howl) / (1 + frequency / 300)
    return signal.istft(spectrum * shape * strength**2, SAMPLE_RATE, nperseg=1024)[1][:samples]


def engine(scene: Generator, clip: Generator, seconds: float) -> np.ndarray:
    """Uneven firing pulses, each cylinder its own strength, through the resonances of an exhaust."""
    firing_hz, cylinders = scene.uniform(22, 90), int(scene.integers(2, 7))
    strength, resonances = scene.uniform(0.6, 1.0, cylinders), scene.uniform(90, 900, 3)
    samples = round(seconds * SAMPLE_RATE)
    speed = firing_hz * (
        1 + 0.15 * np.sin(2 * np.pi * clip.uniform(0.1, 0.5) * np.arange(samples) / SAMPLE_RATE + clip.uniform(0, 6))
    )
    phase = np.cumsum(speed) / SAMPLE_RATE
    fires = np.flatnonzero(np.diff(np.floor(phase)))
    pulses = np.zeros(samples)
    pulses[fires] = strength[np.arange(len(fires)) % cylinders] * clip.normal(1, 0.08, len(fires))
    exhaust = sum(_resonance(pulses, centre, bandwidth=centre * 0.4) for centre in resonances)
    return exhaust / np.std(exhaust) + 0.15 * coloured_noise(clip, samples, exponent=1.5)


def bell(scene: Generator, clip: Generator, seconds: float) -> np.ndarray:
    """Church bell: hum, prime, tierce, quint, nominal and above, a pair of slightly split modes each."""
    prime_hz, decay_s = scene.uniform(180, 900), scene.uniform(0.6, 3.0)
    ratios = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.6, 3.0, 4.1]) * scene.normal(1, 0.01, 8)
    levels = scene.uniform(0.3, 1.0, 8)
    blow = _modes(
        np.concatenate([prime_hz * ratios, prime_hz * ratios * 1.003]),
        np.tile(levels, 2),
        decay_s / np.tile(ratios, 2),
        seconds,
    )
    gap_s = scene.uniform(0.5, 1.6)
    return _place(blow, clip.uniform(0, 0.3) + gap_s * np.arange(5), clip.uniform(0.6, 1.0, 5), seconds)


def footsteps(scene: Generator, clip: Generator, seconds: float) -> np.ndarray:
    """Heel and sole: two dull blows a step with the grit of the ground."""
    gap_s, thump_hz, grit = scene.uniform(0.35, 0.7), scene.uniform(70, 250), scene.uniform(0.05, 1.0)
    ground_hz = scene.uniform(800, 5000)
    times = (
        clip.uniform(0, gap_s)
        + gap_s * np.arange(int(seconds / gap_s) + 1)
        + clip.normal(0, 0.02, int(seconds / gap_s) + 1)
    )
    result = np.zeros(round(seconds * SAMPLE_RATE))
    for time in times:
        heel = _modes(np.array([thump_hz, thump_hz * 2.3]), np.array([1.0, 0.4]), np.array([0.03, 0.015]), 0.25)
        scrape = coloured_noise(clip, len(heel), 0) * np.exp(
            -np.arange(len(heel)) / (clip.uniform(0.01, 0.04) * SAMPLE_RATE)
        )
        step = heel + grit * _resonance(scrape, ground_hz, bandwidth=ground_hz * 0.8)
        result += _place(step, np.array([time, time + 0.08]), clip.uniform(0.4, 1.0, 2), seconds)
    return result


def siren(scene: Generator, clip: Generator, seconds: float) -> np.ndarray:
    """A loud tone that wails, yelps or alternates, with the harmonics of an overdriven horn."""
    low, high, cycle_s, kind = (
        scene.uniform(400, 800),
        scene.uniform(1.3, 2.2),
        scene.uniform(0.3, 2.5),
        int(scene.integers(3)),
    )
    drive = scene.uniform(1, 5)
    cycle = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE / cycle_s + clip.random()
    position = (0.5 - 0.5 * np.cos(2 * np.pi * cycle), cycle % 1.0, np.floor(2 * cycle) % 2)[kind]
    phase = 2 * np.pi * np.cumsum(low * high**position) / SAMPLE_RATE
    return np.tanh(drive * np.sin(phase)) * (1 + 0.3 * np.sin(0.5 * phase))


def stream(scene: Generator, clip: Generator, seconds: float) -> np.ndarray:
    """Bubbles: damped sines that rise as each bubble nears the surface."""
    rate, low_hz, rise = scene.uniform(60, 300), scene.uniform(300, 900), scene.uniform(0.0, 0.15)
    samples = round(seconds * SAMPLE_RATE)
    result = 0.02 * scene.uniform(0.2, 2) * coloured_noise(clip, samples, exponent=1.0)
    for _ in range(int(rate * seconds)):
        frequency = low_hz * np.exp(abs(clip.normal(0, 0.8)))
        damping = 0.13 * frequency + 0.0072 * frequency**1.5
        length = min(int(6 / damping * SAMPLE_RATE) + 1, 4000)
        time_s = np.arange(length) / SAMPLE_RATE
        start = int(clip.integers(0, samples))
        bubble = np.sin(2 * np.pi * frequency * time_s * (1 + rise * damping * time_s)) * np.exp(-damping * time_s)
        bubble = bubble[: samples - start] * clip.random() ** 2
        result[start : start + len(bubble)] += bubble
    return result


def thunder(scene: Generator, clip: Generator, seconds: float) -> np.ndarray:
    """A crack and a rumble that rolls in several swells."""
    distance, exponent = scene.uniform(0, 1), scene.uniform(1.6, 2.6)
    samples = round(seconds * SAMPLE_RATE)
    time_s = np.arange(samples) / SAMPLE_RATE
    envelope = np.zeros(samples)
    for start in clip.uniform(0, seconds * 0.8, int(scene.integers(2, 7))):
        envelope += (
            clip.uniform(0.3, 1) * (time_s > start) * np.exp(-np.maximum(time_s - start, 0) / clip.uniform(0.2, 1.2))
        )
    crack = coloured_noise(clip, samples, 0.5) * np.exp(-np.abs(time_s - clip.uniform(0, 1)) / 0.05)
    return coloured_noise(clip, samples, exponent) * (envelope + 0.05) + (1 - distance) ** 2 * crack


def clock(scene: Generator, clip: Generator, seconds: float) -> np.ndarray:
    """Tick and tock: two short modal clicks in turn."""
    period_s, body = scene.uniform(0.2, 0.6), scene.uniform(900, 4000)
    modes = body * np.sort(scene.uniform(0.5, 2.5, 5))
    tick = _modes(modes, scene.uniform(0.2, 1, 5), scene.uniform(0.003, 0.02, 5), 0.15)
    tock = _modes(modes * scene.uniform(0.8, 0.97), scene.uniform(0.2, 1, 5), scene.uniform(0.003, 0.02, 5), 0.15)
    times = clip.uniform(0, period_s) + period_s * np.arange(int(seconds / period_s) + 2)
    strength = clip.uniform(0.8, 1.0, len(times))
    room_tone = scene.uniform(0.001, 0.01) * coloured_noise(clip, round(seconds * SAMPLE_RATE), 1.0)
    ticks = _place(tick, times[::2], strength[::2], seconds) + _place(tock, times[1::2], strength[1::2], seconds)
    return ticks / np.max(np.abs(ticks)) + room_tone


def fire(scene: Generator, clip: Generator, seconds: float) -> np.ndarray:
    """Crackles of all sizes over the lapping and hiss of the flames."""
    rate, lapping, hiss = scene.uniform(8, 60), scene.uniform(0.1, 0.6), scene.uniform(0.01, 0.08)
    samples = round(seconds * SAMPLE_RATE)
    crackles = np.zeros(samples)
    for start in clip.integers(0, samples - 2000, int(rate * seconds)):
        length = int(clip.integers(40, 700))
        burst = clip.standard_normal(length) * np.exp(-np.arange(length) / (length / 5)) * clip.pareto(2.5)
        crackles[start : start + length] += _resonance(burst, clip.uniform(800, 6000), bandwidth=2000)
    flames = coloured_noise(clip, samples, 2.0) * np.abs(_slow(clip, samples, 6.0))
    return (
        crackles / max(np.max(np.abs(crackles)), 1e-9)
        + 0.3 * lapping * flames
        + hiss * coloured_noise(clip, samples, 0)
    )


def knock(scene: Generator, clip: Generator, seconds: float) -> np.ndarray:
    """Knuckles on a door: groups of blows on a panel's modes."""
    panel_hz, gap_s, count = scene.uniform(110, 450), scene.uniform(0.12, 0.35), int(scene.integers(2, 6))
    modes = panel_hz * np.array([1.0, 1.6, 2.3, 3.1, 4.4]) * scene.normal(1, 0.05, 5)
    blow = _modes(modes, scene.uniform(0.2, 1.0, 5), scene.uniform(0.01, 0.06, 5), 0.4)
    blow[:200] += 0.3 * clip.standard_normal(200) * np.exp(-np.arange(200) / 40)
    group = clip.uniform(0, 0.6) + gap_s * np.arange(count)
    times = np.concatenate([group, group + gap_s * count + clip.uniform(0.4, 1.0)])
    return _place(blow, times + clip.normal(0, 0.01, len(times)), clip.uniform(0.6, 1.0, len(times)), seconds)


def insects(scene: Generator, clip: Generator, seconds: float) -> np.ndarray:
    """Crickets or cicadas: high carriers gated by the beat of the wings."""
    carrier, pulse_hz, chirp_hz = scene.uniform(2500, 6500), scene.uniform(20, 120), scene.uniform(0.8, 5)
    time_s = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    result = np.zeros(len(time_s))
    for _ in range(int(scene.integers(1, 5))):
        tone = np.sin(
            2 * np.pi * carrier * clip.normal(1, 0.03) * time_s + 0.3 * np.cumsum(clip.standard_normal(len(time_s)))
        )
        pulses = np.maximum(np.sin(2 * np.pi * pulse_hz * clip.normal(1, 0.02) * time_s + clip.uniform(0, 6)), 0)
        chirps = 1 / (1 + np.exp(-12 * np.sin(2 * np.pi * chirp_hz * time_s + clip.uniform(0, 6))))
        result += clip.uniform(0.3, 1) * tone * pulses * chirps
    return result + 0.02 * coloured_noise(clip, len(time_s), 1.0)


EVENTS: dict[str, Callable[[Generator, Generator, float], np.ndarray]] = {
    function.__name__: function
    for function in (rain, wind, engine, bell, footsteps, siren, stream, thunder, clock, fire, knock, insects)
}


def _resonance(samples: np.ndarray, centre_hz: float, bandwidth: float) -> np.ndarray:
    radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
    angle = 2 * np.pi * min(centre_hz, 0.45 * SAMPLE_RATE) / SAMPLE_RATE
    return signal.lfilter([1 - radius], [1.0, -2 * radius * np.cos(angle), radius**2], samples)


def _modes(frequencies_hz: np.ndarray, levels: np.ndarray, decays_s: np.ndarray, seconds: float) -> np.ndarray:
    time_s = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    result = np.zeros(len(time_s))
    for frequency, level, decay in zip(frequencies_hz, levels, decays_s, strict=True):
        if frequency < SAMPLE_RATE / 2:
            result += level * np.sin(2 * np.pi * frequency * time_s) * np.exp(-time_s / decay)
    return result


def _place(sound: np.ndarray, times_s: np.ndarray, gains: np.ndarray, seconds: float) -> np.ndarray:
    result = np.zeros(round(seconds * SAMPLE_RATE))
    for time_s, gain in zip(times_s, gains, strict=True):
        start = max(int(time_s * SAMPLE_RATE), 0)
        piece = sound[: max(len(result) - start, 0)]
        result[start : start + len(piece)] += gain * piece
    return result


def _slow(clip: Generator, samples: int, rate_hz: float) -> np.ndarray:
    points = max(int(samples / SAMPLE_RATE * rate_hz), 2)
    return np.interp(np.linspace(0, points - 1, samples), np.arange(points), clip.standard_normal(points))
