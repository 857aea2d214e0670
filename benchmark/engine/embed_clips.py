"""From clips on disk to a shard of the store: decode, embed, pack."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.audio.io import decode
from benchmark.datasets.clips import Clip
from benchmark.errors import ClipError
from benchmark.store.shards import Shard, pack

# Clips handed to an embedding at a time: enough to fill a batch, few enough to hold in memory.
CHUNK = 16


def decode_clips(clips: Sequence[Clip], sample_rate: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Waveforms (samples,) float32 by clip id, and the reasons for those that cannot be read."""
    waveforms, lost = {}, {}
    for clip in clips:
        try:
            waveforms[clip.id] = decode(clip.path, sample_rate, clip.start, clip.end)
        except ClipError as error:
            lost[clip.id] = str(error)
    return waveforms, lost


def embed_clips(
    embedding: Any, waveforms: dict[str, np.ndarray], lost: dict[str, str], dtype: str, provenance: dict[str, Any]
) -> Shard:
    """A shard with the frames of every waveform, in their order."""
    ids = list(waveforms)
    embedded = []
    for start in range(0, len(ids), CHUNK):
        embedded += embedding.embed([waveforms[clip] for clip in ids[start : start + CHUNK]])
    return pack(ids, embedded, lost, dtype, provenance)
