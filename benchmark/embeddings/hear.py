"""Any installed module with the HEAR 2021 API (Turian et al. 2022) as an embedding, by YAML alone.

`module` names it; `weights: none`, or a file that is handed to its `load_model`. `args`: `embedding` is `timestamp`
(frames) or `scene` (one vector a clip); clips shorter than `least_s` are completed with zeros, for modules that
refuse short ones.
"""

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice, source
from benchmark.embeddings.base import Embedding, embed_equal_lengths
from benchmark.errors import UserError

_FUNCTIONS = ("load_model", "get_timestamp_embeddings", "get_scene_embeddings")
_ATTRIBUTES = ("sample_rate", "timestamp_embedding_size", "scene_embedding_size")
# Samples of a batch of clips of one length.
_MAX_SAMPLES = 60 * 48000


class HearEmbedding(Embedding):
    """A HEAR module and its model.

    Args:
        config: the embedding's YAML.
        module: has the HEAR functions.
        model: what its `load_model` gave.
        device: where it runs.
    """

    def __init__(self, config: EmbeddingConfig, module: ModuleType, model: torch.nn.Module, device: str):
        args = check_args(config, {"embedding": "timestamp", "least_s": 0.0})
        check_choice(config, "args: embedding", args["embedding"], ("timestamp", "scene"))
        self.module, self.model = module, model
        self.scene = args["embedding"] == "scene"
        self.least_samples = max(1, round(args["least_s"] * model.sample_rate))
        dim = model.scene_embedding_size if self.scene else model.timestamp_embedding_size
        rate = int(model.sample_rate)
        hop_seconds = config.hop or self._measured_hop(rate, torch.device(device))
        super().__init__(config, sample_rate=rate, dim=int(dim), hop_seconds=hop_seconds, device=device)

    def _embed(self, waveforms: list[np.ndarray]) -> list[tuple[Tensor, np.ndarray]]:
        padded = [np.pad(wave, (0, max(0, self.least_samples - len(wave)))) for wave in waveforms]
        together = embed_equal_lengths(padded, self._batch, _MAX_SAMPLES)
        # Vectors and times travel in one tensor of float64: the times are its last column.
        return [(both[:, :-1].float(), both[:, -1].numpy()) for both in together]

    def _batch(self, waveforms: np.ndarray) -> list[Tensor]:
        audio = torch.from_numpy(waveforms).to(self.device)
        if self.scene:
            vectors = self._called("get_scene_embeddings", audio).unsqueeze(1)
            times = torch.full((len(audio), 1), audio.shape[1] / 2 / self.sample_rate, dtype=torch.float64)
        else:
            vectors, milliseconds = self._called("get_timestamp_embeddings", audio)
            times = milliseconds.double().cpu() / 1000.0
        return list(torch.cat([vectors.double().cpu(), times.unsqueeze(-1)], dim=-1))

    def _called(self, function: str, audio: Tensor) -> Any:
        # Modules draw from the global generator, if only by a DataLoader: that must not reach our own draws.
        with torch.random.fork_rng(devices=[]):
            return getattr(self.module, function)(audio, self.model)

    def _measured_hop(self, sample_rate: int, device: torch.device) -> float:
        """Distance of the frames of two seconds of silence; the two seconds if there is but one."""
        if self.scene:
            return 2.0
        with torch.inference_mode():
            _, times = self._called("get_timestamp_embeddings", torch.zeros(1, 2 * sample_rate, device=device))
        return float(times[0].double().diff().mean()) / 1000.0 if times.shape[1] > 1 else 2.0


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> HearEmbedding:
    """Import the module, load its model and check that both have what the API asks for.

    Raises:
        UserError: no module given, it is not installed or cannot be imported, or it lacks a part of the API.
    """
    where = source(config)
    if not config.module:
        raise UserError(f"{where}: module: family hear needs the name of an installed module; add it")
    try:
        module = importlib.import_module(config.module)
    except ImportError as error:
        raise UserError(f"{where}: module: {config.module} cannot be imported ({error}); install it") from None
    _check_parts(config, module, _FUNCTIONS, config.module)
    # Modules seed the global generator to draw their random projections: that must not reach our own draws.
    with torch.random.fork_rng(devices=[]), _librosa_of_2021():
        model = module.load_model(str(weights)) if weights is not None else module.load_model()
    if not isinstance(model, torch.nn.Module):
        kind = type(model).__name__
        raise UserError(f"{where}: module: {config.module} gives a {kind}; only PyTorch modules run here")
    _check_parts(config, model, _ATTRIBUTES, f"the model of {config.module}")
    return HearEmbedding(config, module, model.to(device).eval(), device)


@contextlib.contextmanager
def _librosa_of_2021() -> Iterator[None]:
    """Let modules call `librosa.filters.mel(rate, n_fft)`, as they did when the API was made; librosa 0.10 refuses."""
    import librosa

    current = librosa.filters.mel
    librosa.filters.mel = lambda *args, **kwargs: current(**dict(zip(("sr", "n_fft"), args, strict=False)), **kwargs)
    try:
        yield
    finally:
        librosa.filters.mel = current


def _check_parts(config: EmbeddingConfig, owner: object, names: tuple[str, ...], what: str) -> None:
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        raise UserError(f"{source(config)}: module: {what} has no {', '.join(missing)}; it needs the HEAR 2021 API")
