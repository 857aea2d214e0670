"""Which rows of a feature matrix each fold trains on, and how its members' logits are laid out.

Rows that the same folds train on make a block, so that one product serves all members that have the block, and none is
spent on rows that a fold must not see.
"""

import itertools
from dataclasses import dataclass, field

import torch

# With more blocks than this per fold, or smaller ones, products would be too small: every fold then goes through all rows.
_BLOCKS_PER_FOLD = 3
_LEAST_ROWS = 32


@dataclass(frozen=True)
class Block:
    """Rows `first` to `last` of the ordered matrix, on which `folds` train; in `starts` of each fold's own rows."""

    first: int
    last: int
    folds: tuple[int, ...]
    starts: tuple[int, ...]


@dataclass(frozen=True)
class Run:
    """Members of one fold, side by side, their rows of a block, and their place among all members of that block."""

    members: slice
    rows: slice
    within: slice


@dataclass
class Layout:
    """Rows of all folds.

    Attributes:
        order: (m,) int64, original rows in the order of the matrix.
        blocks: In that order.
        place: (K, n) int64, the original row of each fold's n rows, 0 where it has fewer; None: all rows in order.
        there: (K, n) bool, whether it has one and trains on it.
    """

    order: torch.Tensor
    blocks: list[Block]
    place: torch.Tensor | None
    there: torch.Tensor
    _seen: tuple[torch.Tensor, list] | None = field(default=None, repr=False)

    @property
    def is_whole(self) -> bool:
        """Whether every fold goes through all rows in their own order."""
        return self.place is None

    @property
    def rows(self) -> int:
        """n, rows of the logits of a member."""
        return self.there.shape[1]

    @classmethod
    def whole(cls, parts: torch.Tensor) -> "Layout":
        """Every fold goes through all rows, with no weight on those that it does not train on."""
        folds = tuple(range(len(parts)))
        return cls(torch.arange(parts.shape[1]), [Block(0, parts.shape[1], folds, (0,) * len(folds))], None, parts)

    @classmethod
    def of(cls, parts: torch.Tensor) -> "Layout":
        """Blocks of rows that the same folds train on, of training parts (K, n) bool."""
        if len(parts) > 62:
            return cls.whole(parts)
        bits = (parts.cpu().to(torch.int64) << torch.arange(len(parts))[:, None]).sum(0)
        patterns, counts = torch.unique(bits[bits > 0], return_counts=True)
        if len(patterns) > _BLOCKS_PER_FOLD * len(parts) or counts.min() < _LEAST_ROWS:
            return cls.whole(parts)
        order = torch.cat([(bits == pattern).nonzero()[:, 0] for pattern in patterns])
        filled, first, blocks = [0] * len(parts), 0, []
        for pattern, count in zip(patterns.tolist(), counts.tolist(), strict=True):
            folds = tuple(fold for fold in range(len(parts)) if pattern >> fold & 1)
            last = first + count
            blocks.append(Block(first, last, folds, tuple(filled[fold] for fold in folds)))
            for fold in folds:
                filled[fold] += last - first
            first = last
        place = torch.zeros(len(parts), max(filled), dtype=torch.int64)
        for block in blocks:
            for fold, start in zip(block.folds, block.starts, strict=True):
                place[fold, start : start + block.last - block.first] = order[block.first : block.last]
        there = torch.arange(max(filled)) < torch.tensor(filled)[:, None]
        return cls(
            *(each.to(parts.device) if torch.is_tensor(each) else each for each in (order, blocks, place, there))
        )

    @classmethod
    def each(cls, parts: torch.Tensor) -> "Layout":
        """Every fold has its own rows in their own order, and no fold shares a product with another."""
        counts = parts.sum(1)
        there = torch.arange(int(counts.max()), device=parts.device) < counts[:, None]
        place = torch.zeros(there.shape, dtype=torch.int64, device=parts.device)
        place[there] = parts.nonzero()[:, 1]
        return cls(place[:0, 0], [], place, there)

    def sides(self, folds: torch.Tensor) -> list[tuple[slice, int]]:
        """Members of the folds (M,), ascending, of each fold."""
        grouped = itertools.groupby(enumerate(folds.tolist()), key=lambda pair: pair[1])
        found = [(fold, [member for member, _ in pairs]) for fold, pairs in grouped]
        return [(slice(members[0], members[-1] + 1), fold) for fold, members in found]

    def runs(self, folds: torch.Tensor) -> list[tuple[torch.Tensor, list[Run]]]:
        """For each block the members (m,) of the folds (M,) that have it, and where they and their rows are."""
        if self._seen is not None and self._seen[0] is folds:
            return self._seen[1]
        sides = {fold: which for which, fold in self.sides(folds)}
        found = []
        for block in self.blocks:
            runs, members = [], []
            for fold, start in zip(block.folds, block.starts, strict=True):
                if fold in sides:
                    which = sides[fold]
                    within = slice(len(members), len(members) + which.stop - which.start)
                    members += range(which.start, which.stop)
                    runs.append(Run(which, slice(start, start + block.last - block.first), within))
            found.append((torch.tensor(members, dtype=torch.int64, device=folds.device), runs))
        self._seen = (folds, found)
        return found
