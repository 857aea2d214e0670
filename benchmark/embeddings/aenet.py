"""AENet on HTK's filter-bank stream (repository znaoya/aenet, `aenet/base.py`).

16 kHz, 25-ms Hamming windows every 10 ms, 49 mel bands and the energy (log), their first and second slopes: 3 x 50
values a frame, less `gmean.npy`, over `gstd.npy`; patches of 200 frames every 100; a clip of fewer frames is doubled
until it has 200. The vectors have unit length. HTK's configuration is not in the repository: what it leaves open are
HTK's defaults here (pre-emphasis 0.97, magnitudes, 16-bit amplitudes), and that the 50th value is the energy is a
guess that fits the number.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.audio.frontends import frame, mel_filterbank
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args
from benchmark.embeddings.feature_patches import FeatureEmbedding, Layout, patch_inputs
from benchmark.embeddings.trainable import Design, Trainable, zoo_trainable
from benchmark.embeddings.weight_files import RANDOM, companion, fill, needed
from benchmark.errors import UserError
from benchmark.models.aenet import AENet, load_lasagne

SAMPLE_RATE = 16000
FRAMES, FRAME_HOP = 200, 100

_WINDOW, _HOP, _FFT = 400, 160, 512
_BANDS = 49
_BATCH = 4
_LAYOUT = Layout(FRAMES, FRAME_HOP, _HOP / SAMPLE_RATE, _WINDOW / 2 / SAMPLE_RATE)


class HtkFilterBank(nn.Module):
    """Waveform (samples,), at least 400, to (T, 150): 49 log bands and log energy, their slopes, slopes of those."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hamming_window(_WINDOW, periodic=False), persistent=False)
        filters = mel_filterbank(_BANDS, _FFT, SAMPLE_RATE, scale="htk", norm=None, shape="mel")
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        frames = frame(32768.0 * x, _WINDOW, _HOP)
        energy = frames.square().sum(dim=1, keepdim=True).clamp(min=1.0).log()
        before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
        magnitude = torch.fft.rfft((frames - 0.97 * before) * self.window, n=_FFT).abs()
        static = torch.cat([(magnitude @ self.filters).clamp(min=1.0).log(), energy], dim=1)
        first = slopes(static)
        return torch.cat([static, first, slopes(first)], dim=1)


def slopes(x: Tensor) -> Tensor:
    """HTK's regression over two frames each side of (T, F), the end frames repeated."""
    padded = torch.cat([x[:1], x[:1], x, x[-1:], x[-1:]])
    return (padded[3:-1] - padded[1:-3] + 2.0 * (padded[4:] - padded[:-4])) / 10.0


class _Features(nn.Module):
    """Waveform to normalised (T, 150), doubled until T >= 200."""

    def __init__(self, mean: Tensor, std: Tensor):
        super().__init__()
        self.bank = HtkFilterBank()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: Tensor) -> Tensor:
        features = (self.bank(x) - self.mean) / self.std
        while len(features) < FRAMES:
            features = torch.cat([features, features])
        return features


class _Network(nn.Module):
    def __init__(self, net: AENet):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return _rest(self.net, _stem(self.net, x))


def _stem(net: AENet, x: Tensor) -> Tensor:
    return net.stem(x.reshape(len(x), FRAMES, 3, _BANDS + 1).transpose(1, 2))


def _rest(net: AENet, x: Tensor) -> Tensor:
    return functional.normalize(net.rest(x), dim=1)


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles that hold containers and NumPy arrays; anything else in them is refused, not run."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer"}
        if module.split(".")[0] == "numpy" and name in allowed:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not an array")


def read_param_values(path: Path) -> list[np.ndarray]:
    """Arrays of `param_values` in the authors' Python-2 pickle.

    Raises:
        UserError: the file is not such a pickle, or holds more than arrays.
    """
    try:
        content = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="latin1").load()
        return [np.asarray(array, dtype=np.float32) for array in content["param_values"]]
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UserError(f"{path}: no pickle of arrays under param_values ({error}); fetch it again") from None


def _statistics(path: Path, otherwise: float) -> Tensor:
    """Means or deviations from a file; `otherwise` throughout without one."""
    if path == RANDOM:
        return torch.full((3 * (_BANDS + 1),), otherwise)
    try:
        array = np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not an array ({error}); fetch it again") from None
    if array.shape != (3 * (_BANDS + 1),):
        raise UserError(f"{path}: shape {array.shape}, expected ({3 * (_BANDS + 1)},); give AENet's own file")
    return torch.from_numpy(array)


def _net(path: Path) -> AENet:
    if path == RANDOM:
        return AENet()
    arrays = read_param_values(path)
    if len(arrays) != 14:
        raise UserError(f"{path}: {len(arrays)} arrays, AENet has 14; give the authors' model.pkl")
    net = AENet(classes=len(arrays[-1]), hidden=len(arrays[-3]))
    fill(path, lambda: load_lasagne(net, arrays))
    return net


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> FeatureEmbedding:
    """Build an AENet embedding; `args: {mean: ..., std: ...}` tell where gmean.npy and gstd.npy come from.

    Raises:
        UserError: another argument, or files that are missing or do not fit.
    """
    check_args(config, {"mean": {}, "std": {}})
    path = needed(config, weights, "the authors' model.pkl")
    net = _net(path)
    return FeatureEmbedding(
        config,
        _features(config, path).to(device),
        _Network(net).to(device).eval(),
        _BATCH,
        _LAYOUT,
        _WINDOW,
        sample_rate=SAMPLE_RATE,
        dim=net.dim,
        device=device,
    )


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs; the convolutions are what the freezing point fixes. Features keep the authors' statistics.

    Raises:
        UserError: as `build`.
    """
    check_args(config, {"mean": {}, "std": {}})

    def loaded() -> AENet:
        return _net(needed(config, weights, "the authors' model.pkl"))

    features = _features(config, RANDOM if weights is None else weights)
    dim = AENet().dim if weights is None else loaded().dim
    inputs = patch_inputs(features, _LAYOUT, _WINDOW)
    return zoo_trainable(SAMPLE_RATE, inputs, Design(None, _rest, dim, _stem), lambda: AENet(hidden=dim), loaded)


def _features(config: EmbeddingConfig, weights: Path) -> _Features:
    mean, std = (
        _statistics(companion(config, weights, argument, name), otherwise)
        for argument, name, otherwise in (("mean", "gmean.npy", 0.0), ("std", "gstd.npy", 1.0))
    )
    return _Features(mean, std)
