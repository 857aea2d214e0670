"""The ACMus networks on their own features (repository ACMUS-MIR/ACMus-Models: `extract_features.py`,
`predict_files.py`).

`speech_music`: 22,050 Hz, 80 mel bands on magnitudes, patches of 140 frames. `ensemble`: 12 kHz, 257 bins, patches of
34 frames, hop 17. Both: clips over their peak, reflected at the ends, ln(1 + x), then every element of a patch
standardised with the two matrices of a second file, `<model>.npz`.
"""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.audio.cepstra import peak_normalized
from benchmark.audio.frontends import MelSpectrogram, hann, stft_magnitude
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice
from benchmark.embeddings.conversion import fill_converted
from benchmark.embeddings.feature_patches import FeatureEmbedding, Layout, patch_inputs
from benchmark.embeddings.formats import read_keras_h5
from benchmark.embeddings.trainable import Design, Trainable, zoo_trainable
from benchmark.embeddings.weight_files import RANDOM, companion, needed
from benchmark.errors import UserError
from benchmark.models.acmus import Acmus, load_keras


@dataclasses.dataclass(frozen=True)
class _Model:
    sample_rate: int
    n_fft: int
    hop: int
    bands: int | None
    frames: int
    frame_hop: int
    classes: int

    @property
    def layout(self) -> Layout:
        return Layout(self.frames, self.frame_hop, self.hop / self.sample_rate)

    @property
    def least(self) -> int:
        return (self.frames - 1) * self.hop


MODELS = {
    "speech_music": _Model(22050, 1024, 342, 80, 140, 140, 4),
    "ensemble": _Model(12000, 512, 512, None, 34, 17, 5),
}
READOUTS = {"dense": 64, "maxima": 128}
_BATCH = 16


class Features(nn.Module):
    """Waveform (samples,) to ln(1 + magnitude), (T, 80 or 257).

    Args:
        model: `speech_music` or `ensemble`.
    """

    def __init__(self, model: str):
        super().__init__()
        m = MODELS[model]
        self.n_fft, self.hop = m.n_fft, m.hop
        self.register_buffer("window", hann(m.n_fft), persistent=False)
        self.mel = None
        if m.bands is not None:
            self.mel = MelSpectrogram(m.sample_rate, m.n_fft, m.hop, m.bands, power=1.0, pad_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        x = peak_normalized(x)
        if self.mel is not None:
            return torch.log1p(self.mel(x))
        return torch.log1p(stft_magnitude(x, self.n_fft, self.hop, self.window, pad_mode="reflect"))


class _Network(nn.Module):
    def __init__(self, net: Acmus, normalisation: Tensor, readout: str):
        super().__init__()
        self.net, self.readout = net, readout
        self.register_buffer("mean", normalisation[0])
        self.register_buffer("scale", normalisation[1])

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.scale
        return self.net.embed(x) if self.readout == "dense" else self.net.maxima(x)


def read_normalisation(path: Path, model: str) -> Tensor:
    """Means and scales, (2, frames, bands), of `normMat` in the authors' .npz file.

    Raises:
        UserError: the file has no such array, or one of another shape.
    """
    m = MODELS[model]
    shape = (2, m.frames, m.bands or m.n_fft // 2 + 1, 1)
    if path == RANDOM:
        return torch.stack([torch.zeros(shape[1:3]), torch.ones(shape[1:3])])
    try:
        with np.load(path) as file:
            matrix = file["normMat"].astype(np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path}: no array normMat ({error}); fetch it again") from None
    if matrix.shape != shape:
        raise UserError(f"{path}: normMat is {matrix.shape}, {model} needs {shape}; give the file of this model")
    return torch.from_numpy(matrix[..., 0])


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> FeatureEmbedding:
    """Build an ACMus embedding; `model` is `speech_music` or `ensemble`, `args: {readout: dense | maxima}`.

    Raises:
        UserError: another model or argument, or files that are missing or do not fit.
    """
    args = check_args(config, {"readout": "dense", "normalisation": {}})
    check_choice(config, "model", config.model, tuple(MODELS))
    check_choice(config, "args: readout", args["readout"], tuple(READOUTS))
    model = MODELS[str(config.model)]
    return FeatureEmbedding(
        config,
        Features(str(config.model)).to(device),
        _with_weights(config, weights, args["readout"]).to(device).eval(),
        _BATCH,
        model.layout,
        model.least,
        sample_rate=model.sample_rate,
        dim=READOUTS[args["readout"]],
        device=device,
    )


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs; the convolutions are what the freezing point fixes. From scratch nothing is standardised.

    Raises:
        UserError: as `build`, or the read-out is not the dense layer.
    """
    args = check_args(config, {"readout": "dense", "normalisation": {}})
    check_choice(config, "model", config.model, tuple(MODELS))
    check_choice(config, "args: readout", args["readout"], ("dense",))
    model = MODELS[str(config.model)]

    def fresh() -> _Network:
        return _Network(Acmus(model.classes), read_normalisation(RANDOM, str(config.model)), "dense")

    return zoo_trainable(
        model.sample_rate,
        patch_inputs(Features(str(config.model)), model.layout, model.least),
        Design(lambda network: [network.net.dense], _rest, READOUTS["dense"], _stem),
        fresh,
        lambda: _with_weights(config, weights, "dense"),
    )


def _stem(network: _Network, x: Tensor) -> Tensor:
    return network.net.stem((x - network.mean) / network.scale)


def _rest(network: _Network, x: Tensor) -> Tensor:
    return network.net.rest(x)


def _with_weights(config: EmbeddingConfig, weights: Path | None, readout: str) -> _Network:
    path = needed(config, weights, "the authors' .h5 file")
    net = Acmus(MODELS[str(config.model)].classes)
    fill_converted(net, path, lambda: load_keras(net, read_keras_h5(path)))
    normalisation = companion(config, path, "normalisation", f"{config.model}.npz")
    return _Network(net, read_normalisation(normalisation, str(config.model)), readout)
