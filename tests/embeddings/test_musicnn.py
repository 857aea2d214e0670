from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.formats import read_tensor_bundle
from benchmark.embeddings.musicnn import NETS, SAMPLE_RATE, LogMel, build
from benchmark.embeddings.registry import build_embedding
from benchmark.errors import UserError
from tests.parity.checkpoints import musicnn_variables, noisy_waveform, relative_error, write_tensor_bundle
from tests.parity.make_musicnn import LENGTHS
from tests.parity.seeded import seeded_waveform

ROOT = Path(__file__).parents[2]
REFERENCE = np.load(ROOT / "tests" / "parity" / "data" / "musicnn.npz")
READ_OUTS = [("mtt", "penultimate"), ("mtt", "mean_pool"), ("mtt", "max_pool"), ("mtt-vgg", "pool5")]


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("musicnn")
    return {
        "mtt": write_tensor_bundle(folder / "musicnn", musicnn_variables()),
        "mtt-vgg": write_tensor_bundle(folder / "vgg", musicnn_variables(vgg=True)),
    }


def musicnn(weights: Path, model: str, **args):
    return build(EmbeddingConfig(name="m", family="musicnn", model=model, args=args), weights, "cpu")


@pytest.mark.parametrize(("model", "read_out"), READ_OUTS)
@pytest.mark.parametrize("clip", range(3))
def test_agrees_with_the_package(weights, model, read_out, clip):
    embedding = musicnn(weights[model], model, read_out=read_out)
    frames, times = embedding.embed([noisy_waveform(LENGTHS[clip], SAMPLE_RATE)])[0]
    name = "MTT_vgg" if model.endswith("vgg") else "MTT_musicnn"
    assert relative_error(frames, REFERENCE[f"{name}-{read_out}-{clip}"]) < 1e-4
    assert np.allclose(times, (187 * np.arange(len(times)) + 93) * 0.016)


def test_front_end_agrees_with_librosa_and_the_published_figures():
    patch = np.pad(noisy_waveform(LENGTHS[0], SAMPLE_RATE), (256, 186 * 256 + 256 - LENGTHS[0]))
    assert relative_error(LogMel()(torch.from_numpy(patch)[None])[0].numpy(), REFERENCE["log_mel"]) < 1e-5
    signal = np.pad(seeded_waveform(4 * SAMPLE_RATE, SAMPLE_RATE), 256)
    log_mel = LogMel()(torch.from_numpy(signal)[None])[0]
    assert log_mel.shape == (251, 96)
    assert np.allclose(
        [*log_mel[10, :4], log_mel.mean()], [0.006701, 0.018366, 0.068291, 0.313069, 0.737642], atol=1e-5
    )


@pytest.mark.parametrize(("model", "numbers"), [("mtt", 792_079), ("mtt-vgg", 607_030)])
def test_has_the_published_number_of_parameters(model, numbers):
    state = NETS[model]().state_dict()
    assert sum(tensor.numel() for key, tensor in state.items() if "num_batches" not in key) == numbers


@pytest.mark.parametrize("model", ["mtt", "mtt-vgg"])
def test_neighbours_in_the_batch_change_nothing(weights, model):
    embedding = musicnn(weights[model], model)
    clips = [noisy_waveform(100_000, SAMPLE_RATE), np.zeros(1_600, np.float32), np.ones(1, np.float32)]
    alone = [embedding.embed([clip])[0][0] for clip in clips]
    for together in (embedding.embed(clips), embedding.embed(clips[::-1])[::-1]):
        for one, (frames, _) in zip(alone, together, strict=True):
            assert relative_error(frames, one) < 1e-5


def test_a_loud_sound_does_not_overflow(weights):
    # A sine of amplitude 1 has a mel power that float16 cannot hold once it is multiplied by 10,000.
    t = np.arange(48_000) / SAMPLE_RATE
    frames = musicnn(weights["mtt"], "mtt").embed([np.sin(2 * np.pi * 440 * t).astype(np.float32)])[0][0]
    assert np.isfinite(frames).all()


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
def test_other_variables_are_refused_by_name(tmp_path, change):
    variables = musicnn_variables()
    if change == "missing":
        del variables["conv2d_3/bias"]
    elif change == "unexpected":
        variables["lstm/kernel"] = np.zeros((2, 2), np.float32)
    else:
        variables["dense_1/kernel"] = np.zeros((200, 10), np.float32)
    named = {"missing": "conv2d_3/bias", "unexpected": "lstm/kernel", "shape": "dense_1"}[change]
    with pytest.raises(UserError, match=named):
        musicnn(write_tensor_bundle(tmp_path / "bad", variables), "mtt")


def test_a_checkpoint_without_its_index_is_refused(weights, tmp_path):
    lonely = tmp_path / "musicnn.data-00000-of-00001"
    lonely.write_bytes(weights["mtt"].read_bytes())
    with pytest.raises(UserError, match=r"musicnn\.index"):
        musicnn(lonely, "mtt")


# The published weights on a given network input: mean and standard deviation of the logits, the first three of them.
LOGITS = {
    "musicnn-mtt": (-4.81100, 1.76135, -2.7646, -4.8877, -1.8581),
    "musicnn-msd": (-6.48404, 2.04389, -5.1590, -7.3849, -5.5116),
    "musicnn-mtt-vgg": (-3.22469, 1.31932),
    "musicnn-msd-vgg": (-4.03693, 1.50454),
}


@pytest.mark.parametrize("name", LOGITS)
def test_the_published_weights_give_the_published_figures(name):
    config = load(ROOT / "embeddings" / f"{name}.yaml", EmbeddingConfig)
    try:
        net = build_embedding(config, device="cpu").network[1].net
    except UserError as error:
        if "pip cannot download" not in str(error):
            raise
        pytest.skip(f"the package index cannot be reached: {error}")
    i, j = np.arange(187)[:, None], np.arange(96)[None]
    x = 1.5 + np.sin(0.05 * i + 0.2 * j) + 0.5 * np.cos(0.3 * i * j / 96)
    with torch.inference_mode():
        logits = net.read_outs(torch.from_numpy(x).float()[None])["logits"][0]
    expected = LOGITS[name]
    figures = [logits.mean(), logits.std(correction=0), *logits[:3]]
    assert np.allclose(figures[: len(expected)], expected, atol=1e-3)


def test_reads_what_it_is_given(tmp_path):
    variables = {"a/b": np.arange(6, dtype=np.float32).reshape(2, 3), "a/bc": np.ones(1, np.float32)}
    data = write_tensor_bundle(tmp_path / "x", variables)
    read = read_tensor_bundle(tmp_path / "x.index", data)
    assert read.keys() == variables.keys()
    assert all(np.array_equal(read[name], variables[name]) for name in variables)
    data.write_bytes(data.read_bytes()[:-4])
    with pytest.raises(UserError, match=r"x\.index"):
        read_tensor_bundle(tmp_path / "x.index", data)
    (tmp_path / "x.index").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"x\.index"):
        read_tensor_bundle(tmp_path / "x.index", data)
