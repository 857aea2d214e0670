"""Randomly weighted CNNs: 12 kHz audio, features of untrained networks; `args: {seed: ...}` draws them.

As in the authors' code a clip is cut to the network's length, and repeated if it is shorter; here each further stretch
of that length is one more frame, and so is what remains if it is at least half of one. Spectrograms are in dB, 80 below
the maximum of their stretch at most.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.audio.frontends import MelSpectrogram, power_to_db
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice, source
from benchmark.embeddings.patches import PatchEmbedding, Patches
from benchmark.embeddings.stretches import Context
from benchmark.embeddings.windows import slice_or_zeros
from benchmark.errors import UserError
from benchmark.models.random_cnn import (
    BANDS,
    FrameLevel,
    MusicalFilters,
    RandomCnn,
    SampleLevel,
    SingleLayer,
    SmallFilters,
    initialize,
)

SAMPLE_RATE = 12_000
N_FFT, HOP = 512, 256


@dataclasses.dataclass(frozen=True)
class _Model:
    """A network of n filters, the n that gives about 3,500 features, and its input: `length` frames or samples."""

    net: Callable[[int], RandomCnn]
    filters: int
    length: int = 188
    least: int = 7
    spectrogram: bool = True


MODELS = {
    "timbral-temporal": _Model(MusicalFilters, 128),
    "timbral": _Model(lambda n: MusicalFilters(n, temporal=False), 256),
    "temporal": _Model(lambda n: MusicalFilters(n, timbral=False), 256),
    "small-filters": _Model(SmallFilters, 717, length=1376, least=1280),
    "7x96": _Model(lambda n: SingleLayer(n, 96), 3585),
    "7x86": _Model(lambda n: SingleLayer(n, 86), 3585),
    "sample-level": _Model(SampleLevel, 512, 48_000, 2187, spectrogram=False),
    "frame-level": _Model(FrameLevel, 896, 48_000, 736, spectrogram=False),
    "frame-level-many": _Model(lambda n: FrameLevel(n, many=True), 448, 48_000, 736, spectrogram=False),
}


class RandomCnnEmbedding(PatchEmbedding):
    """Gives stretches of `length` frames (or samples, without `mel`) to the network.

    Args:
        mel: the front end; None: the network hears the waveform.
        length: of a stretch.
        config, net, device: as in `PatchEmbedding`.
    """

    def __init__(
        self,
        config: EmbeddingConfig,
        net: RandomCnn,
        mel: MelSpectrogram | None,
        length: int,
        device: str | torch.device,
    ):
        self.step = 1 if mel is None else HOP
        hop_seconds = length * self.step / SAMPLE_RATE
        super().__init__(config, net, 1, sample_rate=SAMPLE_RATE, dim=net.dim, hop_seconds=hop_seconds, device=device)
        self.mel = mel
        self.length = length

    def context(self) -> Context:
        unit = self.length * self.step
        return Context(unit, N_FFT, unit + N_FFT)

    def patches(self, waveform: np.ndarray) -> Patches:
        units = len(waveform) if self.mel is None else 1 + len(waveform) // HOP
        count = max(1, int(units / self.length + 0.5))
        firsts = np.arange(count) * self.length
        sizes = np.minimum(units - firsts, self.length)

        def take(start: int, stop: int) -> Tensor:
            stretches = zip(firsts[start:stop].tolist(), sizes[start:stop].tolist(), strict=True)
            return torch.stack([self._repeated(waveform, first, size) for first, size in stretches])

        return Patches(count, take, (firsts + (sizes - 1) / 2) * self.step / SAMPLE_RATE)

    def _repeated(self, waveform: np.ndarray, first: int, size: int) -> Tensor:
        if self.mel is None:
            x = torch.from_numpy(waveform[first : first + size]).to(self.device)
        else:
            # Frame i is centred on sample i * HOP.
            start = first * HOP - N_FFT // 2
            samples = slice_or_zeros(waveform, start, start + (size - 1) * HOP + N_FFT)
            x = power_to_db(self.mel(torch.from_numpy(samples).to(self.device)))
        times = -(-self.length // size)
        return x.repeat(times, *[1] * (x.dim() - 1))[: self.length]


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> RandomCnnEmbedding:
    """Build a randomly weighted CNN; `model` is one of `MODELS`.

    `args`: `seed`; `filters`, on which the number of features depends; `length` of a stretch, in frames of 256 samples
    or, for the networks that hear the waveform, in samples.

    Raises:
        UserError: another model, arguments that do not fit, or weights, of which there are none.
    """
    check_choice(config, "model", config.model, tuple(MODELS))
    model = MODELS[str(config.model)]
    args = check_args(config, {"seed": 0, "filters": model.filters, "length": model.length})
    for name, least in (("seed", 0), ("filters", 4), ("length", model.least)):
        if args[name] < least:
            raise UserError(f"{source(config)}: args: {name} is {args[name]}; it must be at least {least}")
    if weights is not None:
        raise UserError(f"{source(config)}: weights: the weights are random; write `weights: none`")
    net = model.net(args["filters"])
    initialize(net, args["seed"])
    mel = MelSpectrogram(SAMPLE_RATE, N_FFT, HOP, BANDS, center=False).to(device) if model.spectrogram else None
    return RandomCnnEmbedding(config, net.to(device).eval(), mel, args["length"], device)
