"""From clips on disk to what a network reads: every clip is decoded and transformed once a job."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.audio.io import decode
from benchmark.datasets.clips import Clip
from benchmark.embeddings.trainable import Trainable, evenly
from benchmark.errors import ClipError


@dataclass(frozen=True)
class NetworkInputs:
    """Inputs of clips, one behind the other.

    Attributes:
        inputs: (n, ...).
        clip: (n,) int64 index of the clip that each is of, rising.
        lost: index of a clip -> why it has none.
    """

    inputs: Tensor
    clip: np.ndarray
    lost: dict[int, str]

    def rows(self, clips: np.ndarray, limit: int | None = None) -> np.ndarray:
        """Rows of some clips, rising; at most `limit` evenly spaced ones of each."""
        rows = np.flatnonzero(np.isin(self.clip, clips))
        if limit is None:
            return rows
        _, starts, counts = np.unique(self.clip[rows], return_index=True, return_counts=True)
        return np.concatenate(
            [rows[start + evenly(count, limit)] for start, count in zip(starts, counts, strict=True)] or [rows]
        )


def network_inputs(trainable: Trainable, clips: Sequence[Clip], limit: int | None) -> NetworkInputs:
    """Decode and transform clips; at most `limit` evenly spaced inputs of each.

    Raises:
        ClipError: none of them can be read.
    """
    pieces, owner, lost = [], [], {}
    for index, clip in enumerate(clips):
        try:
            waveform = decode(clip.path, trainable.sample_rate, clip.start, clip.end)
        except ClipError as error:
            lost[index] = str(error)
            continue
        piece = trainable.inputs(waveform, limit)
        if not torch.isfinite(piece).all():
            lost[index] = "its features are not finite"
            continue
        pieces.append(piece)
        owner += [index] * len(piece)
    if not pieces:
        raise ClipError(f"none of {len(clips)} clips can be read (first: {next(iter(lost.values()), 'no clip')})")
    return NetworkInputs(torch.cat(pieces), np.array(owner, np.int64), lost)
