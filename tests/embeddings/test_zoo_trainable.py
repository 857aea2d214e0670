"""Networks of the zoo under the strategies: they read and give what the frozen embedding does, and freeze where they say."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.catalogue import Catalogue
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.registry import FAMILIES, build_trainable
from benchmark.embeddings.seeded import build_seeded
from benchmark.embeddings.trainable import Cut
from benchmark.embeddings.weight_files import RANDOM
from benchmark.errors import UserError
from benchmark.metrics.folds import make_splits
from benchmark.training.settings import TrainSettings
from benchmark.training.transfer import Transferred, transfer
from tests.embeddings import hub_folders
from tests.parity.checkpoints import noisy_waveform

ROOT = Path(__file__).resolve().parents[2]

# Family, model, arguments, seconds of the clip that is read whole, a part that stays and one that learns at IN.
ZOO = [
    ("aclnet", None, {}, 2.56, "LLF.conv.weight", "HLF.conv1.weight"),
    ("acmus", "ensemble", {}, 3.0, "net.convs.3.weight", "net.dense.weight"),
    ("aenet", None, {}, 2.0, "conv2b.weight", "fc5.weight"),
    ("beats", "iter3", {"window": 0.5}, 0.5, "layers.5.qkv.weight", "layers.6.qkv.weight"),
    ("gated-cnn", "tagging", {}, 9.9, "net.conv.weight", "net.gate.ahead.kernel.weight"),
    ("ge2e", None, {}, 1.6, "lstm.weight_ih_l1", "lstm.weight_ih_l2"),
    ("musicnn", "mtt", {}, 3.0, "timbral.0.conv.weight", "middle.0.weight"),
    ("musicnn", "mtt-vgg", {}, 3.0, "convolutions.1.weight", "convolutions.2.weight"),
    ("openl3", "mel128-512", {"hop": 1.0, "center": False}, 1.0, "convolutions.3.weight", "convolutions.4.weight"),
    ("panns", "cnn6", {"window": 1.0, "hop": 1.0}, 1.0, "net.conv_block2.conv1.weight", "net.conv_block3.conv1.weight"),
    ("panns", "mobilenetv2", {"window": 1.0, "hop": 1.0}, 1.0, "net.features.0.0.weight", "net.fc1.weight"),
    ("panns", "wavegram-logmel-cnn14", {"window": 1.0, "hop": 1.0}, 1.0, "net.pre_conv0.weight", "net.fc1.weight"),
    ("passt", "l", {"output": "timestamps", "hop": 0.16}, None, "new_pos_embed", "blocks.3.attn.qkv.weight"),
    ("slowfast", "mule", {}, 3.0, "slow_stages.1.blocks.0", "slow_stages.2.blocks.0"),
    ("vggish", "vggish", {}, 2.0, "features.0.weight", "embeddings.0.weight"),
    ("yamnet", "yamnet", {}, 1.0, "layers.layer7/pointwise_conv.conv", "layers.layer8/pointwise_conv.conv"),
]  # fmt: skip
# Their frames are steps of a window, over which the read-out in training is the mean.
STEPS = ("beats", "gated-cnn", "transformers")


def a_config(family, model, args) -> EmbeddingConfig:
    return EmbeddingConfig.model_validate(
        {"name": "z", "family": family, "model": model, "args": args, "weights": {"file": "weights"}, "trainable": True}
    )


def named(net: Cut, part: str) -> list[str]:
    found = [name for name, _ in net.named_parameters() if name.startswith(f"net.{part}")]
    assert found, part
    return found


def check_point(net: Cut, inputs: torch.Tensor, point: str, stays: list[str], learns: list[str]) -> None:
    """One step at a freezing point moves what it should and nothing else."""
    net.freeze(point)
    torch.manual_seed(0)
    head = Transferred(net, net.dim, (8,), 2, behind_stem=False).train()
    before = copy.deepcopy(net.state_dict())
    trained = [parameter for parameter in head.parameters() if parameter.requires_grad]
    optimiser = torch.optim.SGD(trained, 1.0)
    torch.nn.functional.cross_entropy(head(inputs), torch.arange(len(inputs)) % 2).backward()
    gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    optimiser.step()
    after = net.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in stays)
    assert any(not torch.equal(before[name], after[name]) for name in learns)


@pytest.mark.parametrize(
    ("family", "model", "args", "seconds", "fixed", "late"), ZOO, ids=lambda value: str(value)[:24]
)
def test_a_network_of_the_zoo_is_frozen_where_it_says(family, model, args, seconds, fixed, late):
    config = a_config(family, model, args)
    trainable = build_trainable(config, RANDOM)
    waveform = noisy_waveform(round((seconds or 0.4) * trainable.sample_rate), trainable.sample_rate)
    inputs = trainable.inputs(waveform, None)
    assert torch.equal(trainable.inputs(waveform, 1)[0], inputs[len(inputs) // 2])
    torch.manual_seed(0)
    net = trainable.pretrained().eval()
    with torch.no_grad():
        vectors = net.embed(inputs)
        torch.testing.assert_close(net.rest(net.stem(inputs)), vectors)
    assert vectors.shape == (len(inputs), trainable.dim)
    if seconds is not None:
        frames = build_seeded(config).embed([waveform])[0][0]
        expected = frames.mean(axis=0, keepdims=True) if family in STEPS else frames
        np.testing.assert_allclose(vectors.numpy(), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    two = torch.cat([inputs, inputs * 0.9 + 0.01])[:2]
    fixed_names, late_names = named(net, fixed), named(net, late)
    statistics = [name for name, _ in net.named_buffers() if name.startswith(f"net.{fixed.rpartition('.')[0]}.")]
    check_point(net, two, "IN", [*fixed_names, *statistics], late_names)
    check_point(net, two, "FT", [], [name for name in fixed_names])


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper", "ast"])
def test_models_of_the_hub_learn_in_the_second_half_of_their_blocks(kind, tmp_path):
    folder = hub_folders.make(kind, tmp_path / kind)
    config = EmbeddingConfig(name="h", family="transformers", model=str(folder), args={"window": 1.0}, trainable=True)
    trainable = build_trainable(config, None)
    waveform = noisy_waveform(trainable.sample_rate, trainable.sample_rate)
    inputs = trainable.inputs(waveform, None)
    net = trainable.pretrained().eval()
    with torch.no_grad():
        vectors = net.embed(inputs)
    assert vectors.shape == (1, trainable.dim)
    blocks = hub_folders.BLOCKS
    numbers = {
        name: int(name.split(".layers.")[1].split(".")[0]) for name, _ in net.named_parameters() if ".layers." in name
    }
    early = [name for name, _ in net.named_parameters() if numbers.get(name, -1) < blocks // 2]
    late = [name for name, number in numbers.items() if number >= blocks // 2]
    assert early and late
    two = torch.cat([inputs, 0.9 * inputs])
    check_point(net, two, "IN", early, late)
    check_point(net, two, "FT", [], early)
    assert trainable.fresh(3, inputs)(inputs).shape == (1, 3)


def test_a_network_of_the_zoo_is_fine_tuned_alike_however_often():
    """Its dropout comes from the common generator, and depends on seed, fold and step alone."""
    config = a_config("panns", "cnn6", {"window": 0.35, "hop": 0.35})
    trainable = build_trainable(config, RANDOM)
    clips = [noisy_waveform(11_200, 32_000) * np.float32(0.05 * (i + 1)) for i in range(20)]
    inputs = torch.cat([trainable.inputs(clip, None) for clip in clips])
    labels = np.arange(20) % 2
    splits = make_splits([str(i) for i in range(20)], labels, None, "stratified", 2)
    settings = TrainSettings(max_epochs=1, patience=1, batch=8, hidden=(4,), stacked=True)
    torch.manual_seed(0)
    fixed = trainable.pretrained()
    same = copy.deepcopy(fixed)
    answers = []
    for number, net in enumerate((fixed, same)):
        torch.manual_seed(number)
        again = type(trainable)(**{**vars(trainable), "pretrained": lambda net=net: copy.deepcopy(net)})
        answers.append(transfer(again, inputs, labels, splits, "full", 2, settings))
    for one, two in zip(*answers, strict=True):
        np.testing.assert_array_equal(one.posterior, two.posterior)


def test_every_family_with_a_network_in_torch_can_be_trained():
    configs = [config for config in Catalogue.read(ROOT).embeddings.values() if config.trainable]
    assert {config.family for config in configs} >= {family for family, *_ in ZOO} | {
        "transformers",
        "ina",
        "jazz-solo",
    }
    assert {config.family for config in configs} <= set(FAMILIES)


@pytest.mark.parametrize(
    ("family", "model", "args", "message"),
    [
        ("vggish", "vggish-pca", {}, "model"),
        ("panns", "cnn6", {"output": "map"}, "output"),
        ("passt", "s", {"mode": "all"}, "mode"),
        ("beats", "iter3", {"bands": "concat"}, "bands"),
        ("acmus", "ensemble", {"readout": "maxima"}, "readout"),
    ],
)
def test_read_outs_that_cannot_be_trained_are_refused(family, model, args, message):
    with pytest.raises(UserError, match=message):
        build_trainable(a_config(family, model, args), RANDOM)
