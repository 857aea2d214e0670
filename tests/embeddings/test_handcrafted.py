from pathlib import Path

import librosa
import numpy as np
import pytest

from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.registry import build_embedding
from benchmark.errors import UserError
from tests.parity.checkpoints import noisy_waveform, relative_error
from tests.parity.seeded import seeded_waveform

EMBEDDINGS = Path(__file__).parents[2] / "embeddings"
SETTINGS = {"sr": 22050, "n_fft": 2048, "hop_length": 441}


def embedding(name: str, **changes):
    config = load(EMBEDDINGS / f"{name}.yaml", EmbeddingConfig)
    return build_embedding(config.model_copy(update=changes), device="cpu")


def statistics(features: np.ndarray) -> np.ndarray:
    """Means and deviations of librosa's (F, T) over windows of 25 frames."""
    windows = [features[:, start : start + 25] for start in range(0, features.shape[1], 25)]
    return np.stack([np.concatenate([window.mean(axis=1), window.std(axis=1)]) for window in windows])


# Less than a window; 38 frames, whose last 13 are a window of their own; 3 s are 151 frames, of which one is left out.
LENGTHS = {5_000: 1, 37 * 441: 2, 3 * 22050: 6}


@pytest.mark.parametrize("samples", LENGTHS)
def test_log_mel_agrees_with_librosa(samples):
    clip = noisy_waveform(samples, 22050)
    frames, times = embedding("logmel-stats").embed([clip])[0]
    mel = librosa.feature.melspectrogram(y=clip, n_mels=64, **SETTINGS)
    expected = statistics(librosa.power_to_db(mel, top_db=None))[: LENGTHS[samples]]
    assert relative_error(frames, expected) < 1e-4
    if samples == 3 * 22050:
        np.testing.assert_allclose(times, 0.24 + 0.5 * np.arange(6))


@pytest.mark.parametrize("samples", LENGTHS)
def test_mfcc_agree_with_librosa(samples):
    clip = noisy_waveform(samples, 22050)
    frames, _ = embedding("mfcc-stats").embed([clip])[0]
    mfcc = librosa.feature.mfcc(y=clip, n_mfcc=20, **SETTINGS)
    expected = statistics(np.concatenate([mfcc, librosa.feature.delta(mfcc)]))[: LENGTHS[samples]]
    assert relative_error(frames, expected) < 1e-4


@pytest.mark.parametrize(("samples", "count"), [(1, 1), (5_000, 1), (24 * 441, 1), (36 * 441, 1), (37 * 441, 2)])
def test_a_rest_of_half_a_window_is_a_frame(samples, count):
    frames, _ = embedding("logmel-stats").embed([seeded_waveform(samples, 22050)])[0]
    assert len(frames) == count


def test_window_and_bands_can_be_chosen():
    other = embedding("logmel-stats", args={"window": 1.0, "bands": 40}, dim=None, hop=None)
    frames, times = other.embed([seeded_waveform(4 * 22050, 22050)])[0]
    assert (other.dim, other.hop_seconds, frames.shape) == (80, 1.0, (4, 80))
    np.testing.assert_allclose(np.diff(times), 1.0)


def test_melspec_dnn_has_the_published_input():
    clip = seeded_waveform(44_100, 22050)
    other = embedding("melspec-dnn")
    frames, times = other.embed([clip])[0]
    mel = librosa.feature.melspectrogram(y=clip / np.abs(clip).max(), sr=22050, n_fft=2048, hop_length=512, n_mels=128)
    log_mel = librosa.power_to_db(mel, ref=np.max)
    assert frames.shape == (8, 1280)
    np.testing.assert_allclose(frames[2], log_mel[:, 20:30].T.reshape(-1), atol=1e-2)
    # Frame 10 is the first of patch 1; values computed with librosa 0.11.
    assert frames[1, 10] == pytest.approx(-54.91105, abs=1e-2)
    assert frames[1, 100] == pytest.approx(-53.56701, abs=1e-2)
    np.testing.assert_allclose(times, (10 * np.arange(8) + 4.5) * 512 / 22050)
    assert other.hop_seconds == pytest.approx(5120 / 22050)


def test_melspec_dnn_does_not_depend_on_the_level():
    clip = seeded_waveform(22_050, 22050)
    (loud, _), (quiet, _) = embedding("melspec-dnn").embed([clip, 0.125 * clip])
    np.testing.assert_allclose(loud, quiet, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("logmel-stats", {"model": "mel"}, "model: 'mel' is unknown"),
        ("logmel-stats", {"args": {"window": 0.001}}, "window must be at least"),
        ("logmel-stats", {"args": {"bands": 0}}, "bands at least 1"),
        ("mfcc-stats", {"args": {"bands": 40}}, "bands is unknown"),
        ("melspec-dnn", {"args": {"frames": 0}}, "frames is 0"),
    ],
)
def test_what_the_families_cannot_do_is_refused(name, change, message):
    with pytest.raises(UserError, match=message):
        embedding(name, **change)


@pytest.mark.parametrize("name", ["logmel-stats", "melspec-dnn"])
def test_weights_are_refused(name, tmp_path):
    path = tmp_path / "net.bin"
    path.write_bytes(b"")
    with pytest.raises(UserError, match="has none"):
        build_embedding(load(EMBEDDINGS / f"{name}.yaml", EmbeddingConfig), weights=path)
