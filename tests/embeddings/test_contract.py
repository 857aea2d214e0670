"""What every embedding promises: for every YAML, with its weights where a package index is enough, else with random ones."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.costs import key_of
from benchmark.embeddings.registry import build_embedding, family_module
from benchmark.embeddings.weights import is_here
from benchmark.errors import UserError
from tests.embeddings.contract import check_contract, check_hear
from tests.embeddings.thinned import build_thin, thin
from tests.parity.checkpoints import noisy_waveform

CONFIGS = [load(path, EmbeddingConfig) for path in sorted((Path(__file__).parents[2] / "embeddings").glob("*.yaml"))]
# Families whose YAML names no file of weights although they need something that may not be here.
NEEDS_MORE = {"hear", "opensmile", "pretrained-here", "transformers"}


def at_hand(config: EmbeddingConfig) -> bool:
    """Whether the embedding can be built with nothing but a package index."""
    if config.weights is None:
        return config.family not in NEEDS_MORE
    return config.weights.pypi is not None or is_here(config.weights)


def _case(config: EmbeddingConfig):
    # Large maps of small filters, many thousand frames a second.
    marks = [pytest.mark.slow] if config.family == "random-cnn" else []
    return pytest.param(config, id=config.name, marks=marks)


AT_HAND = [_case(config) for config in CONFIGS if at_hand(config)]
OTHERS = [config for config in CONFIGS if not at_hand(config)]
# Seconds of the longest clip where one of 1.7 s is less than a window and a half.
LONGEST_S = {"acmus-ensemble": 5.0, "acmus-speech-music": 5.0, "aenet": 3.2, "gated-cnn-tagging": 11.0, "mule": 3.5}
# What is a package, not a file.
PACKAGES = ("hear", "opensmile")


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_every_embedding_has_a_family_and_says_whose_it_is(config):
    assert family_module(config).startswith("benchmark.embeddings.")
    assert config.title != config.name
    # What has no known licence says so.
    notes = [config.note, config.weights.note if config.weights else None]
    assert config.licence or any(notes)


def test_baselines_and_wheels_are_at_hand():
    names = {config.name for config in CONFIGS if at_hand(config)}
    assert {"ina-sm", "ina-smn", "ina-gender", "ge2e", "logmel-stats", "mfcc-stats", "melspec-dnn"} <= names


@pytest.mark.parametrize("config", AT_HAND)
def test_company_changes_nothing_and_nothing_is_infinite(config):
    embedding = build_embedding(config, device="cpu")
    check_contract(embedding)
    check_hear(embedding)


_checked: set[str] = set()


@pytest.mark.parametrize("config", OTHERS, ids=lambda config: config.name)
def test_company_changes_nothing_and_nothing_is_infinite_whatever_the_weights(config, monkeypatch):
    thin(monkeypatch)
    try:
        embedding = build_thin(config)
    except UserError as error:
        if config.family not in PACKAGES:
            raise
        pytest.skip(str(error))
    if config.dim is not None:
        assert embedding.dim == config.dim
    # Under another YAML with the same arguments it is the same embedding, as there are no weights.
    if key_of(config) not in _checked:
        # AENet repeats what is shorter than its patch, to twice the length of a patch where it is less than a second.
        edge_seconds = 1.0 if config.family == "aenet" else 0.5
        check_contract(embedding, seconds=LONGEST_S.get(config.name, 1.7), edge_seconds=edge_seconds)
        check_hear(embedding)
        _checked.add(key_of(config))


@pytest.mark.parametrize("config", AT_HAND)
def test_frames_are_regular_and_come_out_the_same_twice(config):
    embedding = build_embedding(config, device="cpu")
    assert embedding.name == config.name
    clip = noisy_waveform(round(6.1 * embedding.sample_rate), embedding.sample_rate)
    frames, times = embedding.embed([clip])[0]
    again, _ = build_embedding(config, device="cpu").embed([clip])[0]
    np.testing.assert_array_equal(frames, again)
    assert (frames.dtype, times.dtype) == (np.float32, np.float64)
    assert frames.std() > 0
    if config.dim is not None:
        assert frames.shape[1] == config.dim
    # The last frame may lie closer, where a model has the clip's end heard.
    np.testing.assert_allclose(np.diff(times)[:-1], embedding.hop_seconds, rtol=0.05)
