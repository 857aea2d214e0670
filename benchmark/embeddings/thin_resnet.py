"""Thin ResNet-34, trained here by metric learning (Hu et al., IJCNN 2021): 64 log-mel bands at 16 kHz, 3.5 s a segment.

Front end: Hamming window 25 ms, hop 10 ms, FFT 512, ln(power + 1e-6), as voxceleb_trainer computes it. A clip shorter
than a segment is repeated; a longer one is heard in segments that overlap by half, the last one ending with the clip.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.audio.cepstra import Standardizer
from benchmark.audio.frontends import MelSpectrogram
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice
from benchmark.embeddings.checkpoint import Checkpoint
from benchmark.embeddings.feature_patches import FeatureEmbedding, Layout, patch_inputs
from benchmark.embeddings.patches import Patches
from benchmark.embeddings.trainable import Trainable
from benchmark.embeddings.weight_files import RANDOM, fill, needed
from benchmark.errors import UserError
from benchmark.models.strict import load_strict
from benchmark.models.thin_resnet import ThinResNet34

SAMPLE_RATE, HOP, _WINDOW, _FFT, _BANDS = 16000, 160, 400, 512, 64
_FLOOR = 1e-6
_FEATURES = "log-mel-64"
_DEFAULTS: dict[str, object] = {"width": 16, "dim": 512, "frames": 350, "normalise": "band"}
_BATCH = 16


class LogMelBands(nn.Module):
    """Waveform (samples,) to natural logarithms of mel power (T, 64), 100 frames a second."""

    hop, size = HOP, _BANDS

    def __init__(self) -> None:
        super().__init__()
        window = torch.hamming_window(_WINDOW, periodic=True)
        self.mel = MelSpectrogram(SAMPLE_RATE, _FFT, HOP, _BANDS, window=window, scale="htk", norm=None)

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(self.mel(x) + _FLOOR)


class RepeatedSegments(FeatureEmbedding):
    """Clips shorter than a segment are repeated, since zeros are no voice."""

    def patches(self, waveform: np.ndarray) -> Patches:
        return super().patches(repeated(waveform, self.least_samples))


def repeated(waveform: np.ndarray, samples: int) -> np.ndarray:
    """At least so many samples of a waveform that is repeated where it is shorter."""
    return np.resize(waveform, samples) if len(waveform) < samples else waveform


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> FeatureEmbedding:
    """Build an embedding from a checkpoint of `leveret pretrain`.

    `args`: `width` of the network, `dim` of the embedding, `frames` of a segment, `normalise` (band or level).

    Raises:
        UserError: another argument, no checkpoint, or one of another network.
    """
    layout = _layout(config)
    return RepeatedSegments(
        config, LogMelBands().to(device), _from_checkpoint(config, weights).to(device).eval(), _BATCH, layout,
        least_samples(config), sample_rate=SAMPLE_RATE, dim=int(_args(config)["dim"]), device=device,
    )  # fmt: skip


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What fine-tuning needs: the segments that the embedding sees.

    Raises:
        UserError: as `build`.
    """
    inputs, least = patch_inputs(LogMelBands(), _layout(config), least_samples(config)), least_samples(config)
    return Trainable(
        SAMPLE_RATE,
        int(_args(config)["dim"]),
        lambda waveform, limit: inputs(repeated(waveform, least), limit),
        lambda: _from_checkpoint(config, weights),
        lambda classes, _: encoder(config, classes),
    )


def encoder(config: EmbeddingConfig, classes: int = 0) -> ThinResNet34:
    """The network with random weights; without classes, as metric learning trains it."""
    args = _args(config)
    return ThinResNet34(_BANDS, int(args["width"]), int(args["dim"]), str(args["normalise"]), classes)


def segment_frames(config: EmbeddingConfig) -> int:
    """Frames of a segment."""
    return int(_args(config)["frames"])


def least_samples(config: EmbeddingConfig) -> int:
    """So many samples give one segment."""
    return (segment_frames(config) - 1) * HOP


def checkpoint_of(config: EmbeddingConfig, net: ThinResNet34, identities: Sequence[str], story: dict) -> Checkpoint:
    """A checkpoint of a network that `encoder` made and that was trained since."""
    as_it_is = Standardizer(torch.zeros(_BANDS), torch.ones(_BANDS))
    return Checkpoint.of(net, "thin-resnet34", _FEATURES, tuple(identities), as_it_is, story)


def _args(config: EmbeddingConfig) -> dict[str, object]:
    check_choice(config, "model", config.model, ("thin-resnet34",))
    args = check_args(config, _DEFAULTS)
    check_choice(config, "args: normalise", args["normalise"], ("band", "level"))
    for name in ("width", "dim", "frames"):
        if int(args[name]) < 1:
            raise UserError(f"embeddings/{config.name}.yaml: args: {name}: {args[name]}; it must be positive")
    return args


def _layout(config: EmbeddingConfig) -> Layout:
    size = segment_frames(config)
    return Layout(size, max(1, size // 2), HOP / SAMPLE_RATE, tail="last")


def _from_checkpoint(config: EmbeddingConfig, weights: Path | None) -> ThinResNet34:
    path = needed(config, weights, "a checkpoint; `leveret pretrain` writes it")
    net = encoder(config)
    if path == RANDOM:
        return net
    checkpoint = Checkpoint.read(path)
    if checkpoint.features != _FEATURES:
        raise UserError(f"{path}: holds {checkpoint.model} on {checkpoint.features}, not on {_FEATURES}")
    fill(path, lambda: load_strict(net, checkpoint.state))
    return net
