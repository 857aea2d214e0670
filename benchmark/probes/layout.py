"""Which rows of a feature matrix each fold trains on.

Rows that the same folds train on make a block, so that one product serves all members that have the block, and none is
spent on rows that a fold must not see.
"""

from dataclasses import dataclass

import torch

# With more blocks than this per fold, or smaller ones, products would be too small: every fold then goes through all rows.
_BLOCKS_PER_FOLD = 3
_LEAST_ROWS = 32


@dataclass(frozen=True)
class Layout:
    """Blocks of rows.

    Attributes:
        blocks: Of each the original rows (m,) int64, ascending; None: one block of all rows.
        trained: (blocks, K) bool, the folds that train on each.
        size: n, the rows of the largest block.
    """

    blocks: list[torch.Tensor] | None
    trained: torch.Tensor
    size: int

    @classmethod
    def whole(cls, parts: torch.Tensor) -> "Layout":
        """Every fold goes through all rows, with no weight on those that it does not train on."""
        return cls(None, parts.new_ones(1, len(parts)), parts.shape[1])

    @classmethod
    def of(cls, parts: torch.Tensor) -> "Layout":
        """Blocks of rows that the same folds train on, of training parts (K, n) bool."""
        if len(parts) > 62:
            return cls.whole(parts)
        folds = torch.arange(len(parts), device=parts.device)
        bits = (parts.to(torch.int64) << folds[:, None]).sum(0)
        patterns, counts = torch.unique(bits[bits > 0], return_counts=True)
        if len(patterns) > _BLOCKS_PER_FOLD * len(parts) or counts.min() < _LEAST_ROWS:
            return cls.whole(parts)
        blocks = [(bits == pattern).nonzero()[:, 0] for pattern in patterns]
        return cls(blocks, (patterns[:, None] >> folds & 1).bool(), int(counts.max()))

    @classmethod
    def each(cls, parts: torch.Tensor) -> "Layout":
        """Every fold has a block of its own."""
        alone = torch.eye(len(parts), dtype=torch.bool, device=parts.device)
        return cls([part.nonzero()[:, 0] for part in parts], alone, int(parts.sum(1).max()))
