"""PANNs: log-mel spectra of 10 ms frames, networks of convolutions trained on AudioSet.

`args: {output: embedding}` (default) is the authors' embedding, the layer before the classifier: one vector a clip, or
one every `hop` seconds of a clip longer than `window`, whose last window ends with the clip. `output: map` is the last
map of the network, mean over frequency: a vector every 0.32 s (0.16 s for Cnn10 and Cnn6), which is what the authors'
HEAR wrapper repeats every 10 ms. The map of a long clip is made in pieces, of which 1.6 s at each cut are left out; as
no unit of Cnn14 sees further than 1.3 s to either side, it is the map of the whole clip.

`args: {dtype: bfloat16}` changes Cnn14's embedding by 0.5 % of its greatest value (seeded weights; cosine 0.99999).
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.audio.frontends import MelSpectrogram, power_to_db
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice, source
from benchmark.embeddings.precision import DTYPES, convert, is_imitated, kept_dtype
from benchmark.embeddings.spans import Schedule, SpanEmbedding, Steps, Windows
from benchmark.embeddings.torch_checkpoint import read_checkpoint, state_in
from benchmark.embeddings.trainable import Design, Trainable, window_inputs, zoo_trainable
from benchmark.embeddings.weight_files import fill, needed
from benchmark.embeddings.windows import Windows as FixedWindows
from benchmark.errors import UserError
from benchmark.models.panns import BANDS, MODELS, Panns, WavegramLogmelCnn14, load_panns

OUTPUTS = ("embedding", "map")

# The two branches of the wavegram network agree on multiples of so many samples.
_WAVEGRAM_MULTIPLE = 640
_MAP_WINDOW_FRAMES = 992
_MAP_MARGIN_FRAMES = 160


@dataclasses.dataclass(frozen=True)
class Rate:
    """What a network's front end takes.

    Attributes:
        sample_rate: Hz.
        n_fft: length of FFT and window.
        hop: samples between frames.
        f_max: highest mel edge in Hz.
    """

    sample_rate: int
    n_fft: int
    hop: int
    f_max: float


_RATES = {"cnn14-16k": Rate(16_000, 512, 160, 8_000.0), "cnn14-8k": Rate(8_000, 256, 80, 4_000.0)}
_RATE = Rate(32_000, 1024, 320, 14_000.0)


# The kernels of filtered convolutions, four times as large as the weights, are read once a batch: a fifth less time than
# with 10 s for Cnn14, with more no less.
_FILTERED_BATCH_S = 40.0


class LogMel(nn.Module):
    """Waveforms (B, samples) to log-mel spectra (B, 1, 1 + samples // hop, 64) in dB re 1, not below -100."""

    def __init__(self, rate: Rate):
        super().__init__()
        self.mel = MelSpectrogram(
            rate.sample_rate, rate.n_fft, rate.hop, BANDS, f_min=50.0, f_max=rate.f_max, pad_mode="reflect"
        )

    def forward(self, x: Tensor) -> Tensor:
        return power_to_db(self.mel(x), range_db=None)[:, None]


class Network(nn.Module):
    """Waveforms (B, samples) to the embedding (B, 1, dim) or the map over time (B, n, C) of a network."""

    def __init__(self, front: LogMel, net: Panns, output: str):
        super().__init__()
        self.front, self.net, self.output = front, net, output
        self.multiple = _WAVEGRAM_MULTIPLE if isinstance(net, WavegramLogmelCnn14) else 1

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.pad(x, (0, -x.shape[1] % self.multiple))
        if self.output == "embedding":
            return self.net(self.front(x), x)[:, None]
        return self.net.maps(self.front(x), x).transpose(1, 2)


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> SpanEmbedding:
    """Build an embedding from the authors' .pth file.

    Raises:
        UserError: another model, arguments that do not fit, or weights that are missing or another network's.
    """
    args, rate = _arguments(config)
    net, front = _with_weights(config, weights, rate)
    kept = kept_dtype(args["dtype"], device)
    filtered = torch.device(device).type == "cpu" and kept == torch.float32
    net.freeze_for(kept, filtered)
    if is_imitated(args["dtype"], device):
        convert(net, args["dtype"], device)
    network = Network(front, net, args["output"])
    schedule, hop = _schedule(config, args, rate, net.stride)
    embedding = SpanEmbedding(
        config,
        network.to(device).eval(),
        schedule,
        sample_rate=rate.sample_rate,
        dim=net.dim if args["output"] == "embedding" else net.channels,
        hop_seconds=hop / rate.sample_rate,
        device=device,
    )
    if filtered:
        embedding.batch_s = _FILTERED_BATCH_S
    return embedding


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs: windows of `window` s every `hop` s, completed with zeros, and their embedding.

    The freezing point fixes the first half of the blocks.

    Raises:
        UserError: as `build`, or `output: map`.
    """
    args, rate = _arguments(config)
    check_choice(config, "args: output", args["output"], OUTPUTS[:1])
    kind = MODELS[str(config.model)]
    _schedule(config, args, rate, kind.stride)
    window, hop = (round(args[name] * rate.sample_rate) for name in ("window", "hop"))
    with torch.device("meta"):
        dim = kind().dim
    # The wavegram hears the waveform too.
    hears = issubclass(kind, WavegramLogmelCnn14)

    def network(net: Panns, front: LogMel) -> Network:
        return Network(front, net, "embedding")

    return zoo_trainable(
        rate.sample_rate,
        window_inputs(FixedWindows(window, hop, tail="pad"), None if hears else LogMel(rate)),
        Design(lambda network: network.net.late(), _of_waveform if hears else _of_spectrum, dim),
        lambda: network(kind(), LogMel(rate)),
        lambda: network(*_with_weights(config, weights, rate)),
    )


def _of_waveform(network: Network, x: Tensor) -> Tensor:
    return network(x)[:, 0]


def _of_spectrum(network: Network, x: Tensor) -> Tensor:
    return network.net(x, x)


def _arguments(config: EmbeddingConfig) -> tuple[dict[str, Any], Rate]:
    args = check_args(config, {"output": "embedding", "window": 10.0, "hop": 10.0, "dtype": "float32"})
    check_choice(config, "model", config.model, tuple(MODELS))
    check_choice(config, "args: output", args["output"], OUTPUTS)
    check_choice(config, "args: dtype", args["dtype"], DTYPES)
    return args, _RATES.get(str(config.model), _RATE)


def _with_weights(config: EmbeddingConfig, weights: Path | None, rate: Rate) -> tuple[Panns, LogMel]:
    path = needed(config, weights, "the authors' .pth file")
    net, front = MODELS[str(config.model)](), LogMel(rate)
    fill(path, lambda: load_panns(net, front.mel.filters, front.mel.window, state_in(read_checkpoint(path), path)))
    return net, front


def _schedule(config: EmbeddingConfig, args: dict, rate: Rate, stride: int) -> tuple[Schedule, int]:
    """How clips are divided, and the hop in samples."""
    least = (stride - 1) * rate.hop
    if args["output"] == "map":
        window, margin = _MAP_WINDOW_FRAMES // stride, _MAP_MARGIN_FRAMES // stride
        step = stride * rate.hop
        return Steps(step, least, window, margin, centre=(stride - 1) / 2 * rate.hop), step
    window, hop = (round(args[name] * rate.sample_rate) for name in ("window", "hop"))
    if window < least or hop < 1:
        raise UserError(
            f"{source(config)}: args: window is {args['window']:g} s and hop {args['hop']:g} s; "
            f"they must be at least {least / rate.sample_rate:g} s and more than 0"
        )
    return Windows(window, hop, least), hop
