from pathlib import Path

import pytest
import torch

from benchmark.audio.cepstra import Standardizer
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.checkpoint import Checkpoint
from benchmark.embeddings.pretrained import FEATURES, MODELS, build
from benchmark.errors import UserError
from tests.embeddings.contract import check_contract
from tests.parity.checkpoints import noisy_waveform
from tests.parity.seeded import seeded_array

VARIANTS = [(model, features) for model in MODELS for features in MODELS[model].patches]
DIMS = {"swishnet-slim": 40, "swishnet-wide": 80, "vgg-like": 64, "ina-kc": 512, "dnn": 128}


def write_checkpoint(path: Path, model: str, features: str, classes: tuple[str, ...] = ("music", "speech")) -> Path:
    """A checkpoint with seeded weights, as the training writes it."""
    size = FEATURES[features].build().size
    net = MODELS[model].build(size, len(classes))
    for key, value in net.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.from_numpy(seeded_array(key, tuple(value.shape), 1.4)))
    standardizer = Standardizer(torch.full((size,), -20.0), torch.full((size,), 30.0))
    Checkpoint.of(net, model, features, classes, standardizer, {"seed": 0}).write(path)
    return path


def embedding(path: Path, model: str, features: str):
    config = EmbeddingConfig(name="p", family="pretrained-here", model=model, args={"features": features})
    return build(config, path, "cpu")


@pytest.mark.parametrize(("model", "features"), VARIANTS)
def test_keeps_the_contract(tmp_path, model, features):
    built = embedding(write_checkpoint(tmp_path / "c.safetensors", model, features), model, features)
    assert built.dim == DIMS[model]
    check_contract(built)


def test_frames_lie_at_the_centres_of_their_patches(tmp_path):
    built = embedding(write_checkpoint(tmp_path / "c.safetensors", "vgg-like", "mel128"), "vgg-like", "mel128")
    _, times = built.embed([noisy_waveform(44_100, 22_050)])[0]
    assert len(times) == 8
    assert times[1] == pytest.approx((10 + 4.5) * 512 / 22_050)


def test_a_second_has_sixteen_frames_of_swishnets_cepstra():
    assert FEATURES["mfcc22"].build()(torch.randn(22_050)).shape == (17, 22)


def test_a_checkpoint_says_how_it_was_made_and_is_the_same_each_time(tmp_path):
    first = write_checkpoint(tmp_path / "a.safetensors", "dnn", "mel128")
    second = write_checkpoint(tmp_path / "b.safetensors", "dnn", "mel128")
    assert first.read_bytes() == second.read_bytes()
    found = Checkpoint.read(first)
    assert (found.model, found.features, found.classes) == ("dnn", "mel128", ("music", "speech"))
    assert found.provenance == {"seed": 0}


def test_the_checkpoint_of_another_network_is_refused(tmp_path):
    path = write_checkpoint(tmp_path / "c.safetensors", "ina-kc", "mfcc21")
    for model, features in (("dnn", "mel128"), ("ina-kc", "mel128")):
        with pytest.raises(UserError, match="ina-kc on mfcc21"):
            embedding(path, model, features)


def test_a_checkpoint_with_a_key_too_few_is_refused_by_name(tmp_path):
    path = write_checkpoint(tmp_path / "c.safetensors", "dnn", "mel128")
    found = Checkpoint.read(path)
    del found.state["hidden.1.bias"]
    found.write(path)
    with pytest.raises(UserError, match=r"hidden\.1\.bias"):
        embedding(path, "dnn", "mel128")


def test_something_else_is_not_a_checkpoint(tmp_path):
    (tmp_path / "c.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a checkpoint"):
        embedding(tmp_path / "c.safetensors", "dnn", "mel128")


def test_features_that_a_network_does_not_read_are_refused(tmp_path):
    with pytest.raises(UserError, match="features"):
        embedding(tmp_path / "c.safetensors", "vgg-like", "mfcc21")
