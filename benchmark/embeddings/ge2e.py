"""GE2E speaker vectors (Resemblyzer): one of 1.6 s ("partial") every 0.77 s.

As in the package, clips below -30 dBFS are raised to that level, as the network reads mel power without a logarithm; a
clip is completed with zeros to the end of its last partial, and a last partial of which less than three quarters are
sound is dropped, unless it is the only one.

Resemblyzer removes long pauses by webrtcvad, a compiled package, before it embeds. Here nothing is removed; with
`args: {trim: true}` an energy detector of our own stands in, smoothed as the original's. It drops what lies more than
40 dB below the loudest 30 ms, which is not what webrtcvad drops.

A silent clip cannot be raised and stays as it is: its vector is the network's answer to zeros. A partial whose
projection has no positive entry gets a vector of zeros.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.audio.frontends import MelSpectrogram
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, source
from benchmark.embeddings.patches import PatchEmbedding, Patches
from benchmark.embeddings.stretches import Context
from benchmark.embeddings.trainable import Design, Trainable, clip_patches, zoo_trainable
from benchmark.embeddings.weight_files import fill, needed
from benchmark.errors import UserError
from benchmark.models.ge2e import BANDS, DIM, FRAMES, Ge2e, load_resemblyzer

SAMPLE_RATE = 16_000

_HOP = 160
_N_FFT = 400
# 1.3 partials a second, in frames.
_STEP = round(SAMPLE_RATE / 1.3 / _HOP)
_LEAST_COVERAGE = 0.75
_LEAST_DBFS = -30.0
_VAD_WINDOW = 480
_VAD_RANGE_DB = 40.0
_VAD_AVERAGE = 8
_VAD_DILATION = 7
_BATCH = 64
_BATCH_GPU = 1024


def partial_starts(samples: int) -> np.ndarray:
    """First frames of the partials of a clip of so many samples, (n,), n >= 1."""
    frames = -(-(samples + 1) // _HOP)
    starts = np.arange(0, max(1, frames - FRAMES + _STEP + 1), _STEP)
    covered = (samples - starts[-1] * _HOP) / (FRAMES * _HOP)
    return starts[:-1] if covered < _LEAST_COVERAGE and len(starts) > 1 else starts


def raise_volume(waveform: np.ndarray) -> np.ndarray:
    """A waveform (samples,) at no less than -30 dBFS; silence stays silent."""
    rms = np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))
    least = 10 ** (_LEAST_DBFS / 20)
    return waveform if rms == 0 or rms >= least else (waveform * (least / rms)).astype(np.float32)


def voiced(waveform: np.ndarray) -> np.ndarray:
    """Indices of the samples (m,), m >= 1, that the energy detector keeps; all of a clip in which it finds nothing."""
    windows = len(waveform) // _VAD_WINDOW
    power = np.square(waveform[: windows * _VAD_WINDOW], dtype=np.float64).reshape(windows, _VAD_WINDOW).mean(axis=1)
    if not power.any():
        return np.arange(len(waveform))
    loud = power >= power.max() * 10 ** (-_VAD_RANGE_DB / 10)
    before = (_VAD_AVERAGE - 1) // 2
    padded = np.pad(loud.astype(float), (before, _VAD_AVERAGE - 1 - before))
    smooth = np.convolve(padded, np.ones(_VAD_AVERAGE) / _VAD_AVERAGE, "valid") > 0.5
    reach = _VAD_DILATION // 2
    kept = np.convolve(smooth, np.ones(_VAD_DILATION))[reach : reach + windows] > 0
    samples = np.flatnonzero(np.repeat(kept, _VAD_WINDOW))
    return samples if len(samples) else np.arange(len(waveform))


class Ge2eEmbedding(PatchEmbedding):
    """The encoder, frozen.

    Args:
        config: the embedding's YAML.
        net: with weights.
        trim: whether the energy detector drops pauses; the times stay those of the clip.
        device: where the model runs.
    """

    def __init__(self, config: EmbeddingConfig, net: Ge2e, trim: bool, device: str):
        super().__init__(
            config,
            net.to(device).eval(),
            _BATCH if torch.device(device).type == "cpu" else _BATCH_GPU,
            sample_rate=SAMPLE_RATE,
            dim=DIM,
            hop_seconds=_STEP * _HOP / SAMPLE_RATE,
            device=device,
        )
        self.mel = MelSpectrogram(SAMPLE_RATE, _N_FFT, _HOP, BANDS).to(device)
        self.trim = trim

    def context(self) -> Context:
        needed = FRAMES * _HOP + _N_FFT
        # Without pauses partials lie anywhere in the clip.
        return Context() if self.trim else Context(_STEP * _HOP, needed, needed)

    def patches(self, waveform: np.ndarray) -> Patches:
        waveform = raise_volume(waveform)
        kept = voiced(waveform) if self.trim else None
        sound = waveform if kept is None else waveform[kept]
        starts = partial_starts(len(sound))
        end = (starts[-1] + FRAMES) * _HOP
        padded = np.pad(sound, (0, max(0, end - len(sound))))
        mel = self.mel(torch.from_numpy(padded).to(self.device))
        partials = mel.unfold(0, FRAMES, _STEP).transpose(1, 2)
        centres = starts * _HOP + FRAMES * _HOP // 2
        if kept is not None:
            centres = np.where(centres < len(kept), kept[np.minimum(centres, len(kept) - 1)], centres)

        def take(start: int, stop: int) -> Tensor:
            return partials[start:stop]

        return Patches(len(starts), take, centres / SAMPLE_RATE)


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> Ge2eEmbedding:
    """Build the embedding of family `ge2e`.

    Raises:
        UserError: arguments that do not fit, or weights that are missing or not Resemblyzer's.
    """
    args = check_args(config, {"trim": False})
    return Ge2eEmbedding(config, _with_weights(config, weights), bool(args["trim"]), device)


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs; the first two of the three LSTM layers are what the freezing point fixes.

    Raises:
        UserError: as `build`.
    """
    args = check_args(config, {"trim": False})
    patches = Ge2eEmbedding(config, Ge2e(), bool(args["trim"]), "cpu").patches
    design = Design(Ge2e.late, Ge2e.forward, DIM)
    return zoo_trainable(SAMPLE_RATE, clip_patches(patches), design, Ge2e, lambda: _with_weights(config, weights))


def _with_weights(config: EmbeddingConfig, weights: Path | None) -> Ge2e:
    path = needed(config, weights, "Resemblyzer's pretrained.pt")
    net = Ge2e()
    fill(path, lambda: load_resemblyzer(net, _read(path, config)))
    return net


def _read(path: Path, config: EmbeddingConfig) -> dict[str, Tensor]:
    import pickle

    try:
        return torch.load(path, map_location="cpu", weights_only=True)["model_state"]
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
        kind = type(error).__name__
        raise UserError(
            f"{source(config)}: weights: {path} is not Resemblyzer's checkpoint ({kind}); fetch it again"
        ) from None
