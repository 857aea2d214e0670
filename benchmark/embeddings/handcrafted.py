"""Statistics of log-mel spectra and of cepstra: baselines without weights.

Features are computed every 20 ms (22,050 Hz, windows of 2048 samples every 441, Slaney's mel scale and norm):
`logmel`, 64 bands in dB over a power of 1e-10 (`args: bands`); `mfcc`, 20 cepstra of 128 bands with their slopes over
nine frames, as librosa's `mfcc` and `delta` give them.

A frame of the embedding holds the means, then the population standard deviations, of the features over `args: window`
seconds; windows do not overlap. What remains at the end makes a frame of its own if it is at least half a window, or
all there is; its time is the centre that a whole window would have.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.audio.frontends import MelSpectrogram, dct_matrix, deltas, power_to_db
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice, source
from benchmark.embeddings.base import Embedding
from benchmark.embeddings.stretches import Context
from benchmark.errors import UserError

SAMPLE_RATE = 22_050
N_FFT = 2048
HOP = 441

_MFCC_BANDS = 128
_COEFFICIENTS = 20
# Half a window and the slopes' frames.
_REACH = N_FFT // 2 + 8 * HOP
_DEFAULTS = {"logmel": {"window": 0.5, "bands": 64}, "mfcc": {"window": 0.5}}


class LogMelFeatures:
    """Waveform (samples,) to (T, bands) in dB."""

    def __init__(self, bands: int, device: str):
        self.dim = bands
        self.mel = MelSpectrogram(SAMPLE_RATE, N_FFT, HOP, bands).to(device)

    def __call__(self, x: Tensor) -> Tensor:
        return power_to_db(self.mel(x), range_db=None)


class MfccFeatures:
    """Waveform (samples,) to (T, 40): cepstra, then their slopes."""

    dim = 2 * _COEFFICIENTS

    def __init__(self, device: str):
        self.mel = MelSpectrogram(SAMPLE_RATE, N_FFT, HOP, _MFCC_BANDS).to(device)
        self.dct = dct_matrix(_COEFFICIENTS, _MFCC_BANDS).T.to(device)

    def __call__(self, x: Tensor) -> Tensor:
        cepstra = power_to_db(self.mel(x)) @ self.dct
        return torch.cat([cepstra, deltas(cepstra)], dim=-1)


class StatisticsEmbedding(Embedding):
    """Means and standard deviations of features over windows.

    Args:
        config: the embedding's YAML.
        features: waveform (samples,) to (T, F), frames `HOP` samples apart.
        size: F.
        frames: feature frames a window.
        device: where they are computed.
    """

    def __init__(
        self, config: EmbeddingConfig, features: Callable[[Tensor], Tensor], size: int, frames: int, device: str
    ):
        step_s = HOP / SAMPLE_RATE
        super().__init__(config, sample_rate=SAMPLE_RATE, dim=2 * size, hop_seconds=frames * step_s, device=device)
        self.features = features
        self.frames = frames

    def context(self) -> Context:
        unit = self.frames * HOP
        return Context(unit, _REACH, unit + _REACH)

    def _embed(self, waveforms: list[np.ndarray]) -> list[tuple[Tensor, np.ndarray]]:
        return [self._statistics(torch.from_numpy(waveform).to(self.device)) for waveform in waveforms]

    def _statistics(self, waveform: Tensor) -> tuple[Tensor, np.ndarray]:
        windows = list(self.features(waveform).double().split(self.frames))
        if len(windows) > 1 and 2 * len(windows[-1]) < self.frames:
            windows.pop()
        rows = [torch.cat([window.mean(dim=0), window.std(dim=0, correction=0)]) for window in windows]
        centres = self.frames * np.arange(len(rows)) + (self.frames - 1) / 2
        return torch.stack(rows), centres * HOP / SAMPLE_RATE


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> StatisticsEmbedding:
    """Build an embedding of family `handcrafted`; `model` is `logmel` or `mfcc`.

    Raises:
        UserError: another model, arguments that do not fit, or a file of weights.
    """
    check_choice(config, "model", config.model, tuple(_DEFAULTS))
    args = check_args(config, _DEFAULTS[str(config.model)])
    if weights is not None:
        raise UserError(f"{source(config)}: weights: family handcrafted has none; write `weights: none`")
    frames = round(args["window"] * SAMPLE_RATE / HOP)
    if frames < 1 or args.get("bands", 1) < 1:
        raise UserError(f"{source(config)}: args: window must be at least 0.02 s and bands at least 1; mend it")
    features = LogMelFeatures(args["bands"], device) if config.model == "logmel" else MfccFeatures(device)
    return StatisticsEmbedding(config, features, features.dim, frames, device)
