from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.ina import patch_statistics
from benchmark.embeddings.registry import build_embedding
from benchmark.errors import UserError
from tests.parity.checkpoints import relative_error
from tests.parity.make_ina import LENGTHS, STEP
from tests.parity.seeded import seeded_waveform

ROOT = Path(__file__).parents[2]
REFERENCE = np.load(ROOT / "tests" / "parity" / "data" / "ina.npz")
MODELS = ("sm", "smn", "gender")


def ina(model: str, **args):
    """The embedding with the authors' weights."""
    config = load(ROOT / "embeddings" / f"ina-{model}.yaml", EmbeddingConfig)
    update = {"args": args, "hop": args.get("hop", config.hop)}
    if args.get("read_out", "penultimate") != "penultimate":
        update["dim"] = None
    return build_embedding(config.model_copy(update=update), device="cpu")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("read_out", "step"), [("penultimate", STEP), ("conv", 8 * STEP), ("probabilities", 1)])
def test_agrees_with_the_package(model, read_out, step):
    embedding = ina(model, read_out=read_out, silence="zero")
    for length in LENGTHS:
        frames, times = embedding.embed([seeded_waveform(length, 16_000)])[0]
        # A frame for every second frame of the spectrum.
        assert len(frames) == -(-((length - 400) // 160 + 1) // 2)
        np.testing.assert_allclose(times, 0.02 * np.arange(len(times)) + 0.0075, atol=1e-12)
        assert relative_error(frames[::step], REFERENCE[f"{model}/{length}/{read_out}"]) < 1e-4


@pytest.mark.parametrize(("model", "total"), [("sm", 13.0838), ("smn", 70.9093), ("gender", 33.1207)])
def test_patch_49_has_the_published_sum(model, total):
    frames, _ = ina(model).embed([seeded_waveform(32_000, 16_000)])[0]
    assert frames[49].sum() == pytest.approx(total, abs=2e-3)


def test_logits_are_those_of_the_probabilities():
    clip = [seeded_waveform(20_000, 16_000)]
    logits, _ = ina("smn", read_out="logits").embed(clip)[0]
    probabilities, _ = ina("smn", read_out="probabilities").embed(clip)[0]
    np.testing.assert_allclose(torch.from_numpy(logits).softmax(dim=1), probabilities, atol=1e-6)


def test_greater_hop_takes_every_so_many_frames():
    clip = [seeded_waveform(50_000, 16_000)]
    (frames, times), (few, few_times) = ina("sm").embed(clip)[0], ina("sm", hop=0.1).embed(clip)[0]
    np.testing.assert_array_equal(few_times, times[::5])
    np.testing.assert_allclose(few, frames[::5], rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def half_silent():
    """Two seconds of sound, then two of digital silence."""
    return np.concatenate([seeded_waveform(32_000, 16_000), np.zeros(32_000, dtype=np.float32)])


def test_silence_by_the_package_blanks_every_patch_that_touches_it(half_silent):
    frames, times = ina("sm", silence="zero").embed([half_silent])[0]
    heard = frames.any(axis=1)
    # A frame of 25 ms is silent from 2.0 s on; it is the last of a patch that is centred 0.32 s earlier.
    assert heard[times < 2.0 - 0.33].all()
    assert not heard[times > 2.0 - 0.32].any()
    alone, _ = ina("sm", silence="zero").embed([half_silent[:32_000]])[0]
    np.testing.assert_allclose(frames[:80], alone[:80], rtol=1e-5, atol=1e-6)
    probabilities, _ = ina("sm", silence="zero", read_out="probabilities").embed([half_silent])[0]
    assert (probabilities[~heard] == 0.5).all()


def test_silence_by_the_minimum_blanks_only_what_is_silent_throughout(half_silent):
    frames, times = ina("sm").embed([half_silent])[0]
    heard = frames.any(axis=1)
    assert heard[times < 2.0 + 0.34].all()
    assert not heard[times > 2.0 + 0.36].any()


def test_short_clip_with_silence_is_heard():
    clip = np.concatenate([seeded_waveform(4_000, 16_000), np.zeros(4_000, dtype=np.float32)])
    assert ina("sm").embed([clip])[0][0].any()
    assert not ina("sm", silence="zero").embed([clip])[0][0].any()


def test_statistics_of_patches_are_those_of_numpy():
    log_mel = 3.0 * torch.randn(75, 21) - 20.0
    log_mel[72] = -torch.inf
    mean, std = patch_statistics(log_mel)
    patches = [log_mel[start : start + 68].numpy() for start in (0, 2)]
    np.testing.assert_allclose(mean[:2], [patch.mean() for patch in patches], rtol=1e-6)
    np.testing.assert_allclose(std[:2], [patch.std() for patch in patches], rtol=1e-6)
    assert torch.isnan(std[3])
    assert torch.isnan(patch_statistics(torch.full((68, 21), -13.7))[1]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "sn"}, "model: 'sn' is unknown"),
        ({"args": {"hop": 0.03}}, r"hop is 0\.03; it must be a multiple"),
        ({"args": {"hop": 0.0}}, "must be a multiple"),
        ({"args": {"read_out": "softmax"}}, "read_out: 'softmax' is unknown"),
        ({"args": {"silence": "loud"}}, "silence: 'loud' is unknown"),
        ({"weights": None}, "needs the authors'"),
    ],
)
def test_what_the_family_cannot_do_is_refused(change, message):
    config = load(ROOT / "embeddings" / "ina-sm.yaml", EmbeddingConfig)
    with pytest.raises(UserError, match=message):
        build_embedding(config.model_copy(update=change), device="cpu")


def test_weights_of_another_network_are_refused():
    from benchmark.embeddings.weights import resolve

    config = load(ROOT / "embeddings" / "ina-sm.yaml", EmbeddingConfig)
    other = load(ROOT / "embeddings" / "ina-smn.yaml", EmbeddingConfig)
    with pytest.raises(UserError, match=r"noise_cnn\.hdf5: layer conv2d_12: .*give the file that belongs"):
        build_embedding(config, weights=resolve(other.weights), device="cpu")
