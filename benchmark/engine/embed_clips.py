"""From clips on disk to shards of the store: decode, embed, write.

The clips of a shard are decoded once for all embeddings of a rate, in groups of similar length, the next group while a
group is embedded. Clips longer than ten minutes are read in blocks and never held as a whole.
"""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import tee

import numpy as np

from benchmark.audio.io import decode, seconds, stream
from benchmark.datasets.clips import Clip
from benchmark.embeddings.base import Embedding
from benchmark.embeddings.stretches import LONGEST_S
from benchmark.errors import ClipError
from benchmark.store.shards import ShardWriter

log = logging.getLogger(__name__)

# Audio that is decoded ahead and embedded together: enough for batches of short clips, little to hold in memory.
GROUP_S = 120.0


@dataclass
class Sink:
    """An embedding and the shard that its frames go to.

    Attributes:
        failed: why it was given up, None while it was not.
    """

    embedding: Embedding
    writer: ShardWriter
    failed: str | None = None


def embed_clips(clips: Sequence[Clip], sample_rate: int, sinks: Sequence[Sink]) -> None:
    """Embed clips under every sink's embedding, all of `sample_rate`, and finish its shard.

    Clips that cannot be read, or that an embedding refuses, are noted as lost in the shard. A sink in which anything else goes wrong
    is given up, the others go on.
    """
    groups, long, lost = _groups(clips)
    for waveforms, unread in _decoded(groups, sample_rate):
        lost |= unread
        for sink in _working(sinks):
            with _given_up_on_error(sink):
                _embed_group(sink, waveforms)
    for clip in long:
        _embed_long(clip, sample_rate, sinks)
    for sink in _working(sinks):
        with _given_up_on_error(sink):
            for clip, reason in lost.items():
                sink.writer.lose(clip, reason)
            sink.writer.finish()


def _groups(clips: Sequence[Clip]) -> tuple[list[list[Clip]], list[Clip], dict[str, str]]:
    """Clips by rising length in groups of at most `GROUP_S` seconds, those too long for a group, and those without a length."""
    lengths, lost = {}, {}
    for clip in clips:
        try:
            lengths[clip.id] = seconds(clip.path, clip.start, clip.end)
        except ClipError as error:
            lost[clip.id] = str(error)
    groups: list[list[Clip]] = []
    long: list[Clip] = []
    filled = np.inf
    for clip in sorted((clip for clip in clips if clip.id in lengths), key=lambda clip: (lengths[clip.id], clip.id)):
        length = lengths[clip.id]
        if length > LONGEST_S:
            long.append(clip)
            continue
        if filled + length > GROUP_S:
            groups.append([])
            filled = 0.0
        groups[-1].append(clip)
        filled += length
    return groups, long, lost


def _decoded(
    groups: Sequence[Sequence[Clip]], sample_rate: int
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, str]]]:
    """Waveforms (samples,) float32 of each group by clip id, and the reasons for those that cannot be read; one group ahead."""
    with ThreadPoolExecutor(1, "decode") as ahead:
        waiting = [ahead.submit(decode_clips, group, sample_rate) for group in groups[:1]]
        for following in [*groups[1:], None]:
            if not waiting:
                return
            ready = waiting.pop().result()
            if following is not None:
                waiting.append(ahead.submit(decode_clips, following, sample_rate))
            yield ready


def decode_clips(clips: Sequence[Clip], sample_rate: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Waveforms (samples,) float32 by clip id, and the reasons for those that cannot be read."""
    waveforms, lost = {}, {}
    for clip in clips:
        try:
            waveforms[clip.id] = decode(clip.path, sample_rate, clip.start, clip.end)
        except ClipError as error:
            lost[clip.id] = str(error)
    return waveforms, lost


def _embed_group(sink: Sink, waveforms: dict[str, np.ndarray]) -> None:
    try:
        embedded = zip(waveforms, sink.embedding.embed(list(waveforms.values())), strict=True)
    except ClipError:
        # One of them is at fault: find out which.
        embedded = ((clip, None) for clip in waveforms)
    for clip, pair in embedded:
        try:
            sink.writer.append(clip, *(pair or sink.embedding.embed([waveforms[clip]])[0]))
        except ClipError as error:
            sink.writer.lose(clip, str(error))


def _embed_long(clip: Clip, sample_rate: int, sinks: Sequence[Sink]) -> None:
    """Embed a clip under all sinks in turn, stretch by stretch, so that it is decoded once."""
    working = _working(sinks)
    blocks = tee(_Blocks(stream(clip.path, sample_rate, start=clip.start, end=clip.end)), len(working))
    running = [(sink, sink.embedding.embed_stream(own)) for sink, own in zip(working, blocks, strict=True)]
    del blocks
    while running:
        running = [(sink, pieces) for sink, pieces in running if _advance(sink, clip, pieces)]


def _advance(sink: Sink, clip: Clip, pieces: Iterator[tuple[np.ndarray, np.ndarray]]) -> bool:
    """Embed the next stretch; returns whether there may be another."""
    with _given_up_on_error(sink):
        try:
            for frames, times in pieces:
                sink.writer.append(clip.id, frames, times)
                return True
        except ClipError as error:
            sink.writer.lose(clip.id, str(error))
    return False


class _Blocks:
    """Blocks of a stream whose error everyone meets who reads to where it is, not the first reader alone."""

    def __init__(self, blocks: Iterable[np.ndarray]):
        self._blocks = iter(blocks)
        self._error: ClipError | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        if self._error is not None:
            raise self._error
        try:
            return next(self._blocks)
        except ClipError as error:
            self._error = error
            raise


@contextlib.contextmanager
def _given_up_on_error(sink: Sink) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        log.debug("%s", error, exc_info=error)
        sink.failed = f"{type(error).__name__}: {error}"


def _working(sinks: Sequence[Sink]) -> list[Sink]:
    return [sink for sink in sinks if sink.failed is None]
