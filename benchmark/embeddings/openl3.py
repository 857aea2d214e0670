"""OpenL3, audio: one second of 48 kHz audio per frame, embedding of 512 or 6144.

Front ends, `args: {frontend: ...}`: `kapre` is that of openl3 0.4 and what users of the package get; `librosa` is that
package's other choice; `legacy` is that of openl3 up to 0.3, with which the published weights were trained (another mel
scale, another order of mel and root, another padding; see the history of the package's `models.py`). For `linear` the
three agree.

`args: {dtype: bfloat16}` changes embeddings by 0.6 % of their greatest value (seeded weights; cosine 0.99999).
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.audio import frontends
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice, source
from benchmark.embeddings.conversion import fill_converted
from benchmark.embeddings.formats import read_keras_h5
from benchmark.embeddings.precision import DTYPES, InPrecision, kept_dtype
from benchmark.embeddings.trainable import Design, Trainable, window_inputs, zoo_trainable
from benchmark.embeddings.weight_files import needed
from benchmark.embeddings.windows import WindowEmbedding, Windows
from benchmark.errors import UserError
from benchmark.models.filtered_conv import filter_convolutions
from benchmark.models.openl3 import SIZES, OpenL3, load_keras

SAMPLE_RATE = 48_000
FRONTENDS = ("kapre", "librosa", "legacy")
BANDS = {"linear": None, "mel128": 128, "mel256": 256}

_FFT = {"linear": 512, "mel128": 2048, "mel256": 2048}
_HOP = 242
_RANGE_DB = 80.0

# Activations of one second leave a CPU's cache when two are run together.
_BATCH = {"cpu": 1}
_BATCH_GPU = 64


class Spectrogram(nn.Module):
    """One second of audio (B, 48000) to dB (B, 1, F, T), in [-80, 0], the maximum of each second at 0.

    The spectrum is computed in float64: 80 of these dB are a ratio of 1e-8, below the noise of a float32 FFT.

    Args:
        representation: `linear`, `mel128` or `mel256`.
        frontend: `kapre`, `librosa` or `legacy`.
    """

    def __init__(self, representation: str, frontend: str = "kapre"):
        super().__init__()
        n_fft, bands = _FFT[representation], BANDS[representation]
        self.legacy = frontend == "legacy"
        self.layout = {"n_fft": n_fft, "hop": _HOP, "center": False}
        self.padding = (0, 0)
        self.register_buffer("window", frontends.hann(n_fft, dtype=torch.float64), persistent=False)
        self.register_buffer("filters", None, persistent=False)
        if bands is not None:
            filters = frontends.mel_filterbank(bands, n_fft, SAMPLE_RATE, scale="htk" if self.legacy else "slaney")
            self.filters = filters.T.contiguous()
            # So many zeros make a frame of every hop.
            missing = (SAMPLE_RATE - 1) // _HOP * _HOP + n_fft - SAMPLE_RATE
            self.padding = (missing // 2, missing - missing // 2) if self.legacy else (0, missing)
            if frontend == "librosa":
                self.padding = (0, 0)
                self.layout |= {"center": True, "pad_mode": "reflect"}

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.pad(x.double(), self.padding)
        power = frontends.stft_power(x, window=self.window, **self.layout)
        if self.filters is None:
            amplitude = power.sqrt()
        elif self.legacy:
            amplitude = (power.float() @ self.filters).sqrt()
        else:
            amplitude = power.sqrt().float() @ self.filters
        # The formula is that of powers, but the package applies it to magnitudes.
        decibels = frontends.power_to_db(amplitude, ref="max", range_db=_RANGE_DB)
        return decibels.transpose(1, 2).unsqueeze(1).float()


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> WindowEmbedding:
    """Build an OpenL3 embedding; `model` is `<linear|mel128|mel256>-<512|6144>`.

    Raises:
        UserError: another model, arguments that do not fit, or weights that are missing or not OpenL3's.
    """
    args, representation, windows = _arguments(config)
    net = _with_weights(config, weights).fold()
    if torch.device(device).type == "cpu" and kept_dtype(args["dtype"], device) == torch.float32:
        filter_convolutions(net)
    network = nn.Sequential(Spectrogram(representation, args["frontend"]), InPrecision(net, args["dtype"], device))
    return WindowEmbedding(
        config,
        network.to(device).eval(),
        _BATCH.get(torch.device(device).type, _BATCH_GPU),
        windows,
        sample_rate=SAMPLE_RATE,
        dim=net.size,
        device=device,
    )


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs; the first four convolutions are what the freezing point fixes.

    Raises:
        UserError: as `build`.
    """
    args, representation, windows = _arguments(config)
    size = int(str(config.model).split("-")[1])
    design = Design(OpenL3.late, OpenL3.rest, size, OpenL3.stem)
    inputs = window_inputs(windows, Spectrogram(representation, args["frontend"]))
    return zoo_trainable(SAMPLE_RATE, inputs, design, lambda: OpenL3(size), lambda: _with_weights(config, weights))


def _arguments(config: EmbeddingConfig) -> tuple[dict[str, Any], str, Windows]:
    args = check_args(config, {"frontend": "kapre", "hop": 0.1, "center": True, "dtype": "float32"})
    models = tuple(f"{representation}-{size}" for representation in BANDS for size in SIZES)
    check_choice(config, "model", config.model, models)
    check_choice(config, "args: frontend", args["frontend"], FRONTENDS)
    check_choice(config, "args: dtype", args["dtype"], DTYPES)
    hop = int(args["hop"] * SAMPLE_RATE)
    if hop < 1:
        raise UserError(f"{source(config)}: args: hop is {args['hop']}; it must be more than 0 s")
    before = SAMPLE_RATE // 2 if args["center"] else 0
    return args, str(config.model).split("-")[0], Windows(SAMPLE_RATE, hop, before, tail="pad")


def _with_weights(config: EmbeddingConfig, weights: Path | None) -> OpenL3:
    net = OpenL3(int(str(config.model).split("-")[1]))
    path = needed(config, weights, "the authors' .h5 file")
    fill_converted(net, path, lambda: load_keras(net, read_keras_h5(path)))
    return net
