from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.audio.frontends import MelSpectrogram
from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings import ge2e
from benchmark.embeddings.registry import build_embedding
from benchmark.errors import UserError
from benchmark.models.ge2e import Ge2e, load_resemblyzer
from tests.parity.checkpoints import relative_error
from tests.parity.make_ge2e import GAINS, LENGTHS
from tests.parity.seeded import seeded_waveform

ROOT = Path(__file__).parents[2]
REFERENCE = np.load(ROOT / "tests" / "parity" / "data" / "ge2e.npz")


@pytest.fixture(scope="module")
def config():
    return load(ROOT / "embeddings" / "ge2e.yaml", EmbeddingConfig)


@pytest.fixture(scope="module")
def embedding(config):
    return build_embedding(config, device="cpu")


@pytest.mark.parametrize("gain", GAINS)
@pytest.mark.parametrize("length", LENGTHS)
def test_agrees_with_resemblyzer(embedding, gain, length):
    waveform = (gain * seeded_waveform(length, 16_000)).astype(np.float32)
    frames, times = embedding.embed([waveform])[0]
    assert relative_error(frames, REFERENCE[f"{gain}/{length}/partials"]) < 1e-4
    np.testing.assert_allclose(times, REFERENCE[f"{gain}/{length}/starts"] / 16_000 + 0.8)
    mean = frames.mean(axis=0)
    assert relative_error(mean / np.linalg.norm(mean), REFERENCE[f"{gain}/{length}/utterance"]) < 1e-4


def test_has_the_published_values(embedding):
    # The signal is louder than -30 dBFS, so that its volume stays.
    frames, times = embedding.embed([seeded_waveform(32_000, 16_000)])[0]
    np.testing.assert_allclose(times, [0.8, 1.57])
    assert [np.count_nonzero(frame) for frame in frames] == [90, 109]
    assert frames[0] @ frames[1] == pytest.approx(0.833019, abs=1e-4)
    utterance = frames.mean(axis=0) / np.linalg.norm(frames.mean(axis=0))
    assert utterance.argmax() == 9
    np.testing.assert_allclose(
        utterance[[9, 0, 2, 8, 10, 11]], [0.354186, 0.054373, 0.090603, 0.062557, 0.071434, 0.173064], atol=1e-4
    )
    assert utterance.sum() == pytest.approx(8.358233, abs=1e-3)


def test_front_end_has_the_published_values():
    padded = np.pad(seeded_waveform(32_000, 16_000), (0, (77 + 160) * 160 - 32_000))
    mel = MelSpectrogram(16_000, 400, 160, 40)(torch.from_numpy(padded))
    assert mel.shape == (238, 40)
    np.testing.assert_allclose(mel[0, :4], [0.257261, 0.950869, 1.561204, 0.396709], atol=1e-4)
    assert mel[50, 5].item() == pytest.approx(1.993044, abs=1e-4)
    assert mel.sum().item() == pytest.approx(2261.442, abs=0.05)


@pytest.mark.parametrize(
    ("samples", "starts"),
    # The second partial needs 77 * 160 + 0.75 * 25600 samples.
    [(1, [0]), (25_600, [0]), (31_519, [0]), (31_520, [0, 77]), (44_000, [0, 77, 154])],
)
def test_partials_need_three_quarters_of_sound(samples, starts):
    assert ge2e.partial_starts(samples).tolist() == starts


def test_quiet_clips_are_raised_and_loud_ones_kept():
    waveform = seeded_waveform(16_000, 16_000)
    raised = ge2e.raise_volume(1e-3 * waveform)
    assert 10 * np.log10(np.mean(raised.astype(float) ** 2)) == pytest.approx(-30.0, abs=1e-4)
    assert ge2e.raise_volume(waveform) is waveform
    assert not ge2e.raise_volume(np.zeros(100, np.float32)).any()


def test_level_of_a_quiet_clip_does_not_matter(embedding):
    waveform = seeded_waveform(40_000, 16_000)
    (one, _), (other, _) = embedding.embed([1e-2 * waveform, 1e-5 * waveform])
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_vectors_have_unit_length_and_no_negative_entries(embedding):
    frames, _ = embedding.embed([seeded_waveform(100_000, 16_000)])[0]
    np.testing.assert_allclose(np.linalg.norm(frames, axis=1), 1.0, atol=1e-5)
    assert (frames >= 0).all()


def test_a_partial_without_positive_entries_is_zero():
    net = Ge2e()
    with torch.no_grad():
        net.linear.weight.zero_()
        net.linear.bias.fill_(-1.0)
        assert not net(torch.rand(2, 160, 40)).any()


def test_trimming_drops_pauses_and_keeps_the_clip_s_times(config):
    trimming = build_embedding(config.model_copy(update={"args": {"trim": True}}), device="cpu")
    sound, pause = seeded_waveform(48_000, 16_000), np.zeros(80_000, np.float32)
    clip = np.concatenate([sound, pause, sound])
    kept = ge2e.voiced(clip)
    # Dilation keeps a little of the pause on either side.
    assert 96_000 < len(kept) < 96_000 + 20 * 480
    frames, times = trimming.embed([clip])[0]
    assert len(frames) == len(ge2e.partial_starts(len(kept)))
    assert not ((times > 3.4) & (times < 7.6)).any()
    assert times[-1] > 8.0
    assert len(ge2e.voiced(np.zeros(5_000, np.float32))) == 5_000
    assert len(ge2e.voiced(sound[:100])) == 100
    assert 0 < len(ge2e.voiced(sound[:2_000])) <= 2_000


def test_refuses_weights_of_something_else(config, tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"state": {}}, path)
    with pytest.raises(UserError, match="not Resemblyzer's checkpoint"):
        build_embedding(config, weights=path, device="cpu")
    torch.save({"model_state": {"lstm.weight": torch.ones(1)}}, path)
    with pytest.raises(UserError, match="missing keys"):
        build_embedding(config, weights=path, device="cpu")


def test_loss_only_entries_are_left_out():
    net = Ge2e()
    state = {**net.state_dict(), "similarity_weight": torch.ones(1), "similarity_bias": torch.ones(1)}
    load_resemblyzer(Ge2e(), state)
    with pytest.raises(ValueError, match=r"unexpected keys: \['extra'\]"):
        load_resemblyzer(net, {**state, "extra": torch.ones(1)})
