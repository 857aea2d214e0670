"""i-vectors of a background model that is trained here: cepstra, Gaussian mixture, subspace of total variability.

Features as Kaldi's VoxCeleb recipe has them: 20 MFCC of 40 mel bands from 50 to 7500 Hz, 25 ms every 10 ms at 16 kHz, with
slopes and slopes of slopes; each feature's mean over a segment taken away unless `normalise` is false; frames more than
30 dB below the loudest not counted. A vector a segment of 3.5 s; a shorter clip is repeated.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmark.audio.cepstra import Standardizer
from benchmark.audio.frontends import MelSpectrogram, dct_matrix, deltas
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args
from benchmark.embeddings.checkpoint import Checkpoint
from benchmark.embeddings.feature_patches import FeatureEmbedding, Layout
from benchmark.embeddings.thin_resnet import RepeatedSegments
from benchmark.embeddings.weight_files import RANDOM, fill, needed
from benchmark.errors import UserError
from benchmark.models.ivector import IVectorExtractor
from benchmark.models.strict import load_strict

SAMPLE_RATE, _HOP, _WINDOW, _FFT, _BANDS, _CEPSTRA = 16000, 160, 400, 512, 40, 20
_FEATURES = "mfcc-20-slopes"
_DEFAULTS: dict[str, object] = {
    "gaussians": 256, "rank": 100, "frames": 350, "normalise": True, "iterations_background": 20, "iterations_subspace": 5,
}  # fmt: skip
# 30 dB in every band change the first cepstrum by so much.
_QUIET = 30 / 10 * 2.302585 * _BANDS**0.5
_BATCH = 16


class CepstraWithSlopes(nn.Module):
    """Waveform (samples,) to (T, 60): 20 cepstra, their slopes, and the slopes of those."""

    hop, size = _HOP, 3 * _CEPSTRA

    def __init__(self) -> None:
        super().__init__()
        window = torch.hamming_window(_WINDOW, periodic=True)
        self.mel = MelSpectrogram(
            SAMPLE_RATE, _FFT, _HOP, _BANDS, window=window, f_min=50.0, f_max=7500.0, scale="htk", norm=None
        )
        self.register_buffer("dct", dct_matrix(_CEPSTRA, _BANDS).T.contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        cepstra = torch.log(self.mel(x) + 1e-10) @ self.dct
        slopes = deltas(cepstra, 5)
        return torch.cat([cepstra, slopes, deltas(slopes, 5)], dim=-1)


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> FeatureEmbedding:
    """Build an embedding from a checkpoint of `leveret pretrain`.

    `args`: `gaussians` of the background model, `rank` of the subspace, `frames` of a segment, `normalise`, and the
    numbers of iterations that train them.

    Raises:
        UserError: another argument, no checkpoint, or one of other sizes.
    """
    path = needed(config, weights, "a checkpoint; `leveret pretrain` writes it")
    net = extractor(config)
    if path != RANDOM:
        checkpoint = Checkpoint.read(path)
        if checkpoint.features != _FEATURES:
            raise UserError(f"{path}: holds {checkpoint.model} on {checkpoint.features}, not on {_FEATURES}")
        fill(path, lambda: load_strict(net, checkpoint.state))
    size = int(arguments(config)["frames"])
    layout = Layout(size, max(1, size // 2), _HOP / SAMPLE_RATE, tail="last")
    return RepeatedSegments(
        config, CepstraWithSlopes().to(device), net.to(device).eval(), _BATCH, layout, least_samples(config),
        sample_rate=SAMPLE_RATE, dim=net.dim, device=device,
    )  # fmt: skip


def extractor(config: EmbeddingConfig) -> IVectorExtractor:
    """The model before it is trained."""
    args = arguments(config)
    return IVectorExtractor(
        int(args["gaussians"]), CepstraWithSlopes.size, int(args["rank"]), bool(args["normalise"]), _QUIET
    )


def arguments(config: EmbeddingConfig) -> dict[str, object]:
    """The YAML's arguments over the defaults.

    Raises:
        UserError: one is unknown or out of range.
    """
    args = check_args(config, _DEFAULTS)
    for name, value in args.items():
        if name != "normalise" and int(value) < 1:
            raise UserError(f"embeddings/{config.name}.yaml: args: {name}: {value}; it must be positive")
    return args


def least_samples(config: EmbeddingConfig) -> int:
    """So many samples give one segment."""
    return (int(arguments(config)["frames"]) - 1) * _HOP


def checkpoint_of(config: EmbeddingConfig, net: IVectorExtractor, identities: Sequence[str], story: dict) -> Checkpoint:
    """A checkpoint of a model that `extractor` made and that was trained since."""
    as_it_is = Standardizer(torch.zeros(CepstraWithSlopes.size), torch.ones(CepstraWithSlopes.size))
    return Checkpoint.of(net, "i-vector", _FEATURES, tuple(identities), as_it_is, story)
