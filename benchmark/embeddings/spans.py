"""Embeddings whose network hears whole clips: short ones as they are, long ones in windows, so that memory is bounded.

Clips and windows of exactly the same length share a batch and nothing is padded but what is shorter than the network's
minimum (with zeros at the end), so that company changes no vector.
"""

import abc
import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.base import Embedding, embed_equal_lengths
from benchmark.embeddings.stretches import Context

# Float32 samples that may share a batch: a CPU has no gain from more than fits its cache.
_SHARED_SAMPLES = {"cpu": 320_000}
_SHARED_SAMPLES_GPU = 16_000_000


@dataclasses.dataclass(frozen=True)
class Span:
    """Samples [start, stop) of a clip as the network hears them, of whose frames [first, last) are used."""

    start: int
    stop: int
    first: int
    last: int


class Schedule(abc.ABC):
    """How a clip is divided.

    Attributes:
        least: samples that the network needs.
    """

    least: int

    @abc.abstractmethod
    def context(self) -> Context:
        """What the frames of a part of a clip need around it, to be those of the clip."""

    @abc.abstractmethod
    def spans(self, samples: int) -> list[Span]:
        """Where the network listens, in a clip of `samples` >= 1."""

    @abc.abstractmethod
    def times(self, samples: int, sample_rate: int) -> np.ndarray:
        """Centres, (n,) in s, of all frames that the spans give together."""


@dataclasses.dataclass(frozen=True)
class Windows(Schedule):
    """One vector a window. A clip that fits is one window; of a longer one the last window ends with the clip.

    Attributes:
        window: most samples that the network hears at once.
        hop: samples between windows.
        least: as in `Schedule`.
    """

    window: int
    hop: int
    least: int = 1

    def context(self) -> Context:
        return Context(self.hop, self.window, self.window)

    def spans(self, samples: int) -> list[Span]:
        starts = list(range(0, samples - self.window + 1, self.hop)) or [0]
        if starts[-1] + self.window < samples:
            starts.append(samples - self.window)
        return [Span(start, min(start + self.window, samples), 0, 1) for start in starts]

    def times(self, samples: int, sample_rate: int) -> np.ndarray:
        return np.array([(span.start + span.stop) / 2 for span in self.spans(samples)]) / sample_rate


@dataclasses.dataclass(frozen=True)
class Steps(Schedule):
    """A vector every `step` samples, i.e. 1 + (samples - field) // step of a clip, and at least one.

    A clip of more than `window` steps is cut into windows of so many; frames within `margin` steps of a cut are taken
    from the neighbour, which hears more around them. The last window ends with the clip and is as long as the others.

    Attributes:
        step: samples between frames.
        field: samples that one frame needs.
        window: most steps that the network hears at once, more than 2 * margin.
        margin: steps.
        centre: samples from the beginning of the clip to the centre of frame 0.
    """

    step: int
    field: int
    window: int
    margin: int = 0
    centre: float = 0.0

    @property
    def least(self) -> int:
        return self.field

    def context(self) -> Context:
        # Cuts between windows lie on this grid; the last window of all ends with what is heard, off the grid.
        unit = (self.window - 2 * self.margin) * self.step
        return Context(unit, self.margin * self.step + self.field, (self.window + 1) * self.step + self.field)

    def count(self, samples: int) -> int:
        """Frames of a clip."""
        return 1 + max(0, samples - self.field) // self.step

    def spans(self, samples: int) -> list[Span]:
        count = self.count(samples)
        if count <= self.window:
            return [Span(0, samples, 0, count)]
        spans: list[Span] = []
        done = 0
        while done < count:
            start = min(max(done - self.margin, 0), count - self.window)
            ends = start + self.window == count
            end = count if ends else start + self.window - self.margin
            stop = samples if ends else (start + self.window - 1) * self.step + self.field
            spans.append(Span(start * self.step, stop, done - start, end - start))
            done = end
        return spans

    def times(self, samples: int, sample_rate: int) -> np.ndarray:
        return (np.arange(self.count(samples)) * self.step + self.centre) / sample_rate


class SpanEmbedding(Embedding):
    """Gives the spans of clips to `network`.

    Args:
        network: (B, samples) to (B, n, dim) with at least as many frames as the spans use; in evaluation mode.
        schedule: how clips are divided.
        config, sample_rate, dim, hop_seconds, device: as in `Embedding`.
    """

    def __init__(
        self,
        config: EmbeddingConfig,
        network: Callable[[Tensor], Tensor],
        schedule: Schedule,
        *,
        sample_rate: int,
        dim: int,
        hop_seconds: float,
        device: str | torch.device,
    ):
        super().__init__(config, sample_rate=sample_rate, dim=dim, hop_seconds=hop_seconds, device=device)
        self.network = network
        self.schedule = schedule
        self.shared_samples = _SHARED_SAMPLES.get(self.device.type, _SHARED_SAMPLES_GPU)

    @property
    def batch_s(self) -> float:
        return self.shared_samples / self.sample_rate

    @batch_s.setter
    def batch_s(self, seconds: float) -> None:
        self.shared_samples = round(seconds * self.sample_rate)

    def context(self) -> Context:
        return self.schedule.context()

    def _embed(self, waveforms: list[np.ndarray]) -> list[tuple[Tensor, np.ndarray]]:
        spans = [self.schedule.spans(len(waveform)) for waveform in waveforms]
        pieces = [self._heard(waveform, span) for waveform, own in zip(waveforms, spans, strict=True) for span in own]
        outputs = iter(embed_equal_lengths(pieces, self._run, self.shared_samples))
        return [
            (
                torch.cat([next(outputs)[span.first : span.last] for span in own]),
                self.schedule.times(len(waveform), self.sample_rate),
            )
            for waveform, own in zip(waveforms, spans, strict=True)
        ]

    def _heard(self, waveform: np.ndarray, span: Span) -> np.ndarray:
        piece = waveform[span.start : span.stop]
        missing = self.schedule.least - len(piece)
        return np.pad(piece, (0, missing)) if missing > 0 else piece

    def _run(self, batch: np.ndarray) -> Tensor:
        with self.numbers():
            return self.network(torch.from_numpy(batch).to(self.device)).to("cpu", torch.float32)
