"""Slowfast NFNet-F0: MULE with its published weights, and HARES' network with weights of the user's.

`mule`: 16 kHz, 96 mel bands (HTK scale, each filter over its L2 norm), log10(1 + 10^4 x), slices of 3 s centred every
2 s and moved inwards at the ends, each standardised. The authors' reader hands over samples in [-0.5, 0.5]: hence
`amplitude` 0.5. `hares`: 128 log-mel bands of 25-ms windows every 10 ms, crops of 3 s, each standardised; the paper
leaves the details of mel and logarithm open.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.audio.frontends import MelSpectrogram, hann
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice
from benchmark.embeddings.conversion import fill_converted
from benchmark.embeddings.feature_patches import FeatureEmbedding, Layout, patch_inputs
from benchmark.embeddings.formats import read_keras_graph
from benchmark.embeddings.patches import PatchEmbedding, Patches
from benchmark.embeddings.stretches import Context
from benchmark.embeddings.trainable import Trainable, clip_patches, own_design, zoo_trainable
from benchmark.embeddings.weight_files import fill, needed, read_state
from benchmark.models.mule_keras import load_mule_keras
from benchmark.models.slowfast_nfnet import HaresSlowfast, MuleSlowfast, load_haiku, load_mule
from benchmark.models.strict import load_strict

# The authors' own file; anything else is a conversion.
KERAS = (".keras", ".h5")

SAMPLE_RATE = 16000
HOP = 160
SLICE = 300

_SLICE_HOP = 200
_LEAST_STD = 0.01
_N_FFT = 2048
_BATCH = 2
_LAYOUT = Layout(SLICE, SLICE, HOP / SAMPLE_RATE, tail="last")
_MULE: dict[str, Any] = {"amplitude": 0.5}
_HARES: dict[str, Any] = {"final_conv": True}


def standardized(x: Tensor) -> Tensor:
    """Each (B, ...) over its last two axes: minus its mean, over its population standard deviation (0.01 at least)."""
    std, mean = torch.std_mean(x, dim=(-2, -1), correction=0, keepdim=True)
    return (x - mean) / std.clamp(min=_LEAST_STD)


class MuleMel(nn.Module):
    """Waveform (samples,) to MULE's log-mel, (96, T).

    Args:
        amplitude: factor of the waveform.
    """

    def __init__(self, amplitude: float = 0.5):
        super().__init__()
        self.amplitude = amplitude
        layout = {"window": hann(400), "f_max": 8000.0, "scale": "htk", "norm": None, "pad_mode": "reflect"}
        self.mel = MelSpectrogram(SAMPLE_RATE, _N_FFT, HOP, 96, **layout)
        self.mel.filters /= self.mel.filters.norm(dim=0)

    def forward(self, x: Tensor) -> Tensor:
        return torch.log10(10000.0 * self.mel(self.amplitude * x).T + 1.0)


class MuleEmbedding(PatchEmbedding):
    """MULE's slices; a clip of less than 3 s is reflected, or its last frame repeated, up to 3 s."""

    def __init__(self, config: EmbeddingConfig, mel: MuleMel, net: MuleSlowfast, device: str):
        hop_seconds = _SLICE_HOP * HOP / SAMPLE_RATE
        super().__init__(
            config, net, _BATCH, sample_rate=SAMPLE_RATE, dim=net.dim, hop_seconds=hop_seconds, device=device
        )
        self.mel = mel

    def context(self) -> Context:
        needed = SLICE * HOP + _N_FFT
        return Context(_SLICE_HOP * HOP, needed, needed)

    def patches(self, waveform: np.ndarray) -> Patches:
        return slices(self.mel(torch.from_numpy(waveform).to(self.device)))


def slices(mel: Tensor) -> Patches:
    """The slices of a clip's log-mel (96, T)."""
    missing = SLICE - mel.shape[1]
    if missing > 0:
        mode = "reflect" if missing < mel.shape[1] else "replicate"
        mel = functional.pad(mel[None], (0, missing), mode=mode)[0]
    centres = slice_centres(mel.shape[1])

    def take(start: int, stop: int) -> Tensor:
        firsts = (centres[start:stop] - SLICE // 2).tolist()
        return standardized(torch.stack([mel[:, first : first + SLICE] for first in firsts]))

    return Patches(len(centres), take, centres * HOP / SAMPLE_RATE)


def slice_centres(frames: int) -> np.ndarray:
    """Centres of slices of 300 frames: 200, 400, ..., moved so that each slice fits; (n,) int64, n >= 1."""
    return np.clip(np.arange(_SLICE_HOP, frames, _SLICE_HOP), SLICE // 2, frames - SLICE // 2)


class HaresMel(nn.Module):
    """Waveform (samples,) to natural log-mel, (T, 128)."""

    def __init__(self) -> None:
        super().__init__()
        # An FFT of 512 would leave the lowest of 128 bands without a bin.
        self.mel = MelSpectrogram(SAMPLE_RATE, 1024, HOP, 128, window=hann(400), f_max=8000.0)

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(self.mel(x) + 1e-6)


class _HaresNetwork(nn.Module):
    def __init__(self, net: HaresSlowfast):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(standardized(x))


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> PatchEmbedding:
    """Build a slowfast embedding; `model` is `mule` or `hares`.

    `args`: for mule `amplitude` (0.5); for hares `final_conv` (true).

    Raises:
        UserError: another model or argument, or weights that are missing or do not fit.
    """
    check_choice(config, "model", config.model, ("mule", "hares"))
    if config.model == "mule":
        args = check_args(config, _MULE)
        net = _with_weights(config, weights).to(device).eval()
        net.fold()
        return MuleEmbedding(config, MuleMel(args["amplitude"]).to(device), net, device)
    check_args(config, _HARES)
    hares = _with_weights(config, weights).to(device).eval()
    hares.fold()
    return FeatureEmbedding(
        config,
        HaresMel().to(device),
        _HaresNetwork(hares),
        _BATCH,
        _LAYOUT,
        (SLICE - 1) * HOP,
        sample_rate=SAMPLE_RATE,
        dim=hares.dim,
        device=device,
    )


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs; the stems and the first two stages of both paths are what the freezing point fixes.

    Raises:
        UserError: as `build`.
    """
    check_choice(config, "model", config.model, ("mule", "hares"))
    if config.model == "mule":
        mel = MuleMel(check_args(config, _MULE)["amplitude"])
        inputs = clip_patches(lambda waveform: slices(mel(torch.from_numpy(waveform))))
    else:
        patches = patch_inputs(HaresMel(), _LAYOUT, (SLICE - 1) * HOP)

        def inputs(waveform: np.ndarray, limit: int | None) -> Tensor:
            return standardized(patches(waveform, limit))

    with torch.device("meta"):
        dim = _net(config).dim
    return zoo_trainable(
        SAMPLE_RATE, inputs, own_design(dim), lambda: _net(config), lambda: _with_weights(config, weights)
    )


def _net(config: EmbeddingConfig) -> MuleSlowfast | HaresSlowfast:
    return MuleSlowfast() if config.model == "mule" else HaresSlowfast(check_args(config, _HARES)["final_conv"])


def _with_weights(config: EmbeddingConfig, weights: Path | None) -> MuleSlowfast | HaresSlowfast:
    path = needed(config, weights, "the authors' model.keras, a .safetensors or a .npz file")
    net = _net(config)
    if config.model == "mule" and path.suffix in KERAS:
        fill_converted(net, path, lambda: load_mule_keras(net, read_keras_graph(path)))
    elif config.model == "mule":
        fill(path, lambda: load_mule(net, read_state(path)))
    elif path.suffix == ".npz":
        fill_converted(net, path, lambda: _load_arrays(net, path))
    else:
        fill(path, lambda: load_strict(net, read_state(path)))
    return net


def _load_arrays(net: HaresSlowfast, path: Path) -> None:
    with np.load(path) as params:
        load_haiku(net, params)
