"""The YAMLs of PANNs, BEATs and PaSST declare what their networks give; no weights are needed to know."""

from pathlib import Path

import pytest
import torch

from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings import passt
from benchmark.models.panns import MODELS
from benchmark.models.passt import VARIANTS, PaSST

CONFIGS = [
    config
    for path in sorted((Path(__file__).parents[2] / "embeddings").glob("*.yaml"))
    if (config := load(path, EmbeddingConfig)).family in ("panns", "beats", "passt", "transformers")
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_a_yaml_says_where_its_weights_come_from(config):
    assert config.weights is not None
    assert config.weights.file
    assert config.weights.http or config.weights.huggingface
    assert config.licence
    assert config.citation


@pytest.mark.parametrize("config", [c for c in CONFIGS if c.family == "panns"], ids=lambda config: config.name)
def test_a_yaml_of_panns_declares_what_the_network_gives(config):
    with torch.device("meta"):
        net = MODELS[config.model]()
    of_map = config.args["output"] == "map"
    assert config.dim == (net.channels if of_map else net.dim)
    assert config.hop == pytest.approx(net.stride / 100 if of_map else config.args["hop"])
    rates = {"cnn14-16k": 16_000, "cnn14-8k": 8_000}
    assert config.sample_rate == rates.get(config.model, 32_000)


@pytest.mark.parametrize("config", [c for c in CONFIGS if c.family == "passt"], ids=lambda config: config.name)
def test_a_yaml_of_passt_declares_what_the_network_gives(config):
    variant = VARIANTS[config.model]
    with torch.device("meta"):
        net = PaSST(variant)
    defaults = {"output": "scene", "mode": "embed_only", "hop": 0.0, "dtype": "float32"}
    # Raises where rate, size or hop differ.
    embedding = passt.wrap(config, net, variant, {**defaults, **config.args}, "meta")
    assert embedding.dim == config.dim


@pytest.mark.parametrize("config", [c for c in CONFIGS if c.family == "transformers"], ids=lambda config: config.name)
def test_a_yaml_of_the_hub_pins_weights_and_model_alike(config):
    assert config.weights.huggingface == config.model
    assert config.weights.revision == config.revision
