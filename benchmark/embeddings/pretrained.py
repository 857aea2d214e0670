"""The networks of Kehling & Cano (CMMR 2021) and SwishNet, trained here: front ends, nets, patches, read-outs.

None of them has published weights; `leveret pretrain` trains them and writes a checkpoint
(`benchmark.embeddings.checkpoint`). What this module says of a model - which features, how many frames a patch, how
to build the net - is what the training uses too.

Features: `mel128` (22,050 Hz, 2048/512, 128 log-mel bands), `mfcc21` (the same with 21 cepstra up to 4 kHz, for INA),
`mfcc22` (22 cepstra, 16 frames a second, for SwishNet) and `mfcc20` (SwishNet's own paper: 16 kHz, 25/10 ms, 20
cepstra of 32 bands). Patches do not overlap, but for `mfcc20`, whose clips of one second overlap by half.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmark.audio.cepstra import LogMel, Mfcc, Standardizer
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice
from benchmark.embeddings.checkpoint import Checkpoint
from benchmark.embeddings.feature_patches import FeatureEmbedding, Layout, patch_inputs
from benchmark.embeddings.trainable import Prepared, Trainable
from benchmark.embeddings.weight_files import RANDOM, fill, needed
from benchmark.errors import UserError
from benchmark.models.dnn import Dnn
from benchmark.models.freezing import Freezable
from benchmark.models.ina_kc import InaKc
from benchmark.models.strict import load_strict
from benchmark.models.swishnet import SwishNet
from benchmark.models.vgg_like import VggLike


@dataclasses.dataclass(frozen=True)
class Features:
    """A front end.

    Attributes:
        sample_rate: Hz.
        build: makes the module, waveform (samples,) to (T, F), with attributes `hop` (samples) and `size` (F).
    """

    sample_rate: int
    build: Callable[[], LogMel | Mfcc]


@dataclasses.dataclass(frozen=True)
class Model:
    """A network.

    Attributes:
        build: `build(inputs, classes)` makes the net for so many features a frame.
        patches: features that it is trained with -> (frames of a patch, frames between patches).
        channels_first: whether the net reads (B, F, T) rather than (B, T, F).
    """

    build: Callable[[int, int], Freezable]
    patches: dict[str, tuple[int, int]]
    channels_first: bool = False


FEATURES = {
    "mel128": Features(22050, LogMel),
    "mfcc21": Features(22050, lambda: Mfcc(21, f_max=4000.0)),
    "mfcc22": Features(22050, lambda: Mfcc(22, hop=1378)),
    "mfcc20": Features(16000, lambda: Mfcc(20, 16000, 512, 160, bands=32, window=400)),
}

_SWISHNET_PATCHES = {"mfcc22": (16, 16), "mfcc20": (100, 50), "mel128": (43, 43)}

MODELS = {
    "swishnet-slim": Model(lambda inputs, classes: SwishNet(inputs, classes), _SWISHNET_PATCHES, channels_first=True),
    "swishnet-wide": Model(
        lambda inputs, classes: SwishNet(inputs, classes, 2), _SWISHNET_PATCHES, channels_first=True
    ),
    "vgg-like": Model(lambda inputs, classes: VggLike(classes, bands=inputs), {"mel128": (10, 10)}),
    "ina-kc": Model(lambda inputs, classes: InaKc(classes, inputs), {"mfcc21": (68, 68), "mel128": (68, 68)}),
    "dnn": Model(lambda inputs, classes: Dnn(classes, bands=inputs), {"mel128": (10, 10)}),
}
_BATCH = 64


class Readout(nn.Module):
    """Raw patches (B, T, F) to the read-out of a network, (B, dim)."""

    def __init__(self, prepared: Prepared):
        super().__init__()
        self.prepared = prepared

    def forward(self, x: Tensor) -> Tensor:
        return self.prepared.embed(x)


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> FeatureEmbedding:
    """Build an embedding from a checkpoint; `model` is one of `MODELS`, `args: {features: one of its features}`.

    Raises:
        UserError: another model or argument, no checkpoint, or one of another model or other features.
    """
    model, name = _described(config)
    net = _from_checkpoint(config, weights)
    features = FEATURES[name].build()
    sample_rate = FEATURES[name].sample_rate
    layout = _layout(model, name, features)
    return FeatureEmbedding(
        config,
        features.to(device),
        Readout(net).to(device).eval(),
        _BATCH,
        layout,
        (layout.size - 1) * features.hop,
        sample_rate=sample_rate,
        dim=net.dim,
        device=device,
    )


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs of a model; without a checkpoint it can be trained from scratch alone.

    Raises:
        UserError: as `build`.
    """
    model, name = _described(config)
    features = FEATURES[name].build()
    layout = _layout(model, name, features)

    def fresh(classes: int, training: Tensor) -> Prepared:
        standardizer = Standardizer.fit(training.flatten(0, 1))
        return Prepared(model.build(features.size, classes), standardizer, model.channels_first)

    return Trainable(
        FEATURES[name].sample_rate,
        model.build(features.size, 2).dim,
        patch_inputs(features, layout, (layout.size - 1) * features.hop),
        lambda: _from_checkpoint(config, weights),
        fresh,
    )


def checkpoint_of(config: EmbeddingConfig, net: Prepared, classes: Sequence[str], provenance: dict) -> Checkpoint:
    """A checkpoint of a network that `trainable` made and that was trained since."""
    _, name = _described(config)
    return Checkpoint.of(net.net, str(config.model), name, tuple(classes), net.standardizer, provenance)


def _described(config: EmbeddingConfig) -> tuple[Model, str]:
    """The model and the name of the features that a YAML asks for."""
    args = check_args(config, {"features": ""})
    check_choice(config, "model", config.model, tuple(MODELS))
    model = MODELS[str(config.model)]
    name = args["features"] or next(iter(model.patches))
    check_choice(config, "args: features", name, tuple(model.patches))
    return model, name


def _layout(model: Model, name: str, features: LogMel | Mfcc) -> Layout:
    size, hop = model.patches[name]
    return Layout(size, hop, features.hop / FEATURES[name].sample_rate)


def _from_checkpoint(config: EmbeddingConfig, weights: Path | None) -> Prepared:
    model, name = _described(config)
    path = needed(config, weights, "a checkpoint; `leveret pretrain` writes it")
    features = FEATURES[name].build()
    checkpoint = _untrained(str(config.model), name, features.size) if path == RANDOM else Checkpoint.read(path)
    if (checkpoint.model, checkpoint.features) != (config.model, name):
        raise UserError(f"{path}: holds {checkpoint.model} on {checkpoint.features}, not {config.model} on {name}")
    net = model.build(features.size, len(checkpoint.classes))
    fill(path, lambda: load_strict(net, checkpoint.state))
    return Prepared(net, checkpoint.standardizer, model.channels_first)


def _untrained(model: str, features: str, size: int) -> Checkpoint:
    """A checkpoint of a network of two classes that has learnt nothing."""
    standardizer = Standardizer(torch.zeros(size), torch.ones(size))
    return Checkpoint.of(MODELS[model].build(size, 2), model, features, ("a", "b"), standardizer)
