"""The embeddings that compute features instead of running a network: Lu's, librosa's, openSMILE's."""

import importlib.util
import sys

import numpy as np
import pytest

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.classical import SAMPLE_RATE, frame_vectors, irmas_vector
from benchmark.embeddings.registry import build_embedding
from benchmark.errors import UserError
from tests.embeddings.contract import check_contract
from tests.parity.checkpoints import noisy_waveform

HAS_OPENSMILE = importlib.util.find_spec("opensmile") is not None


def embedding(family: str, model: str | None = None):
    return build_embedding(EmbeddingConfig(name="e", family=family, model=model), device="cpu")


def test_lu_features_keep_the_contract():
    lu = embedding("lu")
    assert (lu.dim, lu.sample_rate, lu.hop_seconds) == (12, 8000, 1.0)
    check_contract(lu)


def test_frames_of_classical_features_keep_the_contract():
    check_contract(embedding("classical", "frames"))


@pytest.mark.slow
def test_clip_vectors_of_classical_features_keep_the_contract():
    check_contract(embedding("classical", "irmas"))


@pytest.mark.slow
def test_irmas_columns_are_in_the_order_of_the_table():
    y = np.zeros(3 * SAMPLE_RATE, np.float32)
    # Clicks twice a second: 120 beats a minute.
    y[:: SAMPLE_RATE // 2] = 1.0
    y += 0.001 * noisy_waveform(len(y), SAMPLE_RATE)
    vector = irmas_vector(y)
    assert vector.shape == (98,)
    assert vector[0] == pytest.approx(120, rel=0.05)
    for variance, deviation in ((3, 4), (6, 7), (9, 10), (12, 13)):
        assert vector[variance] == pytest.approx(vector[deviation] ** 2)
    frames = 1 + len(y) // 512
    assert vector[14] == pytest.approx(vector[15] * frames)
    assert vector[17] == pytest.approx(np.square(y.astype(np.float64)).sum())
    means, sums, deviations, variances = vector[18:].reshape(4, 20)
    assert np.allclose(sums, means * frames, rtol=1e-4)
    assert np.allclose(variances, deviations**2, rtol=1e-4)


def test_frame_features_measure_what_they_are_called_after():
    t = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tone = frame_vectors((0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32))[20]
    assert tone[20] == pytest.approx(440, rel=0.05)
    assert tone[30] == pytest.approx(2 * 440 / SAMPLE_RATE, rel=0.1)
    assert tone[31:43].argmax() == 9
    assert tone[43] == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


def test_arguments_are_refused():
    with pytest.raises(UserError, match="hop"):
        build_embedding(EmbeddingConfig(name="e", family="lu", args={"hop": 0.5}), device="cpu")


def test_a_missing_opensmile_is_one_line_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(UserError, match=r"leveret\[opensmile\]"):
        embedding("opensmile", "egemaps")


@pytest.mark.skipif(not HAS_OPENSMILE, reason="the extra opensmile is not installed")
@pytest.mark.parametrize("seconds", [0.4, 1.7, 3.0])
def test_opensmile_agrees_with_the_package(seconds):
    import opensmile

    wave = noisy_waveform(round(seconds * 16_000), 16_000)
    for model, level in (
        ("egemaps", opensmile.FeatureLevel.Functionals),
        ("egemaps-lld", opensmile.FeatureLevel.LowLevelDescriptors),
    ):
        package = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, level)
        # What is shorter than a second is completed with zeros.
        expected = package.process_signal(np.pad(wave, (0, max(0, 16_000 - len(wave)))), 16_000).to_numpy(np.float32)
        frames, _ = embedding("opensmile", model).embed([wave])[0]
        assert len(frames) == 1 or len(frames) <= len(wave) / 160
        np.testing.assert_array_equal(frames, np.nan_to_num(expected[: len(frames)]))
