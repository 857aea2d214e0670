"""One shard of the store: the frames of some clips of a dataset under one embedding, in one safetensors file.

A shard appears under its name only when it is whole. Its bytes depend on its content alone: no date, no time taken, so that a store
that was deleted is rebuilt identically.
"""

import json
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

_DTYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I64": np.int64}


@dataclass(frozen=True)
class Shard:
    """The content of a shard.

    Attributes:
        clip_ids: ids of the clips that have frames.
        lengths: (n clips,) int64, frames of each clip.
        frames: (sum of lengths, F) float32 or float16; a memory map where it was read from disk.
        times: (sum of lengths,) float64, centres of the frames in seconds.
        lost: id -> reason of clips that could not be read.
        provenance: what made it.
    """

    clip_ids: list[str]
    lengths: np.ndarray
    frames: np.ndarray
    times: np.ndarray
    lost: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def offsets(self) -> np.ndarray:
        """(n clips + 1,) int64, first row of each clip."""
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)


def pack(
    clip_ids: Sequence[str],
    embedded: Sequence[tuple[np.ndarray, np.ndarray]],
    lost: dict[str, str],
    dtype: str,
    provenance: dict[str, Any],
) -> Shard:
    """A shard of what an embedding returned for `clip_ids`."""
    frames = [pair[0] for pair in embedded] or [np.zeros((0, 1), np.float32)]
    times = [pair[1] for pair in embedded] or [np.zeros(0)]
    return Shard(
        list(clip_ids),
        np.array([len(pair[0]) for pair in embedded], np.int64),
        np.ascontiguousarray(np.concatenate(frames), dtype=dtype),
        np.concatenate(times).astype(np.float64),
        dict(sorted(lost.items())),
        provenance,
    )


def write_shard(path: Path, shard: Shard) -> None:
    """Write `shard` to a temporary name beside `path`, then rename."""
    metadata = {
        "clips": json.dumps(shard.clip_ids),
        "lost": json.dumps(shard.lost, sort_keys=True),
        "provenance": json.dumps(shard.provenance, sort_keys=True),
    }
    tensors = {"frames": shard.frames, "lengths": shard.lengths, "times": shard.times}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(_canonical(save(tensors), metadata))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _canonical(blob: bytes, metadata: dict[str, str]) -> bytes:
    """The same file with `metadata` in its header and the header's keys sorted: the library writes them in no fixed order."""
    size = struct.unpack("<Q", blob[:8])[0]
    header = {**json.loads(blob[8 : 8 + size]), "__metadata__": metadata}
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + blob[8 + size :]


def read_shard(path: Path) -> Shard | None:
    """The shard at `path` with its frames memory-mapped; None where there is no whole shard."""
    try:
        with path.open("rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(size))
        metadata = header.pop("__metadata__")
        end = max(entry["data_offsets"][1] for entry in header.values())
        if path.stat().st_size != 8 + size + end:
            return None
        arrays = {}
        for name, entry in header.items():
            offset = 8 + size + entry["data_offsets"][0]
            shape, dtype = tuple(entry["shape"]), _DTYPES[entry["dtype"]]
            # A memory map of nothing is an error.
            empty = 0 in shape
            arrays[name] = np.zeros(shape, dtype) if empty else np.memmap(path, dtype, "r", offset, shape)
        return Shard(
            json.loads(metadata["clips"]),
            np.array(arrays["lengths"]),
            arrays["frames"],
            np.array(arrays["times"]),
            json.loads(metadata["lost"]),
            json.loads(metadata["provenance"]),
        )
    except (OSError, ValueError, KeyError, struct.error):
        return None
