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
    """A shard with the frames of every waveform, in their order; clips that the embedding refuses join `lost`."""
    lost = dict(lost)
    ids = list(waveforms)
    embedded: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        try:
            embedded.update(zip(part, embedding.embed([waveforms[clip] for clip in part]), strict=True))
        except ClipError:
            # One of them is at fault: find out which.
            for clip in part:
                try:
                    embedded[clip] = embedding.embed([waveforms[clip]])[0]
                except ClipError as error:
                    lost[clip] = str(error)
    return pack(list(embedded), list(embedded.values()), lost, dtype, provenance)
