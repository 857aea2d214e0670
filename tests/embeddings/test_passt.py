"""PaSST against the authors' code, and what every embedding promises."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.passt import SAMPLE_RATE, LogMel, build, wrap
from benchmark.errors import UserError
from benchmark.models.passt import VARIANTS, PaSST
from benchmark.models.strict import load_strict
from tests.embeddings.contract import check_contract
from tests.parity.checkpoints import noisy_waveform, relative_error
from tests.parity.make_passt import FRONT_ENDS, LENGTHS, LONG, SMALL, passt_state
from tests.parity.seeded import seeded_waveform
from tests.parity.torch_weights import shapes

REFERENCE = np.load(Path(__file__).parents[1] / "parity" / "data" / "passt.npz")
DEFAULTS = {"output": "scene", "mode": "embed_only", "hop": 0.0, "dtype": "float32"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("passt") / "passt.pt"
    torch.save(passt_state(shapes(REFERENCE["layout-s"])), path)
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def full(weights):
    return passt(weights, mode="all")


def passt(path: Path, model: str = "s", **args):
    return build(EmbeddingConfig(name="p", family="passt", model=model, args=args), path, "cpu")


def small(**args):
    variant = dataclasses.replace(VARIANTS["s"], depth=SMALL["depth"])
    net = PaSST(variant, SMALL["embed_dim"], SMALL["num_heads"])
    load_strict(net, passt_state(shapes(REFERENCE["layout-small"])))
    return wrap(EmbeddingConfig(name="p", family="passt"), net, variant, {**DEFAULTS, **args}, "cpu")


@pytest.mark.parametrize("clip", range(3))
def test_agrees_with_the_authors(full, clip):
    waveform = noisy_waveform(LENGTHS[clip], SAMPLE_RATE)
    frames, times = full.embed([waveform])[0]
    expected = REFERENCE[f"scene-s-{clip}"]
    # Logits stand first.
    assert relative_error(frames[0, :527], expected[:527]) < 1e-4
    assert relative_error(frames[0, 527:], expected[527:]) < 1e-4
    assert np.allclose(times, [LENGTHS[clip] / 2 / SAMPLE_RATE])


def test_the_mean_over_the_windows_of_a_long_clip_agrees_with_the_authors():
    frames, times = small(mode="all").embed([noisy_waveform(LONG, SAMPLE_RATE)])[0]
    assert relative_error(frames.mean(axis=0), REFERENCE["scene-small-0"]) < 1e-4
    assert np.allclose(times, 2.5 * np.arange(5))


def test_timestamps_agree_with_the_authors():
    embedding = small(output="timestamps", mode="all")
    frames, times = embedding.embed([noisy_waveform(LONG, SAMPLE_RATE)[:40_001]])[0]
    assert relative_error(frames[:, ::5], REFERENCE["timestamps"]) < 1e-4
    assert np.allclose(times * 1000, REFERENCE["times"])


@pytest.mark.parametrize("variant", FRONT_ENDS)
def test_front_end_agrees_with_the_authors(variant):
    mel = LogMel(FRONT_ENDS[variant])(torch.from_numpy(noisy_waveform(4_801, SAMPLE_RATE))[None])[0]
    assert relative_error(mel.numpy(), REFERENCE[f"mel-{variant}"]) < 1e-4


def test_front_end_gives_the_published_figures():
    mel = LogMel(320)(torch.from_numpy(seeded_waveform(2 * SAMPLE_RATE, SAMPLE_RATE))[None])[0]
    assert mel.shape == (128, 200)
    figures = [mel.mean(), mel.std(), mel.min(), mel.max()]
    figures += [mel[i, j] for i, j in ((0, 0), (0, 100), (10, 100), (40, 100), (100, 100))]
    expected = [-0.51993, 0.91344, -1.4026, 1.5789, -0.01793, -1.31863, 1.05250, -0.56443, 0.74461]
    assert np.allclose(figures, expected, atol=1e-3)
    assert torch.allclose(LogMel(320)(torch.zeros(1, 4_801)), torch.tensor(-1.4026), atol=1e-4)


@pytest.mark.parametrize(
    ("variant", "parameters", "grid"),
    [
        ("s", 86_153_758, (12, 99)),
        ("s-stride16", 86_122_270, (8, 62)),
        ("l", 50_714_398, (12, 99)),
        ("s-20s", 86_231_326, (12, 200)),
        ("s-30s", 86_308_126, (12, 300)),
    ],
)
def test_has_the_parameters_of_the_original(variant, parameters, grid):
    with torch.device("meta"):
        net = PaSST(VARIANTS[variant])
    assert sum(parameter.numel() for parameter in net.parameters()) == parameters
    assert (net.freq_new_pos_embed.shape[2], net.time_new_pos_embed.shape[3]) == grid


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_takes_its_whole_window(variant):
    shape = VARIANTS[variant]
    with torch.device("meta"):
        net = PaSST(dataclasses.replace(shape, depth=1))
        frames = 1 + (round(shape.window_s * SAMPLE_RATE) - 2) // shape.hop
        assert net(torch.zeros(1, 128, frames)).shape == (1, 768)
        assert net.classify(torch.zeros(1, 768)).shape == (1, shape.classes)


@pytest.mark.parametrize("args", [{}, {"output": "timestamps", "hop": 0.5}])
def test_keeps_the_promises_of_an_embedding(args):
    check_contract(small(**args))


def test_frames_beyond_the_positions_are_left_out():
    net = small().network.net
    x = torch.randn(1, 128, 1_100)
    with torch.inference_mode():
        assert torch.equal(net(x), net(x[..., :1_000]))


def test_bfloat16_stays_near():
    clip = [noisy_waveform(40_000, SAMPLE_RATE)]
    exact, rough = (small(dtype=dtype).embed(clip)[0][0] for dtype in ("float32", "bfloat16"))
    assert 0 < relative_error(rough, exact) < 0.05


def test_reads_the_file_of_the_wrapper(tmp_path, weights, full):
    state = torch.load(weights, weights_only=True)
    path = tmp_path / "wrapped.pt"
    torch.save({"model": {f"net.{key}": value for key, value in state.items()}}, path)
    wrapped = passt(path, mode="logits")
    path.unlink()
    clip = [noisy_waveform(5_000, SAMPLE_RATE)]
    assert np.array_equal(wrapped.embed(clip)[0][0], full.embed(clip)[0][0][:, :527])


def test_other_keys_are_refused_by_name(tmp_path, weights):
    state = torch.load(weights, weights_only=True, mmap=True)
    path = tmp_path / "bad.pt"
    torch.save({key: value for key, value in state.items() if not key.startswith("blocks.3.attn")}, path)
    with pytest.raises(UserError, match=r"missing keys.*blocks\.3\.attn\.qkv\.bias"):
        passt(path)
    path.unlink()


def test_the_weights_of_another_variant_are_refused(weights):
    with pytest.raises(UserError, match=r"(time|freq)_new_pos_embed"):
        passt(weights, model="s-stride16")


@pytest.mark.parametrize("args", [{"hop": -1.0}, {"mode": "x"}, {"output": "x"}, {"more": 1}])
def test_wrong_arguments_are_refused(weights, args):
    with pytest.raises(UserError, match=next(iter(args))):
        passt(weights, **args)
