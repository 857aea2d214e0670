import numpy as np
import pytest
import torch

from benchmark.audio.speech_music import NAMES, WINDOW, SpeechMusicFeatures, correlation_peak

T = np.arange(WINDOW) / 8000.0


def features(x: np.ndarray) -> dict[str, float]:
    values = SpeechMusicFeatures()(torch.from_numpy(x.astype(np.float32))[None])[0]
    return dict(zip(NAMES, values.tolist(), strict=True))


def noise(seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(WINDOW)


def test_silence_is_all_zero_but_for_its_noise_frames():
    found = features(np.zeros(WINDOW))
    assert found.pop("noise_frame_ratio") == 1.0
    assert set(found.values()) == {0.0}


def test_syllables_raise_lster_and_hzcrr():
    # Half a second of voice, then unvoiced noise far softer: the pattern of speech.
    speech = np.where(T % 0.25 < 0.15, np.sin(2 * np.pi * 120 * T), 0.1 * noise())
    steady = np.sin(2 * np.pi * 120 * T)
    assert features(speech)["lster"] == pytest.approx(0.4, abs=0.03)
    assert features(speech)["hzcrr"] == pytest.approx(0.4, abs=0.03)
    assert features(steady)["lster"] == features(steady)["hzcrr"] == 0.0


def test_tones_are_periodic_and_noise_is_not():
    tone = features(np.sin(2 * np.pi * 700 * T))
    hiss = features(noise())
    assert tone["band_periodicity_1"] > 0.95 > 0.7 > hiss["band_periodicity_1"]
    assert tone["noise_frame_ratio"] == 0.0
    assert hiss["noise_frame_ratio"] > 0.9
    assert hiss["spectral_flux"] > 0.5


def test_zero_crossing_rate_of_a_tone_is_twice_its_frequency():
    assert features(np.sin(2 * np.pi * 1000 * T + 0.1))["zcr_mean"] == pytest.approx(2 * 1000 / 8000, abs=0.01)


def test_energy_goes_with_the_square_of_the_amplitude():
    assert features(0.5 * noise())["ste_mean"] == pytest.approx(0.25 * features(noise())["ste_mean"], rel=1e-5)


def test_correlation_agrees_with_its_definition():
    x = torch.from_numpy(noise())[:600]
    expected = []
    for start in (200, 400):
        current = x[start : start + 200]
        lags = [x[start - k : start - k + 200] for k in range(201)]
        r = [float((lag * current).sum() / (lag.square().sum() * current.square().sum()).sqrt()) for lag in lags]
        expected.append(max(r[k] for k in range(1, 200) if r[k] > r[k - 1] and r[k] >= r[k + 1]))
    assert correlation_peak(x).tolist() == pytest.approx(expected, abs=1e-9)
