"""INA's networks: one vector per 20 ms, each of 0.7 s of log-mel spectrum.

Patches are 68 frames, two frames apart. The first is repeated 17 times in front and the last 16 or 17 times behind, so
that there is a vector for every second frame of the clip. A clip shorter than a patch is completed with the least value
of its spectrum, as in inaSpeechSegmenter.

The spectrum has no floor: a frame of digital silence is minus infinity, and the package gives up on every patch that
touches one (all classes get 0.5). `args: silence` says what happens here: `minimum` (default) puts the least finite
value of the clip there, so that clips which were completed with zeros are still heard; `zero` follows the package, with
vectors of zeros (0.5 for the probabilities). Patches that are silent as a whole have such vectors in either case.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.audio import ina_mel
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice, source
from benchmark.embeddings.conversion import fill_converted
from benchmark.embeddings.formats import read_keras_h5
from benchmark.embeddings.patches import PatchEmbedding, Patches
from benchmark.embeddings.stretches import Context
from benchmark.embeddings.trainable import Trainable, evenly
from benchmark.embeddings.weight_files import needed
from benchmark.errors import UserError
from benchmark.models.ina import DESIGNS, FRAMES, Ina, load_keras
from benchmark.models.ina_stem import STEP, SharedStem

READ_OUTS = ("penultimate", "conv", "logits", "probabilities")
SILENCE = ("minimum", "zero")

_HOP_S = STEP * ina_mel.HOP / ina_mel.SAMPLE_RATE
# Patches before the first and behind the last that lie half outside the clip.
_BEFORE = FRAMES // (2 * STEP)
# Centre of the first frame's patch had the clip gone on: 67 hops and a window, halved, less 17 patches.
_FIRST_S = ((FRAMES - 1) * ina_mel.HOP + ina_mel.FRAME) / 2 / ina_mel.SAMPLE_RATE - _BEFORE * _HOP_S
_BATCH = 64
_BATCH_GPU = 1024
# Below this variance a patch is one value throughout, but for rounding.
_LEAST_VARIANCE = 1e-9


class ReadOut(nn.Module):
    """Maps of the first layer (B, C, rows, mel) to the vectors of one of `READ_OUTS`."""

    def __init__(self, net: Ina, read_out: str):
        super().__init__()
        self.net, self.read_out = net, read_out
        sizes = {"penultimate": net.design.hidden, "conv": net.design.channels[-1]}
        self.dim = sizes.get(read_out, len(net.design.classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.net.maps(x, behind_first=True)
        if self.read_out == "conv":
            return x
        x = self.net.hidden(x)
        if self.read_out == "penultimate":
            return x
        x = self.net.output(x)
        return x if self.read_out == "logits" else x.softmax(dim=1)


class InaEmbedding(PatchEmbedding):
    """One of the networks, frozen.

    Args:
        config: the embedding's YAML.
        net: with weights; its normalisation is folded in place.
        read_out: one of `READ_OUTS`.
        every: embed every so many of the patches, which are 20 ms apart.
        silence: one of `SILENCE`.
        device: where the model runs.
    """

    def __init__(self, config: EmbeddingConfig, net: Ina, read_out: str, every: int, silence: str, device: str):
        net = net.fold().to(device, memory_format=torch.channels_last)
        network = ReadOut(net, read_out)
        super().__init__(
            config,
            network,
            _BATCH if torch.device(device).type == "cpu" else _BATCH_GPU,
            sample_rate=ina_mel.SAMPLE_RATE,
            dim=network.dim,
            hop_seconds=every * _HOP_S,
            device=device,
            blank=0.5 if read_out == "probabilities" else 0.0,
        )
        self.stem = SharedStem(net)
        self.bands = net.design.bands
        self.every = every
        self.silence = silence

    def context(self) -> Context:
        needed = FRAMES * ina_mel.HOP + ina_mel.FRAME
        return Context(self.every * STEP * ina_mel.HOP, needed, needed)

    def patches(self, waveform: np.ndarray) -> Patches:
        log_mel, missing = _spectrum(torch.from_numpy(waveform).to(self.device), self.silence, self.bands)
        mean, std = patch_statistics(log_mel)
        frame, raw = _places(len(log_mel), len(mean), missing, self.every)
        silent = ~torch.isfinite(std).cpu().numpy()
        heard, index = np.unique(raw[~silent[raw]], return_inverse=True)
        shown = np.full(len(raw), -1)
        shown[~silent[raw]] = index
        which = torch.from_numpy(heard).to(self.device)

        def take(start: int, stop: int) -> Tensor:
            ids = which[start:stop]
            return self.stem(log_mel, ids, mean[ids], std[ids])

        return Patches(len(heard), take, _FIRST_S + _HOP_S * frame, shown)


def patch_statistics(log_mel: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and population standard deviation of each patch of a clip (T, bands), both (P,) float32.

    The deviation of a patch that is not finite, or that is one value throughout, is NaN.
    """
    exact = log_mel.double()
    count = FRAMES * log_mel.shape[1]
    mean = exact.sum(dim=1).unfold(0, FRAMES, STEP).sum(dim=1) / count
    variance = exact.square().sum(dim=1).unfold(0, FRAMES, STEP).sum(dim=1) / count - mean.square()
    std = torch.where(variance > _LEAST_VARIANCE, variance.sqrt(), torch.nan)
    return mean.float(), std.float()


def _spectrum(waveform: Tensor, silence: str, bands: int) -> tuple[Tensor, int]:
    """Log mel (T, bands) of a waveform (samples,), T >= 68, and how many frames it was completed with."""
    log_mel = ina_mel.log_mel(waveform)
    missing = max(0, FRAMES - len(log_mel))
    if silence == "minimum":
        log_mel = _without_silence(log_mel)
    # The least value of all 24 bands, also where the network sees 21 of them.
    return torch.cat([log_mel, log_mel.min().expand(missing, ina_mel.BANDS)])[:, :bands], missing


def _places(frames: int, patches: int, missing: int, every: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the vectors that are wanted, and the patch that each of them shows."""
    outputs = _BEFORE + patches + _BEFORE - 1 + frames % 2 - missing // 2
    frame = np.arange(0, outputs, every)
    return frame, np.clip(frame - _BEFORE, 0, patches - 1)


def _without_silence(log_mel: Tensor) -> Tensor:
    """The spectrum (T, bands) with its least finite value in place of minus infinity; all zeros if there is none."""
    finite = torch.isfinite(log_mel)
    least = log_mel[finite].min() if finite.any() else 0.0
    return torch.where(finite, log_mel, least)


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> InaEmbedding:
    """Build an embedding of family `ina`; `model` is `sm`, `smn` or `gender`.

    Raises:
        UserError: another model, arguments that do not fit, or weights that are missing or not INA's.
    """
    read_out, every, silence = _arguments(config)
    return InaEmbedding(config, _with_weights(config, weights), read_out, every, silence, device)


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs: every patch is normalised by itself, so there are no statistics of a training part.

    Raises:
        UserError: as `build`, or the read-out is not the penultimate layer.
    """
    read_out, every, silence = _arguments(config)
    if read_out != READ_OUTS[0]:
        raise UserError(f"{source(config)}: trainable: goes with read_out {READ_OUTS[0]}, not with {read_out}")
    design = DESIGNS[str(config.model)]

    def inputs(waveform: np.ndarray, limit: int | None) -> Tensor:
        log_mel, missing = _spectrum(torch.from_numpy(waveform), silence, design.bands)
        mean, std = patch_statistics(log_mel)
        _, raw = _places(len(log_mel), len(mean), missing, every)
        chosen = torch.from_numpy(raw[evenly(len(raw), limit)])
        windows = log_mel.unfold(0, FRAMES, STEP)[chosen].transpose(1, 2)
        patches = (windows - mean[chosen, None, None]) / std[chosen, None, None]
        # A silent patch shows nothing.
        return torch.where(torch.isfinite(std[chosen])[:, None, None], patches, 0.0).unsqueeze(1)

    return Trainable(
        ina_mel.SAMPLE_RATE,
        design.hidden,
        inputs,
        lambda: _with_weights(config, weights),
        lambda classes, _: Ina(str(config.model), classes),
    )


def _arguments(config: EmbeddingConfig) -> tuple[str, int, str]:
    """Read-out, patches between vectors, and what becomes of silence."""
    args = check_args(config, {"hop": _HOP_S, "read_out": "penultimate", "silence": "minimum"})
    check_choice(config, "model", config.model, tuple(DESIGNS))
    check_choice(config, "args: read_out", args["read_out"], READ_OUTS)
    check_choice(config, "args: silence", args["silence"], SILENCE)
    every = round(args["hop"] / _HOP_S)
    if every < 1 or not np.isclose(every * _HOP_S, args["hop"]):
        raise UserError(f"{source(config)}: args: hop is {args['hop']}; it must be a multiple of {_HOP_S} s")
    return str(args["read_out"]), every, str(args["silence"])


def _with_weights(config: EmbeddingConfig, weights: Path | None) -> Ina:
    net = Ina(str(config.model))
    path = needed(config, weights, "the authors' .hdf5 file")
    fill_converted(net, path, lambda: load_keras(net, read_keras_h5(path)))
    return net
