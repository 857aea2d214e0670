"""Every Leveret embedding as a HEAR 2021 module (Turian et al. 2022).

`load_model` takes what HEAR tools call the path of a model: the name of an embedding in this folder's `embeddings/`,
or the path of an embedding's YAML; `<name>=<file>` also names a file of weights. Without it the environment variable
LEVERET_EMBEDDING is looked up. `<name>=random` takes random weights, to try the API where the real ones are not here. So

    hear-validator benchmark.hear --model openl3-music-mel256-512

`module` gives a module object for one embedding, for tools that take modules.

Conventions of the API: audio is (n_sounds, samples) in [-1, 1]; timestamps are milliseconds, evenly spaced; the
sample rate is one of four.
"""

import functools
import os
import types
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import Tensor

from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.base import Embedding, pool
from benchmark.embeddings.registry import build_embedding
from benchmark.embeddings.seeded import build_seeded
from benchmark.errors import UserError

SAMPLE_RATES = (16000, 22050, 44100, 48000)
VARIABLE = "LEVERET_EMBEDDING"
RANDOM = "random"

# The API asks for timestamps that are even within this.
_TOLERANCE_MS = 1e-3


class HearModel(torch.nn.Module):
    """An embedding with the attributes that the HEAR API asks for.

    Args:
        embedding: what is wrapped.

    Attributes:
        sample_rate: Hz; the lowest of HEAR's rates that is not below the embedding's, to which audio is then resampled.
        timestamp_embedding_size: size of a frame.
        scene_embedding_size: size of a clip's vector.
    """

    def __init__(self, embedding: Embedding):
        super().__init__()
        self.embedding = embedding
        self.sample_rate = next((r for r in SAMPLE_RATES if r >= embedding.sample_rate), SAMPLE_RATES[-1])
        self.timestamp_embedding_size = embedding.dim
        self.scene_embedding_size = embedding.dim * (2 if embedding.pool_how == "mean_std" else 1)

    def frames(self, audio: Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
        """Frames (T, dim) and times (T,) in seconds of each sound in `audio` (n_sounds, samples)."""
        if audio.ndim != 2:
            raise ValueError(f"audio must be (n_sounds, samples); it is {tuple(audio.shape)}")
        sounds = audio.detach().to("cpu", torch.float32).numpy()
        rate = self.embedding.sample_rate
        if rate != self.sample_rate:
            sounds = np.stack([soxr.resample(sound, self.sample_rate, rate) for sound in sounds])
        return self.embedding.embed([np.ascontiguousarray(sound) for sound in sounds])


def load_model(model_file_path: str = "") -> HearModel:
    """The model of an embedding.

    Args:
        model_file_path: `<embedding or YAML file>`, or `<embedding or YAML file>=<file of weights>`, or `...=random`.

    Raises:
        UserError: no such embedding, or its weights cannot be had.
    """
    wanted = model_file_path or os.environ.get(VARIABLE, "")
    if not wanted:
        raise UserError(
            f"benchmark.hear: no embedding named; give its name as the path of the model, or set {VARIABLE}"
        )
    name, _, weights = wanted.partition("=")
    if weights == RANDOM:
        return HearModel(build_seeded(_config(name)))
    return HearModel(build_embedding(_config(name), weights or None))


def get_timestamp_embeddings(audio: Tensor, model: HearModel) -> tuple[Tensor, Tensor]:
    """Vectors at even intervals.

    Args:
        audio: (n_sounds, samples) at the model's sample rate.
        model: from `load_model`.

    Returns:
        Embeddings (n_sounds, T, size) float32 and timestamps (n_sounds, T) float32, the centres in milliseconds.
    """
    clips = [
        _even(frames, times * 1000.0, model.embedding.hop_seconds * 1000.0) for frames, times in model.frames(audio)
    ]
    embeddings = torch.from_numpy(np.stack([frames for frames, _ in clips])).to(audio.device)
    timestamps = torch.from_numpy(np.stack([times for _, times in clips])).float().to(audio.device)
    return embeddings, timestamps


def get_scene_embeddings(audio: Tensor, model: HearModel) -> Tensor:
    """One vector a sound, (n_sounds, size) float32: its frames pooled as the embedding's YAML says."""
    vectors = [pool(frames, model.embedding.pool_how) for frames, _ in model.frames(audio)]
    return torch.from_numpy(np.stack(vectors)).to(audio.device)


def module(name: str) -> types.ModuleType:
    """A module object with the three functions of the API, whose `load_model()` gives the embedding `name` without
    being told.

    Args:
        name: as in `load_model`.
    """
    made = types.ModuleType(f"benchmark.hear:{name}", f"The embedding {name} with the HEAR 2021 API.")
    made.load_model = functools.partial(_load_fixed, name)
    made.get_timestamp_embeddings = get_timestamp_embeddings
    made.get_scene_embeddings = get_scene_embeddings
    return made


def _load_fixed(name: str, model_file_path: str = "") -> HearModel:
    return load_model(f"{name}={model_file_path}" if model_file_path else name)


def _config(name: str) -> EmbeddingConfig:
    path = Path(name) if name.endswith((".yaml", ".yml")) else Path("embeddings") / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"{path}: no such embedding here; `leveret list embeddings` shows what there is")
    return load(path, EmbeddingConfig)


def _even(frames: np.ndarray, times_ms: np.ndarray, hop_ms: float) -> tuple[np.ndarray, np.ndarray]:
    """The frames as they are if they are evenly spaced; otherwise the nearest frame at every hop."""
    steps = np.diff(times_ms)
    if len(steps) == 0 or np.abs(steps - steps.mean()).max() < _TOLERANCE_MS:
        return frames, times_ms
    even = np.arange(times_ms[0], times_ms[-1] + hop_ms / 2, hop_ms)
    nearest = np.abs(even[:, None] - times_ms[None, :]).argmin(axis=1)
    return frames[nearest], even
