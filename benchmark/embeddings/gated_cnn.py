"""The gated CRNN of Xu et al. on its own features (repository yongxuUSTC/dcase2017_task4_cvssp, `prepare_data.py`).

16 kHz, Hamming windows of 1024 every 664 samples, magnitude over the window's norm, 64 mel bands, ln(x + 1e-8), bands
standardised with a scaler, segments of 240 frames (10 s), the last one completed with zeros before scaling. No
weights are published: give those of a model that the authors' scripts trained, with the scaler as `scaler.npz`
(`mean` and `scale`, 64 each) beside it.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.audio.cepstra import Standardizer
from benchmark.audio.frontends import MelSpectrogram
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice
from benchmark.embeddings.base import Embedding
from benchmark.embeddings.conversion import fill_converted
from benchmark.embeddings.formats import read_keras_h5
from benchmark.embeddings.stretches import Context
from benchmark.embeddings.trainable import Cut, Design, Trainable, evenly
from benchmark.embeddings.weight_files import RANDOM, companion, fill, needed, read_state
from benchmark.errors import UserError
from benchmark.models.gated_cnn import GatedCnn, load_keras
from benchmark.models.strict import load_strict

SAMPLE_RATE = 16000
SEGMENT = 240

_WINDOW, _HOP, _BANDS = 1024, 664, 64
_BATCH = 4
# Frames per step of the read-out.
_STRIDES = {"tagging": 8, "detection": 1}


class Features(nn.Module):
    """Waveform (samples,), at least 1024, to log-mel (T, 64)."""

    def __init__(self) -> None:
        super().__init__()
        window = torch.hamming_window(_WINDOW, periodic=False)
        # SciPy's spectrogram divides magnitudes by the norm of the window.
        window = window / window.square().sum().sqrt()
        self.mel = MelSpectrogram(SAMPLE_RATE, _WINDOW, _HOP, _BANDS, window, f_max=8000.0, power=1.0, center=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(self.mel(x) + 1e-8)


class GatedCnnEmbedding(Embedding):
    """One vector per step of the recurrent layers; steps that see nothing but completion are left out."""

    def __init__(self, config: EmbeddingConfig, net: GatedCnn, scaler: Standardizer, device: str):
        self.stride = _STRIDES[str(config.model)]
        hop_seconds = self.stride * _HOP / SAMPLE_RATE
        super().__init__(config, sample_rate=SAMPLE_RATE, dim=net.dim, hop_seconds=hop_seconds, device=device)
        self.features = Features().to(device)
        self.scaler = scaler.to(device)
        self.network = net.to(device).eval()

    def context(self) -> Context:
        return Context(SEGMENT * _HOP, 0, _WINDOW)

    def _embed(self, waveforms: list[np.ndarray]) -> list[tuple[Tensor, np.ndarray]]:
        return [self._clip(waveform) for waveform in waveforms]

    def _clip(self, waveform: np.ndarray) -> tuple[Tensor, np.ndarray]:
        waveform = np.pad(waveform, (0, max(0, _WINDOW - len(waveform))))
        features = self.features(torch.from_numpy(waveform).to(self.device))
        steps = -(-len(features) // self.stride)
        features = functional.pad(features, (0, 0, 0, -len(features) % SEGMENT))
        segments = self.scaler(features).reshape(-1, SEGMENT, _BANDS)
        with self.numbers():
            vectors = torch.cat([self.network.embed(batch) for batch in segments.split(_BATCH)]).flatten(0, 1)[:steps]
        centres = (np.arange(steps) * self.stride + (self.stride - 1) / 2) * _HOP + _WINDOW / 2
        return vectors, centres / SAMPLE_RATE


def read_scaler(path: Path) -> Standardizer:
    """The scaler in an .npz file with `mean` and `scale`, (64,) each.

    Raises:
        UserError: the file does not hold them.
    """
    if path == RANDOM:
        return Standardizer(torch.zeros(_BANDS), torch.ones(_BANDS))
    try:
        with np.load(path) as file:
            mean, scale = (torch.from_numpy(file[name].astype(np.float32)) for name in ("mean", "scale"))
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path}: no arrays mean and scale ({error}); save them with numpy.savez") from None
    if mean.shape != (_BANDS,) or scale.shape != (_BANDS,):
        raise UserError(f"{path}: mean and scale are {tuple(mean.shape)}, expected ({_BANDS},); give the model's own")
    return Standardizer(mean, scale)


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> GatedCnnEmbedding:
    """Build a gated CRNN embedding; `model` is `tagging` or `detection`, `args: {scaler: ...}` names the scaler's
    source.

    Raises:
        UserError: another model or argument, or files that are missing or do not fit.
    """
    check_args(config, {"scaler": {}})
    check_choice(config, "model", config.model, tuple(_STRIDES))
    return GatedCnnEmbedding(config, *_with_weights(config, weights), device)


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs: segments of 10 s, whose read-out is the mean over steps; the freezing point fixes the convolutions.

    A network from scratch standardises with the statistics of the training part.

    Raises:
        UserError: as `build`.
    """
    check_args(config, {"scaler": {}})
    check_choice(config, "model", config.model, tuple(_STRIDES))
    features = Features()

    def inputs(waveform: np.ndarray, limit: int | None) -> Tensor:
        with torch.no_grad():
            frames = features(torch.from_numpy(np.pad(waveform, (0, max(0, _WINDOW - len(waveform))))))
        segments = functional.pad(frames, (0, 0, 0, -len(frames) % SEGMENT)).reshape(-1, SEGMENT, _BANDS)
        return segments[torch.from_numpy(evenly(len(segments), limit))]

    design = Design(lambda network: [network.net.linear, network.net.gate], _rest, GatedCnn.dim, _stem)

    def fresh(classes: int, training: Tensor) -> Cut:
        return design.of(_Network(GatedCnn(config.model), Standardizer.fit(training.flatten(0, 1))), classes)

    def pretrained() -> Cut:
        return design.of(_Network(*_with_weights(config, weights)))

    return Trainable(SAMPLE_RATE, GatedCnn.dim, inputs, pretrained, fresh, stackable=False)


class _Network(nn.Module):
    def __init__(self, net: GatedCnn, scaler: Standardizer):
        super().__init__()
        self.net, self.scaler = net, scaler


def _stem(network: _Network, x: Tensor) -> Tensor:
    return network.net.stem(network.scaler(x))


def _rest(network: _Network, x: Tensor) -> Tensor:
    return network.net.rest(x).mean(dim=1)


def _with_weights(config: EmbeddingConfig, weights: Path | None) -> tuple[GatedCnn, Standardizer]:
    path = needed(config, weights, "the .hdf5 file that the authors' scripts save, or a .safetensors file")
    net = GatedCnn(config.model)
    if path.suffix == ".safetensors":
        fill(path, lambda: load_strict(net, read_state(path)))
    else:
        fill_converted(net, path, lambda: load_keras(net, read_keras_h5(path)))
    return net, read_scaler(companion(config, path, "scaler", "scaler.npz"))
