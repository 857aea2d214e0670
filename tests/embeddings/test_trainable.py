"""Networks that can be trained on: what they read and give is what the frozen embedding reads and gives."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.catalogue import Catalogue
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.registry import FAMILIES, build_embedding, build_trainable
from benchmark.embeddings.trainable import evenly
from benchmark.embeddings.weights import is_here, resolve
from benchmark.errors import UserError
from benchmark.models.freezing import Freezable
from tests.embeddings.test_pretrained import VARIANTS, write_checkpoint
from tests.parity.checkpoints import noisy_waveform

ROOT = Path(__file__).resolve().parents[2]
# Those of the zoo are in test_zoo_trainable.
FAMILIES_HERE = ("pretrained-here", "ina", "jazz-solo")
CONFIGS = {
    name: config
    for name, config in Catalogue.read(ROOT).embeddings.items()
    if config.trainable and config.family in FAMILIES_HERE
}


def check_agrees(config: EmbeddingConfig, weights: Path) -> None:
    trainable = build_trainable(config, weights)
    waveform = noisy_waveform(3 * trainable.sample_rate, trainable.sample_rate)
    frames, _ = build_embedding(config, weights, "cpu").embed([waveform])[0]
    net = trainable.pretrained()
    inputs = trainable.inputs(waveform, None)
    with torch.no_grad():
        np.testing.assert_allclose(net.eval().embed(inputs).numpy(), frames, rtol=1e-4, atol=1e-4)
    assert frames.shape[1] == trainable.dim
    some = trainable.inputs(waveform, 2)
    assert torch.equal(some, inputs[evenly(len(inputs), 2)])
    assert torch.isfinite(trainable.inputs(waveform[:1], None)).all()


@pytest.mark.parametrize(("model", "features"), VARIANTS)
def test_networks_trained_here_read_what_their_embedding_reads(tmp_path, model, features):
    config = EmbeddingConfig(name="p", family="pretrained-here", model=model, args={"features": features})
    check_agrees(config, write_checkpoint(tmp_path / "c.safetensors", model, features))


@pytest.mark.parametrize("model", ["sm", "smn", "gender"])
def test_ina_reads_what_its_embedding_reads(model):
    config = CONFIGS[f"ina-{model}"]
    if not is_here(config.weights):
        pytest.skip("INA's wheel is not in the cache")
    check_agrees(config.model_copy(update={"args": {"hop": 0.3}, "hop": 0.3}), resolve(config.weights))


def test_silence_gives_ina_nothing():
    trainable = build_trainable(CONFIGS["ina-sm"], None)
    assert not trainable.inputs(np.zeros(32_000, np.float32), None).any()


@pytest.mark.parametrize("name", CONFIGS)
def test_every_trainable_embedding_can_be_trained_from_scratch(name):
    trainable = build_trainable(CONFIGS[name], None)
    inputs = trainable.inputs(noisy_waveform(2 * trainable.sample_rate, trainable.sample_rate), 2)
    net = trainable.fresh(3, inputs)
    assert isinstance(net, Freezable)
    net.eval()
    with torch.no_grad():
        assert net(inputs).shape == (len(inputs), 3)
        torch.testing.assert_close(net.rest(net.stem(inputs)), net.embed(inputs))
    net.freeze("IN")
    fixed = [key for key, parameter in net.named_parameters() if not parameter.requires_grad]
    assert fixed and len(fixed) < len(list(net.parameters()))


def test_a_family_that_cannot_be_trained_says_so():
    config = EmbeddingConfig(name="g", family="handcrafted", trainable=True)
    assert "handcrafted" in FAMILIES
    with pytest.raises(UserError, match="trainable: false"):
        build_trainable(config, None)


def test_frames_are_chosen_evenly():
    assert evenly(4, None).tolist() == [0, 1, 2, 3]
    assert evenly(4, 10).tolist() == [0, 1, 2, 3]
    assert evenly(10, 2).tolist() == [2, 7]
    assert evenly(1, 6).tolist() == [0]
