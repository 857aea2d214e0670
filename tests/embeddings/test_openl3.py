import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.openl3 import BANDS, FRONTENDS, SAMPLE_RATE, Spectrogram, build
from benchmark.errors import UserError
from tests.parity.checkpoints import noisy_waveform, openl3_layers, relative_error, write_keras_h5
from tests.parity.make_openl3 import HOP_S, LENGTHS

REFERENCE = np.load(Path(__file__).parents[1] / "parity" / "data" / "openl3.npz")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return write_keras_h5(tmp_path_factory.mktemp("openl3") / "openl3.h5", openl3_layers())


def openl3(weights: Path, model: str, **args):
    config = EmbeddingConfig(name="o", family="openl3", model=model, args={"hop": HOP_S, **args})
    return build(config, weights, "cpu")


@pytest.mark.parametrize("output", REFERENCE.files)
def test_agrees_with_the_package(weights, output):
    frontend, representation, size, clip = output.split("-")
    embedding = openl3(weights, f"{representation}-{size}", frontend=frontend)
    frames, times = embedding.embed([noisy_waveform(LENGTHS[int(clip)], SAMPLE_RATE)])[0]
    assert relative_error(frames, REFERENCE[output]) < 1e-4
    assert np.allclose(times, np.arange(len(frames)) * HOP_S)


# RandomState(0).randn(48000) * 0.1: mean and standard deviation, then the values at band 10, frames 50 to 52.
NOISE = {
    ("kapre", "linear"): (-6.7644, 2.8074, -2.6274, -6.4052, -10.6507),
    ("kapre", "mel128"): (-5.5518, 2.5226, -4.6300, -5.0066, -5.5619),
    ("kapre", "mel256"): (-7.2632, 2.8413, -10.3115, -9.8579, -10.5953),
    ("legacy", "linear"): (-6.7644, 2.8074, -2.6274, -6.4052, -10.6507),
    ("legacy", "mel128"): (-4.7571, 1.3415, -7.3257, -8.5077, -5.9267),
    ("legacy", "mel256"): (-6.7771, 6.7655),
}


@pytest.mark.parametrize(("frontend", "representation"), NOISE)
def test_front_end_gives_the_published_figures(frontend, representation):
    noise = torch.from_numpy(np.random.RandomState(0).randn(48_000) * 0.1)[None]
    spectrogram = Spectrogram(representation, frontend)(noise)
    figures = [spectrogram.mean(), spectrogram.std(), *spectrogram[0, 0, 10, 50:53]]
    expected = NOISE[frontend, representation]
    assert np.allclose(figures[: len(expected)], expected, atol=1e-3)


@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("representation", BANDS)
def test_silence_is_a_picture_of_0_db(representation, frontend):
    spectrogram = Spectrogram(representation, frontend)(torch.zeros(1, 48_000))
    frames = 197 if representation == "linear" else 199
    assert spectrogram.shape == (1, 1, BANDS[representation] or 257, frames)
    assert (spectrogram == 0).all()


def test_gain_changes_nothing():
    x = torch.from_numpy(noisy_waveform(48_000, SAMPLE_RATE))[None]
    assert torch.allclose(Spectrogram("mel128")(x), Spectrogram("mel128")(0.1 * x), atol=1e-4)


def test_the_small_embedding_is_the_maximum_over_the_large_one(weights):
    waveform = [noisy_waveform(10_000, SAMPLE_RATE)]
    small = openl3(weights, "mel128-512").embed(waveform)[0][0]
    large = openl3(weights, "mel128-6144").embed(waveform)[0][0]
    assert np.array_equal(small, large.reshape(len(large), 12, 512).max(axis=1))


def test_neighbours_in_the_batch_change_nothing(weights):
    embedding = openl3(weights, "mel128-512", hop=1.0)
    clips = [noisy_waveform(60_000, SAMPLE_RATE), np.zeros(4_800, np.float32), np.ones(1, np.float32)]
    alone = [embedding.embed([clip])[0][0] for clip in clips]
    for together in (embedding.embed(clips), embedding.embed(clips[::-1])[::-1]):
        for one, (frames, _) in zip(alone, together, strict=True):
            assert relative_error(frames, one) < 1e-5


def test_reads_the_gzipped_file(weights, tmp_path):
    packed = tmp_path / "openl3.h5.gz"
    packed.write_bytes(gzip.compress(weights.read_bytes(), 1))
    waveform = [noisy_waveform(4_800, SAMPLE_RATE)]
    plain, unpacked = (openl3(path, "mel128-512").embed(waveform)[0][0] for path in (weights, packed))
    assert np.array_equal(plain, unpacked)


def test_bfloat16_stays_near(weights):
    waveform = [noisy_waveform(4_800, SAMPLE_RATE)]
    exact, rounded = (
        openl3(weights, "mel128-512", dtype=dtype).embed(waveform)[0][0] for dtype in ("float32", "bfloat16")
    )
    assert 1e-4 < relative_error(rounded, exact) < 0.05


def change_missing(layers):
    del layers["audio_embedding_layer"]


def change_unexpected(layers):
    layers["dense_1"] = {"kernel": np.zeros((2, 2), np.float32)}


def change_shape(layers):
    layers["conv2d_9"]["kernel"] = np.zeros((3, 3, 64, 32), np.float32)


@pytest.mark.parametrize(
    ("change", "named"),
    [(change_missing, "batch_normalization_16"), (change_unexpected, "dense_1"), (change_shape, "conv2d_9")],
)
def test_other_layers_are_refused_by_name(tmp_path, change, named):
    layers = openl3_layers()
    change(layers)
    path = write_keras_h5(tmp_path / "bad.h5", layers)
    with pytest.raises(UserError, match=named):
        openl3(path, "mel128-512")


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("not found")
    with pytest.raises(UserError, match=r"page\.html"):
        openl3(path, "mel128-512")


@pytest.mark.parametrize(
    ("model", "args", "named"),
    [
        ("mel64-512", {}, "model"),
        ("mel128-512", {"frontend": "torch"}, "frontend"),
        ("mel128-512", {"hop": 0.0}, "hop"),
        ("mel128-512", {"dtype": "int8"}, "dtype"),
    ],
)
def test_arguments_that_do_not_fit_are_named(weights, model, args, named):
    with pytest.raises(UserError, match=named):
        openl3(weights, model, **args)
