"""musicnn: three seconds of 16 kHz audio per frame, tagger features of 200, 753 or (its VGG companion) 256.

The package casts the mel spectrum to float16 before the logarithm, where a loud sound overflows to infinity; here it
stays in float32.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.audio.frontends import MelSpectrogram
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice
from benchmark.embeddings.conversion import fill_converted
from benchmark.embeddings.formats import read_tensor_bundle
from benchmark.embeddings.precision import DTYPES, InPrecision
from benchmark.embeddings.trainable import Design, Trainable, window_inputs, zoo_trainable
from benchmark.embeddings.weight_files import companion, needed
from benchmark.embeddings.windows import WindowEmbedding, Windows, hop_in_frames
from benchmark.models.musicnn import BANDS, FRAMES, Musicnn, MusicnnVgg, load_tensorflow

SAMPLE_RATE = 16_000
N_FFT, HOP = 512, 256
# Samples of a patch, with the half window that is padded at either end of a clip.
PATCH = (FRAMES - 1) * HOP + N_FFT

NETS = {"mtt": Musicnn, "msd": Musicnn, "mtt-vgg": MusicnnVgg, "msd-vgg": MusicnnVgg}

_BATCH = 4


class LogMel(nn.Module):
    """Patches of audio (B, samples) to log10(10000 mel + 1), (B, T, 96)."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = MelSpectrogram(SAMPLE_RATE, N_FFT, HOP, BANDS, center=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.log10(10_000.0 * self.mel(x) + 1.0)


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> WindowEmbedding:
    """Build musicnn from the authors' TensorFlow checkpoint; `model` is `mtt`, `msd`, `mtt-vgg` or `msd-vgg`.

    `args`: `read_out` (penultimate, mean_pool or max_pool; pool5 for the VGGs), `hop` in s, `dtype`, and `index`, the
    source of the checkpoint's `.index`, which is looked for beside the `.data-00000-of-00001` first.

    Raises:
        UserError: another model, arguments that do not fit, or weights that are missing or not musicnn's.
    """
    args, windows = _arguments(config)
    net = _with_weights(config, weights, args["read_out"])
    return WindowEmbedding(
        config,
        nn.Sequential(LogMel(), InPrecision(net, args["dtype"], device)).to(device).eval(),
        _BATCH,
        windows,
        sample_rate=SAMPLE_RATE,
        dim=net.sizes[args["read_out"]],
        device=device,
    )


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs; the freezing point fixes the convolutions on the spectrum, of a VGG the first two.

    Raises:
        UserError: as `build`.
    """
    args, windows = _arguments(config)
    kind, read_out = NETS[str(config.model)], args["read_out"]
    return zoo_trainable(
        SAMPLE_RATE,
        window_inputs(windows, LogMel()),
        Design(kind.late, kind.rest, kind.sizes[read_out], kind.stem),
        lambda: kind(read_out),
        lambda: _with_weights(config, weights, read_out),
    )


def _arguments(config: EmbeddingConfig) -> tuple[dict[str, Any], Windows]:
    check_choice(config, "model", config.model, tuple(NETS))
    kind = NETS[str(config.model)]
    first = next(iter(kind.sizes))
    args = check_args(config, {"read_out": first, "hop": FRAMES * HOP / SAMPLE_RATE, "index": {}, "dtype": "float32"})
    check_choice(config, "args: read_out", args["read_out"], tuple(kind.sizes))
    check_choice(config, "args: dtype", args["dtype"], DTYPES)
    hop = HOP * hop_in_frames(config, args["hop"], HOP, SAMPLE_RATE)
    return args, Windows(PATCH, hop, before=N_FFT // 2, after=N_FFT // 2)


def _with_weights(config: EmbeddingConfig, weights: Path | None, read_out: str) -> Musicnn | MusicnnVgg:
    path = needed(config, weights, "the checkpoint's .data-00000-of-00001 file")
    index = companion(config, path, "index", path.name.removesuffix(".data-00000-of-00001") + ".index")
    net = NETS[str(config.model)](read_out)
    fill_converted(net, path, lambda: load_tensorflow(net, read_tensor_bundle(index, path)), index)
    return net
