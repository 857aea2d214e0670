"""BEATs against the authors' code, and what every embedding promises."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.beats import SAMPLE_RATE, build
from benchmark.errors import UserError
from benchmark.models.beats import BEATs, PositionalConvolution, RelativeBias, of_pairs
from tests.embeddings.contract import check_contract
from tests.parity.checkpoints import noisy_waveform, relative_error
from tests.parity.make_beats import CONFIG, LENGTHS, beats_state
from tests.parity.torch_weights import shapes

REFERENCE = np.load(Path(__file__).parents[1] / "parity" / "data" / "beats.npz")
LAYOUT = shapes(REFERENCE["layout-pretrained"])
# The same architecture in small.
SMALL = {**CONFIG, "encoder_layers": 2, "encoder_embed_dim": 96, "encoder_ffn_embed_dim": 96, "embed_dim": 64}


def small_layout() -> dict[str, tuple[int, ...]]:
    sizes = {768: 96, 3072: 96, 512: 64, 48: 6}

    def shrink(key: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        if "grep" in key:
            return {(8, 64): (8, 8)}.get(shape, shape)
        return tuple(sizes.get(size, size) for size in shape)

    kept = {key: shape for key, shape in LAYOUT.items() if ".layers." not in key or int(key.split(".")[2]) < 2}
    return {key: shrink(key, shape) for key, shape in kept.items()}


def write(path: Path, config: dict, layout: dict, change=None) -> Path:
    state = beats_state(layout)
    if change is not None:
        change(state)
    torch.save({"cfg": config, "model": state}, path)
    return path


def beats(path: Path, **args):
    return build(EmbeddingConfig(name="b", family="beats", model="iter3+", args=args), path, "cpu")


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """The fine-tuned network: the pretrained one with a classifier on top."""
    layout = shapes(REFERENCE["layout-finetuned"])
    path = write(tmp_path_factory.mktemp("beats") / "b.pt", {**CONFIG, "finetuned_model": True}, layout)
    embedding = beats(path)
    path.unlink()
    return embedding


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("beats") / "small.pt", SMALL, small_layout())


@pytest.mark.parametrize("clip", range(3))
def test_agrees_with_the_authors(full, clip):
    waveform = noisy_waveform(LENGTHS[clip], SAMPLE_RATE)
    frames, times = full.embed([waveform])[0]
    assert relative_error(frames, REFERENCE[f"steps-{clip}"]) < 1e-4
    assert np.allclose(times, 0.16 * np.arange(len(times)) + 0.0875)
    heard = torch.from_numpy(full._heard(waveform, full.schedule.spans(len(waveform))[0]))[None]
    with torch.inference_mode():
        tokens = full.network.net((full.network.fbank(heard) - 15.41663) / 13.11164)
        probabilities = full.network.net.classify(tokens)[0].numpy()
    assert relative_error(probabilities, REFERENCE[f"probabilities-{clip}"]) < 1e-4
    if clip == 0:
        assert relative_error(tokens[0].numpy(), REFERENCE["tokens-0"]) < 1e-4


def test_gradients_flow_through_the_same_function(small):
    embedding = beats(small)
    fbank = embedding.network.fbank(torch.from_numpy(noisy_waveform(20_000, SAMPLE_RATE))[None])
    with torch.inference_mode():
        frozen = embedding.network.net(fbank).numpy()
    tokens = embedding.network.net(fbank)
    assert relative_error(tokens.detach().numpy(), frozen) < 1e-5
    tokens.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in embedding.network.net.parameters())


@pytest.mark.parametrize("tokens", [100, 129, 496, 513, 514])
def test_the_transformed_convolution_is_the_plain_one(tokens):
    torch.manual_seed(0)
    plain, fast = PositionalConvolution(32, 128, 4), PositionalConvolution(32, 128, 4)
    fast.load_state_dict(plain.state_dict())
    fast.prepare()
    x = torch.randn(2, 32, tokens)
    with torch.inference_mode():
        assert plain(x).shape == x.shape
        assert torch.allclose(fast(x), plain(x), atol=1e-5)


@pytest.mark.parametrize(("samples", "tokens"), [(10_000, 24), (16_000, 48), (48_000, 144), (160_000, 496)])
def test_gives_as_many_tokens_as_the_original(small, samples, tokens):
    embedding = beats(small)
    with torch.inference_mode():
        assert embedding.network.net(embedding.network.fbank(torch.zeros(1, samples))).shape == (1, tokens, 96)
    assert len(embedding.schedule.times(samples, SAMPLE_RATE)) == tokens // 8


def test_has_the_parameters_of_the_original():
    with torch.device("meta"):
        net = BEATs.from_config({**CONFIG, "finetuned_model": True})
    # The positional convolution has no strength (128) of its own here, and a gate 6 of 8 outputs less, in 12 layers.
    assert sum(parameter.numel() for parameter in net.parameters()) == 90_717_055 - 128 - 12 * 6 * 65


def test_silence_is_the_published_constant(full):
    fbank = full.network.fbank(torch.zeros(1, 2_800))
    assert torch.allclose((fbank - 15.41663) / 13.11164, torch.tensor(-2.3917), atol=1e-4)


def test_near_and_far_tokens_have_the_buckets_of_the_original():
    bias = RelativeBias(1, 320, 800)
    bias.table.weight.data[:, 0] = torch.arange(320.0)
    found = of_pairs(bias(1_000))[0]
    assert found[5, 5] == 0
    assert (found[100, 99], found[100, 21], found[99, 100], found[21, 100]) == (1, 79, 161, 239)
    assert (found[999, 919], found[999, 0], found[0, 999]) == (80, 159, 319)
    assert found[900, 500] == 80 + int(80 * np.log(400 / 80) / np.log(10))


@pytest.mark.parametrize("bands", ["mean", "concat"])
def test_keeps_the_promises_of_an_embedding(small, bands):
    check_contract(beats(small, bands=bands))


def test_a_long_clip_is_heard_in_windows(small):
    clip = noisy_waveform(SAMPLE_RATE * 23, SAMPLE_RATE)
    frames, times = beats(small).embed([clip])[0]
    assert np.allclose(times, 0.16 * np.arange((len(clip) - 2_800) // 2_560 + 1) + 0.0875)
    assert relative_error(frames[:62], beats(small).embed([clip[: 61 * 2_560 + 2_800]])[0][0]) < 1e-5
    last = (len(frames) - 62) * 2_560
    tail = beats(small).embed([clip[last:]])[0][0]
    assert relative_error(frames[124:], tail[124 - len(frames) :]) < 1e-5


def test_bands_side_by_side_average_to_their_mean(small):
    clip = [noisy_waveform(16_000, SAMPLE_RATE)]
    mean, concat = (beats(small, bands=bands).embed(clip)[0][0] for bands in ("mean", "concat"))
    assert np.allclose(concat.reshape(len(concat), 8, -1).mean(axis=1), mean, atol=1e-5)


def test_bfloat16_stays_near(small):
    clip = [noisy_waveform(32_000, SAMPLE_RATE)]
    exact, rough = (beats(small, dtype=dtype).embed(clip)[0][0] for dtype in ("float32", "bfloat16"))
    assert 0 < relative_error(rough, exact) < 0.05


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda state: state.pop("encoder.layers.1.fc1.bias"), r"missing key encoder\.layers\.1\.fc1\.bias"),
        (lambda state: state.update(more=torch.zeros(1)), "more"),
        (lambda state: state.update({"layer_norm.weight": torch.zeros(2)}), r"key layer_norm\.weight: shape \(2,\)"),
        (lambda state: state["encoder.layers.1.self_attn.relative_attention_bias.weight"].zero_(), "layer 0"),
    ],
)
def test_other_keys_are_refused_by_name(tmp_path, change, named):
    layout = small_layout()

    def separate(state):
        state.update({key: value.clone() for key, value in state.items()})
        change(state)

    with pytest.raises(UserError, match=named):
        beats(write(tmp_path / "bad.pt", SMALL, layout, separate))


@pytest.mark.parametrize(
    ("config", "named"),
    [({**SMALL, "deep_norm": False}, "deep_norm"), ({"encoder_layers": 2}, "encoder_embed_dim is missing")],
)
def test_another_architecture_is_refused(tmp_path, config, named):
    with pytest.raises(UserError, match=named):
        beats(write(tmp_path / "bad.pt", config, small_layout()))


def test_a_file_without_configuration_is_refused(tmp_path):
    torch.save({"model": {}}, tmp_path / "bad.pt")
    with pytest.raises(UserError, match="cfg"):
        beats(tmp_path / "bad.pt")
