"""BEATs: Kaldi filter bank features at 16 kHz, 16 x 16 patches, a transformer; 768 per token.

Tokens lie in 8 bands at steps of 160 ms; `args: {bands: mean}` (default) averages over the bands, `concat` puts them
side by side (6144). The authors give tokens only; the mean over all of them is what is widely used for a clip. A clip
longer than `window` is heard in windows of so many seconds, the last of which ends with the clip; each step is taken
from the first window that hears it.

`args: {dtype: bfloat16}` changes tokens by 1.3 % of their greatest value (seeded weights; cosine 0.99995); imitated, by 0.3 %.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.audio.kaldi import KaldiFbank
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice, source
from benchmark.embeddings.precision import DTYPES, convert
from benchmark.embeddings.spans import SpanEmbedding, Steps
from benchmark.embeddings.torch_checkpoint import read_checkpoint, state_in
from benchmark.embeddings.trainable import Design, Trainable, window_inputs, zoo_trainable
from benchmark.embeddings.weight_files import RANDOM, fill, needed
from benchmark.embeddings.windows import Windows
from benchmark.errors import UserError
from benchmark.models.beats import BANDS, BEATs, load_beats
from benchmark.models.beats_fast import prepare

SAMPLE_RATE = 16_000
MODELS = ("iter3", "iter3+", "iter3+-as2m-cpt1", "iter3+-as2m-cpt2")

_DIM = 768
_FRAME, _SHIFT = 400, 160
# Statistics of AudioSet that the authors normalise with.
_MEAN, _DEVIATION = 15.41663, 6.55582


class Network(nn.Module):
    """Waveforms (B, samples) to steps (B, n, dim) or (B, n, bands * dim)."""

    def __init__(self, net: BEATs, bands: str):
        super().__init__()
        self.fbank = KaldiFbank(SAMPLE_RATE, BANDS, scale=2.0**15)
        self.net, self.concat = net, bands == "concat"

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.net(normalised(self.fbank(x)))
        steps = tokens.unflatten(1, (-1, self.net.bands))
        return steps.flatten(2) if self.concat else steps.mean(dim=2)


def normalised(features: Tensor) -> Tensor:
    """Filter bank features (B, T, 128) as the network reads them."""
    return (features - _MEAN) / (2 * _DEVIATION)


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> SpanEmbedding:
    """Build an embedding from one of the authors' .pt files, whose own configuration decides the architecture.

    Raises:
        UserError: arguments that do not fit, or weights that are missing or not BEATs's.
    """
    args = _arguments(config)
    net = convert(_net(needed(config, weights, "the authors' .pt file")), args["dtype"], device)
    if torch.device(device).type == "cpu" and args["dtype"] == "float32":
        prepare(net)
    step = net.patch * _SHIFT
    field = _FRAME + (net.patch - 1) * _SHIFT
    window = 1 + (round(args["window"] * SAMPLE_RATE) - field) // step
    if window < 1:
        raise UserError(
            f"{source(config)}: args: window is {args['window']:g} s; it must be at least {field / SAMPLE_RATE:g} s"
        )
    return SpanEmbedding(
        config,
        Network(net, args["bands"]).to(device).eval(),
        Steps(step, field, window, centre=field / 2),
        sample_rate=SAMPLE_RATE,
        dim=net.dim * (net.bands if args["bands"] == "concat" else 1),
        hop_seconds=step / SAMPLE_RATE,
        device=device,
    )


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs: windows of `window` s, zeros behind, whose read-out is the mean over all tokens.

    Patches, positions and the first half of the layers are what the freezing point fixes.

    Raises:
        UserError: as `build`, or `bands: concat`.
    """
    args = _arguments(config)
    check_choice(config, "args: bands", args["bands"], ("mean",))
    fbank = KaldiFbank(SAMPLE_RATE, BANDS, scale=2.0**15)
    samples = round(args["window"] * SAMPLE_RATE)
    least = _FRAME + 15 * _SHIFT
    if samples < least:
        raise UserError(
            f"{source(config)}: args: window is {args['window']:g} s; it must be at least {least / SAMPLE_RATE:g} s"
        )

    def loaded() -> BEATs:
        return _net(needed(config, weights, "the authors' .pt file"))

    # The file decides the architecture.
    dim = _DIM if weights is None else loaded().dim
    return zoo_trainable(
        SAMPLE_RATE,
        window_inputs(Windows(samples, samples, tail="pad"), lambda x: normalised(fbank(x))),
        Design(BEATs.late, _mean, dim, BEATs.stem),
        BEATs,
        loaded,
    )


def _mean(net: BEATs, x: Tensor) -> Tensor:
    return net.rest(x).mean(dim=1)


def _arguments(config: EmbeddingConfig) -> dict[str, Any]:
    args = check_args(config, {"bands": "mean", "window": 10.0, "dtype": "float32"})
    check_choice(config, "model", config.model, MODELS)
    check_choice(config, "args: bands", args["bands"], ("mean", "concat"))
    check_choice(config, "args: dtype", args["dtype"], DTYPES)
    return args


def _net(path: Path) -> BEATs:
    if path == RANDOM:
        return BEATs()
    content = read_checkpoint(path)
    if not isinstance(content.get("cfg"), dict):
        raise UserError(f"{path}: has no `cfg`, which describes the network; give the authors' file")
    state = state_in(content, path)

    def load() -> BEATs:
        net = BEATs.from_config(content["cfg"])
        load_beats(net, state)
        return net

    return fill(path, load)
