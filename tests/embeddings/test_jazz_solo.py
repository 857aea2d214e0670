from pathlib import Path

import numpy as np
import pytest

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.jazz_solo import SAMPLE_RATE, build
from benchmark.errors import UserError
from benchmark.models.jazz_solo import JazzSolo
from tests.embeddings.contract import check_contract
from tests.parity.checkpoints import noisy_waveform, relative_error, write_keras_h5
from tests.parity.make_jazz_solo import SECONDS, jazz_layers

REFERENCE = np.load(Path(__file__).parents[1] / "parity" / "data" / "jazz_solo.npz")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return write_keras_h5(tmp_path_factory.mktemp("jazz") / "jazz.hdf5", jazz_layers())


def jazz(weights: Path, **args):
    return build(EmbeddingConfig(name="j", family="jazz-solo", args=args), weights, "cpu")


@pytest.mark.parametrize("seconds", SECONDS)
def test_agrees_with_keras(weights, seconds):
    frames, times = jazz(weights).embed([noisy_waveform(round(seconds * SAMPLE_RATE), SAMPLE_RATE)])[0]
    assert relative_error(frames, REFERENCE[f"seconds_{seconds}"]) < 1e-4
    assert np.allclose(times, (np.arange(len(times)) * 21 + 21) * 512 / SAMPLE_RATE)


def test_keeps_the_contract(weights):
    check_contract(jazz(weights))
    assert jazz(weights, readout="maxima").embed([np.ones(9, np.float32)])[0][0].shape == (1, 256)


def test_has_the_number_of_parameters_of_the_published_configuration():
    assert sum(p.numel() for p in JazzSolo().parameters()) == 1_440_998


def test_an_unexpected_layer_is_named(tmp_path):
    layers = jazz_layers() | {"dense_4": {"kernel": np.zeros((2, 2), np.float32)}}
    with pytest.raises(UserError, match="dense_4"):
        jazz(write_keras_h5(tmp_path / "jazz.hdf5", layers))
