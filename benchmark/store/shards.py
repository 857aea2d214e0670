"""One shard of the store: the frames of some clips of a dataset under one embedding, in one safetensors file.

A shard appears under its name only when it is whole. Its bytes depend on its content alone: no date, no time taken, so that a store
that was deleted is rebuilt identically.
"""

import contextlib
import json
import os
import shutil
import struct
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import ClipError

_DTYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I64": np.int64}
_COPIED_AT_ONCE = 1 << 22


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


class ShardWriter:
    """Writes a shard piece by piece, so that the frames of a long clip are never held together.

    Frames go to a file beside the shard, which `finish` puts together and renames. A context: what was not finished when it is left
    is as if it had never begun.

    Args:
        path: of the shard.
        dtype: `float32` or `float16`, in which frames are kept.
        provenance: what made them.
    """

    def __init__(self, path: Path, dtype: str, provenance: dict[str, Any]):
        self._path, self._dtype, self._provenance = path, np.dtype(dtype), provenance
        self._part = path.with_name(f".{path.name}.{os.getpid()}")
        self._rows = path.with_name(f".{path.name}.{os.getpid()}-frames")
        self._size = 1
        self._clips: dict[str, list[np.ndarray]] = {}
        self._lost: dict[str, str] = {}

    def __enter__(self) -> "ShardWriter":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._rows.open("w+b")
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)
        # What could not be written for want of space cannot be written now either.
        with contextlib.suppress(OSError):
            self._file.close()

    def append(self, clip: str, frames: np.ndarray, times: np.ndarray) -> None:
        """Add frames (n, F) of a clip, and their times (n,); all pieces of a clip follow one another.

        Raises:
            ClipError: a value is beyond the range of float16.
        """
        with np.errstate(over="ignore"):
            kept = np.ascontiguousarray(frames, self._dtype)
        if self._dtype == np.float16 and not np.isfinite(kept).all():
            raise ClipError(f"has values of up to {np.abs(frames).max():g}, too great for float16; set dtype: float32")
        self._size = frames.shape[1]
        self._file.write(kept.data)
        self._clips.setdefault(clip, []).append(np.asarray(times, np.float64))

    def lose(self, clip: str, reason: str) -> None:
        """Note that a clip cannot be had, and drop its frames if some were added; they must be the last ones."""
        self._clips.pop(clip, None)
        self._lost[clip] = reason
        self._file.flush()
        self._file.truncate(self._bytes())
        self._file.seek(0, os.SEEK_END)

    def finish(self) -> None:
        """Put the shard in its place."""
        lengths = np.array([sum(map(len, pieces)) for pieces in self._clips.values()], np.int64)
        times = np.concatenate([np.zeros(0), *(times for pieces in self._clips.values() for times in pieces)])
        text = self._header(len(lengths), len(times))
        self._file.seek(0)
        with self._part.open("wb") as whole:
            whole.write(struct.pack("<Q", len(text)) + text + lengths.tobytes() + times.tobytes())
            shutil.copyfileobj(self._file, whole, _COPIED_AT_ONCE)
        self._part.replace(self._path)

    def _bytes(self) -> int:
        rows = sum(len(times) for pieces in self._clips.values() for times in pieces)
        return rows * self._size * self._dtype.itemsize

    def _header(self, clips: int, rows: int) -> bytes:
        # What is aligned to eight bytes comes first.
        tensors = {
            "lengths": ("I64", [clips], 8 * clips),
            "times": ("F64", [rows], 8 * rows),
            "frames": (f"F{8 * self._dtype.itemsize}", [rows, self._size], self._bytes()),
        }
        header: dict[str, Any] = {
            "__metadata__": {
                "clips": json.dumps(list(self._clips)),
                "lost": json.dumps(self._lost, sort_keys=True),
                "provenance": json.dumps(self._provenance, sort_keys=True),
            }
        }
        begin = 0
        for name, (kind, shape, size) in tensors.items():
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, begin + size]}
            begin += size
        text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
        return text + b" " * (-len(text) % 8)


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
