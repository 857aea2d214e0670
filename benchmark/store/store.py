"""The store of embeddings: shards by embedding, dataset and content key."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.store.shards import Shard, ShardWriter, read_shard


class Store:
    """Shards under a folder. Nobody else knows a path under it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, embedding: str, dataset: str, key: str) -> Path:
        return self.root / embedding / dataset / f"{key}.safetensors"

    def has(self, embedding: str, dataset: str, key: str) -> bool:
        """Whether a whole shard with this key is there."""
        return read_shard(self._path(embedding, dataset, key)) is not None

    def writer(
        self, embedding: str, dataset: str, key: str, dtype: str = "float32", provenance: dict[str, Any] | None = None
    ) -> ShardWriter:
        """What writes a shard; it is there wholly or not at all. Arguments as in `ShardWriter`."""
        return ShardWriter(self._path(embedding, dataset, key), dtype, provenance or {})

    def open(self, embedding: str, dataset: str, keys: Sequence[str]) -> "StoreView":
        """The shards with these keys as one table.

        Raises:
            KeyError: one of them is not there.
        """
        shards = []
        for key in keys:
            shard = read_shard(self._path(embedding, dataset, key))
            if shard is None:
                raise KeyError(f"{embedding} on {dataset}: shard {key} is not in the store")
            shards.append(shard)
        return StoreView(shards)

    def prune(self, embedding: str, dataset: str, keep: Iterable[str]) -> int:
        """Remove the shards whose key is not in `keep`, and what a killed process left; returns how many shards went."""
        keep = set(keep)
        removed = 0
        for path in (self.root / embedding / dataset).glob("*.safetensors"):
            if path.stem not in keep:
                path.unlink(missing_ok=True)
                removed += 1
        for path in (self.root / embedding / dataset).glob(".*.safetensors.*"):
            path.unlink(missing_ok=True)
        return removed

    def forget(self, known: Mapping[str, Iterable[str]]) -> int:
        """Remove the shards of embeddings and datasets that are not in `known` (embedding -> datasets); returns how many went.

        Nothing but shards, and what a killed process left of them, is removed: a folder that holds anything else stays.
        """
        removed = 0
        for path in sorted(self.root.glob("*/*")):
            if path.is_dir() and path.name not in set(known.get(path.parent.name, ())):
                removed += self.prune(path.parent.name, path.name, ())
                with contextlib.suppress(OSError):
                    path.rmdir()
                    path.parent.rmdir()
        return removed


class StoreView:
    """Frames of many clips, read from memory-mapped shards."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = list(shards)
        self._where = {
            clip: (index, row) for index, shard in enumerate(self._shards) for row, clip in enumerate(shard.clip_ids)
        }
        self.lost = {clip: reason for shard in self._shards for clip, reason in shard.lost.items()}

    @property
    def clip_ids(self) -> list[str]:
        """Ids of the clips that have frames."""
        return list(self._where)

    def frames(self, clip: str) -> tuple[np.ndarray, np.ndarray]:
        """Frames (n, F), memory-mapped, and their times (n,) in seconds, of one clip."""
        index, row = self._where[clip]
        shard = self._shards[index]
        rows = slice(shard.offsets[row], shard.offsets[row + 1])
        return shard.frames[rows], shard.times[rows]
