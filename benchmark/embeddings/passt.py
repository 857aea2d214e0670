"""PaSST: pre-emphasised log-mel spectra at 32 kHz, overlapping patches, a vision transformer.

`args: {output: scene}` (default): a clip of up to 10 s (20 or 30 s for those variants) gives one vector; of a longer
one each window of so many seconds does, centred on multiples of `hop` (0: the authors', 2.5, 5 or 10 s), with the clip
reflected at its ends. Their mean is what the authors' HEAR wrapper returns for a clip. `output: timestamps`: windows of
160 ms, centred on multiples of `hop` (0: 50 ms, as in that wrapper: twenty forward passes for each second of audio).

`args: {mode: embed_only}` (default) is the mean of the two summary tokens (768), `logits` the outputs of the head,
`all` logits and then features, which is the wrapper's default.

`args: {dtype: bfloat16}` changes features by 0.7 % of their greatest value (seeded weights; cosine 0.99997).
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.audio.frontends import MelSpectrogram, hann
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice, source
from benchmark.embeddings.precision import DTYPES, convert
from benchmark.embeddings.spans import Schedule, Span, SpanEmbedding
from benchmark.embeddings.stretches import Context
from benchmark.embeddings.torch_checkpoint import read_checkpoint, state_in
from benchmark.embeddings.trainable import Design, Trainable, window_inputs, zoo_trainable
from benchmark.embeddings.weight_files import fill, needed
from benchmark.embeddings.windows import Windows
from benchmark.errors import UserError
from benchmark.models.passt import BANDS, PATCH, VARIANTS, PaSST, Variant
from benchmark.models.strict import load_strict

SAMPLE_RATE = 32_000
OUTPUTS = ("scene", "timestamps")
MODES = ("embed_only", "logits", "all")

_DIM = 768
_N_FFT, _WINDOW = 1024, 800
_PRE_EMPHASIS = 0.97
# Half the range over which training moves the highest edge, below half the sample rate.
_F_MAX = 15_000.0
_TIMESTAMP_WINDOW_S, _TIMESTAMP_HOP_S = 0.16, 0.05


class LogMel(nn.Module):
    """Waveforms (B, samples) to scaled log-mel spectra (B, 128, 1 + (samples - 1) // hop)."""

    def __init__(self, hop: int):
        super().__init__()
        self.mel = MelSpectrogram(
            SAMPLE_RATE,
            _N_FFT,
            hop,
            BANDS,
            window=hann(_WINDOW, periodic=False),
            f_max=_F_MAX,
            scale="htk",
            norm=None,
            shape="mel",
            pad_mode="reflect",
        )

    def forward(self, x: Tensor) -> Tensor:
        mel = self.mel(x[:, 1:] - _PRE_EMPHASIS * x[:, :-1])
        return ((torch.log(mel + 1e-5) + 4.5) / 5.0).transpose(1, 2)


class Network(nn.Module):
    """Waveforms (B, samples) to vectors (B, 1, dim), as `mode` says."""

    def __init__(self, net: PaSST, hop: int, mode: str):
        super().__init__()
        self.front, self.net, self.mode = LogMel(hop), net, mode

    def forward(self, x: Tensor) -> Tensor:
        features = self.net(self.front(x))
        parts = {"logits": self.mode != "embed_only", "features": self.mode != "logits"}
        vectors = [self.net.classify(features)] if parts["logits"] else []
        return torch.cat([*vectors, features] if parts["features"] else vectors, dim=1)[:, None]


@dataclasses.dataclass(frozen=True)
class Centred(Schedule):
    """Windows centred on multiples of `hop`, partly outside of the clip; a clip of up to `whole` samples is one window.

    Attributes:
        window, hop: in samples.
        whole: as above.
        least: as in `Schedule`.
    """

    window: int
    hop: int
    whole: int
    least: int

    def context(self) -> Context:
        return Context(self.hop, self.window, self.window)

    def spans(self, samples: int) -> list[Span]:
        if samples <= self.whole:
            return [Span(0, samples, 0, 1)]
        starts = range(-(self.window // 2), samples - self.window // 2 + 1, self.hop)
        return [Span(start, start + self.window, 0, 1) for start in starts]

    def times(self, samples: int, sample_rate: int) -> np.ndarray:
        if samples <= self.whole:
            return np.array([samples / 2 / sample_rate])
        return np.arange(samples // self.hop + 1) * self.hop / sample_rate


class PasstEmbedding(SpanEmbedding):
    """Reflects a clip, to and fro where it is short, for windows that reach out of it."""

    def _heard(self, waveform: np.ndarray, span: Span) -> np.ndarray:
        if span.start >= 0 and span.stop <= len(waveform):
            return super()._heard(waveform, span)
        period = max(1, 2 * len(waveform) - 2)
        position = np.arange(span.start, span.stop) % period
        return waveform[np.minimum(position, period - position)]


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> PasstEmbedding:
    """Build an embedding from one of the authors' .pt files.

    Raises:
        UserError: another model, arguments that do not fit, or weights that are missing or another network's.
    """
    args = _arguments(config)
    return wrap(config, _with_weights(config, weights), VARIANTS[str(config.model)], args, device)


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs: windows as long as the network's, of `timestamps` 160 ms, from the beginning, zeros behind.

    Patches, tokens, positions and the first half of the blocks are what the freezing point fixes.

    Raises:
        UserError: as `build`, or a mode with logits.
    """
    args = _arguments(config)
    check_choice(config, "args: mode", args["mode"], MODES[:1])
    variant = VARIANTS[str(config.model)]
    schedule = _schedule(config, variant, args)
    windows = Windows(schedule.window, schedule.hop if args["output"] != "scene" else schedule.window, tail="pad")
    return zoo_trainable(
        SAMPLE_RATE,
        window_inputs(windows, LogMel(variant.hop)),
        Design(PaSST.late, PaSST.rest, _DIM, PaSST.stem),
        lambda: PaSST(variant),
        lambda: _with_weights(config, weights),
    )


def _arguments(config: EmbeddingConfig) -> dict[str, Any]:
    args = check_args(config, {"output": "scene", "mode": "embed_only", "hop": 0.0, "dtype": "float32"})
    check_choice(config, "model", config.model, tuple(VARIANTS))
    check_choice(config, "args: output", args["output"], OUTPUTS)
    check_choice(config, "args: mode", args["mode"], MODES)
    check_choice(config, "args: dtype", args["dtype"], DTYPES)
    return args


def _with_weights(config: EmbeddingConfig, weights: Path | None) -> PaSST:
    path = needed(config, weights, "the authors' .pt file")
    net = PaSST(VARIANTS[str(config.model)])
    fill(path, lambda: load_strict(net, state_in(read_checkpoint(path), path, prefix="net.")))
    return net


def wrap(config: EmbeddingConfig, net: PaSST, variant: Variant, args: dict, device: str) -> PasstEmbedding:
    """The embedding of a network that has its weights; `args` are all of `build`'s.

    Raises:
        UserError: the hop is negative or less than a sample.
    """
    schedule = _schedule(config, variant, args)
    classes = net.head_dist.out_features
    return PasstEmbedding(
        config,
        Network(convert(net, args["dtype"], device), variant.hop, args["mode"]).to(device).eval(),
        schedule,
        sample_rate=SAMPLE_RATE,
        dim={"embed_only": net.dim, "logits": classes, "all": classes + net.dim}[args["mode"]],
        hop_seconds=schedule.hop / SAMPLE_RATE,
        device=device,
    )


def _schedule(config: EmbeddingConfig, variant: Variant, args: dict) -> Centred:
    scene = args["output"] == "scene"
    window_s = variant.window_s if scene else _TIMESTAMP_WINDOW_S
    hop_s = args["hop"] or (variant.scene_hop_s if scene else _TIMESTAMP_HOP_S)
    hop = round(hop_s * SAMPLE_RATE)
    if hop < 1:
        raise UserError(
            f"{source(config)}: args: hop is {hop_s:g} s; it must be more than 0, or 0 for the authors' own"
        )
    window = round(window_s * SAMPLE_RATE)
    # A patch of frames behind the pre-emphasis, and enough for one reflection.
    least = max((PATCH - 1) * variant.hop, _N_FFT // 2) + 1
    return Centred(window, hop, window if scene else 0, least)
