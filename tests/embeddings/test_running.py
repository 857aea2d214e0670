import functools
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings import precision
from benchmark.embeddings.registry import FAMILIES, build_embedding
from benchmark.embeddings.running import CONVERTED, in_precision, prepare
from tests.parity.checkpoints import noisy_waveform, relative_error

ROOT = Path(__file__).parents[2]


def config(name: str) -> EmbeddingConfig:
    return load(ROOT / "embeddings" / f"{name}.yaml", EmbeddingConfig)


def frames(name: str, precision: str = "float32", compiled: bool = False) -> np.ndarray:
    described = in_precision(config(name), precision)
    embedding = build_embedding(described, device="cpu")
    prepare(embedding, described, precision, compiled)
    return embedding.embed([noisy_waveform(3 * embedding.sample_rate, embedding.sample_rate)])[0][0]


def test_families_that_convert_their_network_are_those_that_know_dtypes():
    knowing = {
        family
        for family, name in FAMILIES.items()
        if getattr(importlib.import_module(name), "DTYPES", None) is not None
    }
    assert knowing == CONVERTED
    assert precision.DTYPES == ("float32", "bfloat16", "float16")


@pytest.mark.parametrize(
    ("name", "kind", "most"),
    [
        ("ina-sm", "bfloat16", 3e-2),
        ("ge2e", "bfloat16", 6e-2),
        ("musicnn-mtt", "bfloat16", 3e-2),
        ("ina-sm", "float16", 5e-3),
        ("musicnn-mtt", "float16", 5e-3),
    ],
)
def test_half_precision_is_coarser_and_near(name, kind, most):
    assert most / 300 < relative_error(frames(name, kind), frames(name)) < most


def test_what_has_no_network_stays_exact():
    for name in ("logmel-stats", "lu-speech-music"):
        np.testing.assert_array_equal(frames(name, "bfloat16", compiled=True), frames(name))


def test_the_yaml_has_the_last_word():
    own = config("panns-cnn14").model_copy(update={"args": {"dtype": "float32"}})
    assert in_precision(own, "bfloat16") == own
    assert in_precision(config("panns-cnn14"), "bfloat16").args["dtype"] == "bfloat16"
    assert in_precision(config("ina-sm"), "bfloat16") == config("ina-sm")
    assert in_precision(config("panns-cnn14"), "float32") == config("panns-cnn14")


@pytest.mark.parametrize("name", ["ge2e", "lu-speech-music"])
def test_a_compiled_network_gives_the_same(name, monkeypatch):
    # The graph is caught as always, but run as it is: compilers take minutes.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    assert relative_error(frames(name, compiled=True), frames(name)) < 1e-5
