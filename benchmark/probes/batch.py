"""Products of the members of a batch with the rows that their folds train on."""

from dataclasses import dataclass

import numpy as np
import torch

from benchmark.probes.gram import Gram
from benchmark.probes.layout import Layout

_SMALL = 1 << 10


@dataclass(frozen=True)
class Matrices:
    """Features as blocks of rows, in P coordinates.

    Attributes:
        layout: Which rows make a block, and which folds have it.
        blocks: (B, n, P), zero beyond a block's rows.
        across: The same (B, P, n): products with small matrices are faster the other way round.
        shift: (K, P) of the coordinates of a fold, or None: 0.
        inverse: (K, P) one over the scale of the coordinates of a fold, or None: 1.
        gram: Approximate Gram matrices in these coordinates: they only precondition.
    """

    layout: Layout
    blocks: torch.Tensor
    across: torch.Tensor
    shift: torch.Tensor | None
    inverse: torch.Tensor | None
    gram: Gram

    @property
    def dim(self) -> int:
        """P, number of coordinates."""
        return self.blocks.shape[2]


class Batch:
    """Members of a batch and their cells.

    A cell is a member's rows of one block. Cells lie block after block, in a block member after member.

    Attributes:
        number: N, how many cells.
        size: n, rows of a cell: those of the largest block; cells of other blocks end in rows that do not count.
        member: (N,) int64, whose each cell is.
    """

    def __init__(self, matrices: Matrices, folds: torch.Tensor):
        """Lay out members of the folds (M,), ascending."""
        layout = matrices.layout
        has = layout.trained[:, folds]
        self.size, self._matrices = layout.size, matrices
        self.member = has.nonzero()[:, 1]
        self.number = len(self.member)
        ends = has.sum(1).cumsum(0).tolist()
        self._spans = list(zip([0, *ends[:-1]], ends, strict=True))
        # Turn by turn a cell of each member; one past the last where a member has none left.
        number = torch.where(has, has.flatten().cumsum(0).view_as(has) - 1, self.number)
        self._turns = list(number.sort(0).values[: int(has.sum(0).max())])
        self._owner, self._members = self.member.cpu().numpy(), len(folds)
        self._is_plain = torch.equal(self.member, torch.arange(len(folds), device=folds.device))
        # A product with a small matrix is the fastest sum.
        self._sum = None
        if self.number * self._members <= _SMALL:
            owned = self.member == torch.arange(self._members, device=folds.device)[:, None]
            self._sum = owned.to(matrices.blocks.dtype)
        # Then one product serves all blocks.
        self._is_even = len({last - first for first, last in self._spans}) == 1
        self._scaling: tuple[torch.Tensor, torch.Tensor] | None = None
        if matrices.shift is not None:
            # The bias, a last coordinate, is neither shifted nor scaled.
            shift = torch.nn.functional.pad(-matrices.shift[folds], (0, 1))
            self._scaling = shift, torch.nn.functional.pad(matrices.inverse[folds], (0, 1), value=1.0)[:, None]

    def spread(self, of_members: torch.Tensor) -> torch.Tensor:
        """Values (M, ...) of members as values (N, ...) of their cells."""
        return of_members if self._is_plain else of_members.index_select(0, self.member)

    def total(self, of_cells: torch.Tensor) -> torch.Tensor:
        """Sums (M, ...) over the cells of each member, of values (N, ...) or (N + 1, ...) of which the last is zero."""
        if self._is_plain:
            return of_cells[: self.number]
        if self._sum is not None:
            flat = of_cells[: self.number].flatten(1)
            return (self._sum @ flat).view(self._members, *of_cells.shape[1:])
        if len(of_cells) == self.number:
            of_cells = torch.cat([of_cells, of_cells.new_zeros(1, *of_cells.shape[1:])])
        made = of_cells.index_select(0, self._turns[0])
        for turn in self._turns[1:]:
            made += of_cells.index_select(0, turn)
        return made

    def sums(self, of_cells: torch.Tensor) -> np.ndarray:
        """Sums (M,) float64 over the cells of each member, of numbers (N,)."""
        return np.bincount(self._owner, of_cells.cpu().numpy(), self._members)

    def rows(self, of_members: torch.Tensor) -> torch.Tensor:
        """Values (M, ..., all rows) of members as those (N, ..., n) of their cells, zero beyond a block's rows."""
        blocks = self._matrices.layout.blocks
        if blocks is None:
            return of_members
        cut = of_members.new_zeros(self.number, *of_members.shape[1:-1], self.size)
        for (first, last), rows in zip(self._spans, blocks, strict=True):
            cut[first:last, ..., : len(rows)] = of_members[..., rows][self.member[first:last]]
        return cut

    def forward(self, x: torch.Tensor, out: torch.Tensor) -> None:
        """Compute logits (N, C, n) from coordinates and, last, the bias (M, C, P + 1).

        Args:
            x: Of the members.
            out: Where to write.
        """
        constant = x[..., -1:]
        if self._scaling is not None:
            shift, inverse = self._scaling
            x = x * inverse
            constant = torch.baddbmm(constant, x, shift[..., None])
        factor, constant = self.spread(x), self.spread(constant)
        across = self._matrices.across
        if self._is_even:
            some, added = (each.view(len(across), -1, each.shape[2]) for each in (factor, constant))
            torch.baddbmm(added, some[..., :-1], across, out=out.view(*some.shape[:2], -1))
            return
        for (first, last), block in zip(self._spans, across, strict=True):
            if last > first:
                some, added = (each[first:last].flatten(0, 1) for each in (factor, constant))
                torch.addmm(added, some[:, :-1], block, out=out[first:last].flatten(0, 1))

    def backward(self, residual: torch.Tensor) -> torch.Tensor:
        """Compute the gradient (M, C, P + 1) in coordinates and bias from the gradient in logits (N, C, n)."""
        number, classes, _ = residual.shape
        made = residual.new_empty(number + 1, classes, self._matrices.dim + 1)
        made[-1] = 0
        torch.sum(residual, 2, out=made[:-1, :, -1])
        blocks = self._matrices.blocks
        if self._is_even:
            some = residual.view(len(blocks), -1, self.size)
            torch.bmm(some, blocks, out=made[:-1].view(*some.shape[:2], -1)[..., :-1])
        for (first, last), block in zip(self._spans, blocks, strict=True):
            if last > first and not self._is_even:
                torch.mm(residual[first:last].flatten(0, 1), block, out=made[first:last].flatten(0, 1)[:, :-1])
        gradient = self.total(made)
        if self._scaling is None:
            return gradient
        shift, inverse = self._scaling
        return torch.addcmul(gradient, gradient[..., -1:], shift[:, None]).mul_(inverse)
