from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.formats import read_keras_h5
from benchmark.embeddings.gated_cnn import build
from benchmark.errors import UserError
from benchmark.models.gated_cnn import GatedCnn, load_keras
from tests.parity.checkpoints import relative_error, write_keras_h5
from tests.parity.make_gated_cnn import SAMPLES, gated_layers, scaler, waveform

REFERENCE = np.load(Path(__file__).parents[1] / "parity" / "data" / "gated_cnn.npz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gated")
    for model in SAMPLES:
        write_keras_h5(folder / f"{model}.hdf5", gated_layers(model))
    mean, scale = scaler()
    np.savez(folder / "scaler.npz", mean=mean, scale=scale)
    return folder


def gated(folder: Path, model: str = "tagging"):
    return build(EmbeddingConfig(name="g", family="gated-cnn", model=model), folder / f"{model}.hdf5", "cpu")


@pytest.mark.parametrize(("model", "samples"), [(model, n) for model, lengths in SAMPLES.items() for n in lengths])
def test_agrees_with_the_scripts(folder, model, samples):
    frames, times = gated(folder, model).embed([waveform(samples)])[0]
    expected = REFERENCE[f"{model}_{samples}"].reshape(-1, 256)
    if model == "detection":
        frames, times = frames[::8], times[::8]
    assert relative_error(frames, expected[: len(frames)]) < 1e-4
    assert len(frames) == -(-(1 + max(0, samples - 1024) // 664) // 8)
    assert np.all(np.diff(times) > 0)


@pytest.mark.parametrize("model", SAMPLES)
def test_classifier_agrees_with_the_scripts(folder, model):
    embedding = gated(folder, model)
    net = GatedCnn(model).eval()
    load_keras(net, read_keras_h5(folder / f"{model}.hdf5"))
    with torch.inference_mode():
        features = embedding.features(torch.from_numpy(waveform(48000)))
        features = torch.nn.functional.pad(features, (0, 0, 0, 240 - len(features)))
        scores = net(embedding.scaler(features)[None]).numpy()
    assert relative_error(scores, REFERENCE[f"{model}_48000_scores"]) < 1e-4


def test_a_missing_layer_and_a_missing_scaler_are_named(folder, tmp_path):
    layers = gated_layers("tagging")
    del layers["bidirectional_2"]
    write_keras_h5(tmp_path / "tagging.hdf5", layers)
    with pytest.raises(UserError, match="bidirectional_2"):
        gated(tmp_path)
    write_keras_h5(tmp_path / "tagging.hdf5", gated_layers("tagging"))
    with pytest.raises(UserError, match="scaler"):
        gated(tmp_path)
