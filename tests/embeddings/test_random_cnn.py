from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.random_cnn import MODELS, SAMPLE_RATE, build
from benchmark.errors import UserError
from benchmark.models.keras_layout import assign
from benchmark.models.random_cnn import MusicalFilters, initialize
from tests.parity.checkpoints import noisy_waveform, relative_error
from tests.parity.make_random_cnn import LENGTHS, N, seeded_layer

ROOT = Path(__file__).parents[2]
REFERENCE = np.load(ROOT / "tests" / "parity" / "data" / "random_cnn.npz")


def random_cnn(model: str, **args):
    config = EmbeddingConfig(name="r", family="random-cnn", model=model, args={"filters": N, **args})
    return build(config, None, "cpu")


def tensorflow_shape(convolution: torch.nn.Module, model: str, position: int) -> tuple[int, ...]:
    """The shape of a kernel in TensorFlow; the frame-level networks' back end takes its inputs for frequencies."""
    outputs, inputs, *size = convolution.weight.shape
    if model.startswith("frame-level") and position >= (5 if model.endswith("many") else 1):
        return (*size, inputs, 1, outputs)
    return (*size, inputs, outputs)


def give_seeded_weights(net: torch.nn.Module, model: str) -> None:
    for position, convolution in enumerate(net.convolutions):
        kernel, bias = seeded_layer(model, position, tensorflow_shape(convolution, model, position))
        if isinstance(convolution, torch.nn.Conv1d) and kernel.ndim == 4:
            kernel = kernel.squeeze(2)
        assign(convolution, [kernel, bias], f"layer {position}")


@pytest.mark.parametrize("output", REFERENCE.files)
def test_agrees_with_the_authors(output):
    model, clip = output.split("_")
    embedding = random_cnn(model)
    give_seeded_weights(embedding.network, model)
    frames, _ = embedding.embed([noisy_waveform(LENGTHS[int(clip)], SAMPLE_RATE)])[0]
    assert relative_error(frames[0], REFERENCE[output]) < 1e-4


@pytest.mark.parametrize("part", ["timbral", "temporal"])
def test_the_parts_are_the_halves_of_the_whole(part):
    whole, half = random_cnn("timbral-temporal"), random_cnn(part)
    give_seeded_weights(whole.network, "timbral-temporal")
    for source, target in zip(getattr(whole.network, part), half.network.convolutions, strict=True):
        target.load_state_dict(source.state_dict())
    waveform = [noisy_waveform(20_000, SAMPLE_RATE)]
    halves = np.split(whole.embed(waveform)[0][0], 2, axis=1)
    assert np.array_equal(half.embed(waveform)[0][0], halves[part == "temporal"])


@pytest.mark.parametrize("model", MODELS)
def test_each_yaml_says_what_the_model_gives(model):
    config = load(ROOT / "embeddings" / f"randomcnn-{model}-s0.yaml", EmbeddingConfig)
    assert config.args["filters"] == MODELS[model].filters
    assert 3500 < config.dim < 3600
    embedding = build(config, None, "cpu")
    assert embedding.dim == config.dim


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("samples", [1, 1_200, 30_000, 110_000])
def test_any_length_gives_finite_frames_at_regular_times(model, samples):
    frames, times = random_cnn(model).embed([noisy_waveform(samples, SAMPLE_RATE)])[0]
    assert np.isfinite(frames).all()
    assert times[0] >= 0 and times[-1] <= samples / SAMPLE_RATE


@pytest.mark.parametrize("model", ["timbral-temporal", "sample-level"])
def test_neighbours_in_the_batch_change_nothing(model):
    embedding = random_cnn(model)
    clips = [noisy_waveform(110_000, SAMPLE_RATE), np.zeros(1_200, np.float32), np.ones(1, np.float32)]
    alone = [embedding.embed([clip])[0][0] for clip in clips]
    for together in (embedding.embed(clips), embedding.embed(clips[::-1])[::-1]):
        for one, (frames, _) in zip(alone, together, strict=True):
            assert np.array_equal(frames, one)


def test_the_seed_alone_draws_the_weights():
    nets = [MusicalFilters(8) for _ in range(3)]
    for net, seed in zip(nets, (0, 0, 1), strict=True):
        initialize(net, seed)
    first, same, other = (net.timbral[0].weight for net in nets)
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_weights_are_truncated_normal_with_the_variance_of_he():
    net = MusicalFilters(128)
    initialize(net, 0)
    weight = net.timbral[0].weight.detach()
    fan_in = weight[0].numel()
    deviation = (2.0 * 1.3 / fan_in) ** 0.5
    assert weight.abs().max() <= 2 * deviation
    assert float(weight.var()) == pytest.approx(2.0 / fan_in, rel=0.02)
    assert (net.timbral[0].bias == 0).all()


@pytest.mark.parametrize(
    ("model", "args", "named"),
    [("8x8", {}, "model"), ("timbral", {"seed": -1}, "seed"), ("small-filters", {"length": 188}, "1280")],
)
def test_arguments_that_do_not_fit_are_named(model, args, named):
    with pytest.raises(UserError, match=named):
        random_cnn(model, **args)


def test_weights_are_refused(tmp_path):
    config = EmbeddingConfig(name="r", family="random-cnn", model="timbral")
    with pytest.raises(UserError, match="weights: none"):
        build(config, tmp_path / "weights.h5", "cpu")
