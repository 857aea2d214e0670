"""Classical features for the recognition of instruments, computed by librosa at 22,050 Hz.

`irmas`: one vector of 98 numbers a clip, the columns of a public table for IRMAS (repository
AbubakarSarwar/Instrument-Classification-of-IRMAS-Dataset, `Instrument-4.csv`), in its order: tempo; beat frames;
centroid, bandwidth, roll-off; zero crossings; RMS and energy; 20 MFCC. The script that made the table is not
published: how it scales RMS and energy is not known. `frames`: 20 MFCC, centroid, bandwidth, 7 bands of contrast,
roll-off, zero-crossing rate, 12 chroma and RMS, every 512 samples.
"""

from pathlib import Path

import librosa
import numpy as np
import torch
from torch import Tensor

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice
from benchmark.embeddings.base import Embedding
from benchmark.embeddings.stretches import Context

SAMPLE_RATE = 22050
DIMS = {"irmas": 98, "frames": 44}

_HOP = 512
_MFCC = 20
# Half of the longest window.
_REACH = 2 * _HOP


def irmas_vector(y: np.ndarray) -> np.ndarray:
    """The 98 numbers of a waveform (samples,) of a second or more; standard deviations are those of a population."""
    tempo, beats = librosa.beat.beat_track(y=y, sr=SAMPLE_RATE)
    beats = beats.astype(float) if len(beats) else np.zeros(1)
    magnitude = np.abs(librosa.stft(y))
    values = [np.ravel(tempo)[0], beats.sum(), beats.mean(), beats.var(), beats.std()]
    for feature in (
        librosa.feature.spectral_centroid,
        librosa.feature.spectral_bandwidth,
        librosa.feature.spectral_rolloff,
    ):
        series = feature(S=magnitude, sr=SAMPLE_RATE)
        values += [series.mean(), series.var(), series.std()]
    crossings = librosa.feature.zero_crossing_rate(y)
    values += [crossings.sum(), crossings.mean(), librosa.feature.rms(y=y).mean(), np.square(y, dtype=np.float64).sum()]
    mfcc = librosa.feature.mfcc(y=y, sr=SAMPLE_RATE, n_mfcc=_MFCC)
    return np.concatenate([values, mfcc.mean(axis=1), mfcc.sum(axis=1), mfcc.std(axis=1), mfcc.var(axis=1)])


def frame_vectors(y: np.ndarray) -> np.ndarray:
    """The 44 numbers of every frame of a waveform (samples,), (T, 44), frames centred on multiples of 512 samples."""
    magnitude = np.abs(librosa.stft(y))
    spectral = {"S": magnitude, "sr": SAMPLE_RATE}
    rows = [
        librosa.feature.mfcc(y=y, sr=SAMPLE_RATE, n_mfcc=_MFCC),
        librosa.feature.spectral_centroid(**spectral),
        librosa.feature.spectral_bandwidth(**spectral),
        librosa.feature.spectral_contrast(**spectral),
        librosa.feature.spectral_rolloff(**spectral),
        librosa.feature.zero_crossing_rate(y),
        librosa.feature.chroma_stft(S=magnitude**2, sr=SAMPLE_RATE, tuning=0.0),
        librosa.feature.rms(y=y),
    ]
    return np.concatenate(rows).T


class ClassicalEmbedding(Embedding):
    """`irmas` (one vector a clip, at its middle) or `frames`; clips of less than a second are completed with zeros."""

    def __init__(self, config: EmbeddingConfig, device: str):
        self.whole = config.model == "irmas"
        # The only frame of a clip has no neighbour: the nominal distance is a second, the shortest clip.
        hop_seconds = 1.0 if self.whole else _HOP / SAMPLE_RATE
        dim = DIMS[str(config.model)]
        super().__init__(config, sample_rate=SAMPLE_RATE, dim=dim, hop_seconds=hop_seconds, device=device)

    def context(self) -> Context:
        return Context() if self.whole else Context(_HOP, _REACH, _REACH)

    def _embed(self, waveforms: list[np.ndarray]) -> list[tuple[Tensor, np.ndarray]]:
        return [self._clip(waveform) for waveform in waveforms]

    def _clip(self, waveform: np.ndarray) -> tuple[Tensor, np.ndarray]:
        padded = np.pad(waveform, (0, max(0, SAMPLE_RATE - len(waveform))))
        if self.whole:
            return torch.from_numpy(irmas_vector(padded))[None], np.array([len(waveform) / 2 / SAMPLE_RATE])
        vectors = frame_vectors(padded)[: 1 + len(waveform) // _HOP]
        return torch.from_numpy(vectors), np.arange(len(vectors)) * _HOP / SAMPLE_RATE


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> ClassicalEmbedding:
    """Build the embedding; `model` is `irmas` or `frames`.

    Raises:
        UserError: another model, or an argument is given.
    """
    check_args(config, {})
    check_choice(config, "model", config.model, tuple(DIMS))
    return ClassicalEmbedding(config, device)
