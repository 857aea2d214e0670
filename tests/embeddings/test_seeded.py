"""Embeddings without anyone's weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.seeded import build_seeded
from benchmark.errors import UserError
from tests.parity.checkpoints import noisy_waveform

FOLDER = Path(__file__).parents[2] / "embeddings"
CLIP = noisy_waveform(12_000, 16_000)


def config(name: str) -> EmbeddingConfig:
    return load(FOLDER / f"{name}.yaml", EmbeddingConfig)


@pytest.mark.parametrize("name", ["ge2e", "acmus-ensemble", "gated-cnn-tagging", "swishnet-slim-mel", "musicnn-mtt"])
def test_a_seed_gives_the_same_network_each_time_and_another_seed_another(name):
    one, same, other = (build_seeded(config(name), seed=seed).embed([CLIP])[0][0] for seed in (0, 0, 1))
    assert one.shape[1] == config(name).dim
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3 * np.abs(one).max()


def test_the_global_generator_is_left_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    build_seeded(config("ina-kc-mfcc"))
    assert torch.rand(1) == expected


def test_what_needs_no_weights_is_built_as_ever():
    assert build_seeded(config("logmel-stats")).dim == config("logmel-stats").dim


def test_a_model_that_only_the_hub_knows_is_one_line():
    unknown = config("wav2vec2-base").model_copy(update={"model": "somebody/something"})
    with pytest.raises(UserError, match="somebody/something is known to the hub alone"):
        build_seeded(unknown)
