"""The Hessian of a member, as far as the Gram matrix of the features tells, inverted: a preconditioner.

Of many features only the leading eigenvectors are found, the others share one eigenvalue: Halko, Martinsson & Tropp,
"Finding structure with randomness", SIAM Review 2011, algorithms 4.4 (one power iteration) and 5.3; Frangella, Tropp &
Udell, "Randomized Nyström preconditioning", SIAM J. Matrix Anal. Appl. 2023, section 5, for what it is good for.
"""

from dataclasses import dataclass

import torch

# Rows that stand for all others, per feature; and the part of the eigenvectors that is found, of so many at least. With
# more rows than this per feature all are found, as products with the rows cost more.
_ROWS = 8
_PART = 4
_LEAST = 128
_MANY = 16


@dataclass(frozen=True)
class Gram:
    """Gram matrices of the folds in a basis that they share.

    Attributes:
        basis: (P, r) orthonormal columns; None: the coordinates themselves.
        values: (K, r) eigenvalues of each fold.
        rest: (K,) the eigenvalue of whatever is orthogonal to the basis.
    """

    basis: torch.Tensor | None
    values: torch.Tensor
    rest: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor, taught: torch.Tensor, counts: torch.Tensor) -> "Gram":
        """Estimate it from some rows (m,) of features (n, F); a fold has as many as `counts` (K,) says."""
        step = -(-len(taught) // (_ROWS * features.shape[1]))
        rows = features if step == 1 and len(taught) == len(features) else features[taught[::step]]
        dim = rows.shape[1]
        rank = dim if len(taught) >= _MANY * dim else max(dim // _PART, _LEAST)
        if rank >= dim:
            values, basis = torch.linalg.eigh(rows.T @ rows)
            rest = values[0]
        else:
            generator = torch.Generator().manual_seed(0)
            test = torch.randn(dim, rank, generator=generator, dtype=rows.dtype).to(rows.device)
            some = rows[:: max(1, 2 * len(rows) // (3 * dim))]
            basis = torch.linalg.qr(some.T @ (some @ test)).Q
            projected = rows @ basis
            values, turn = torch.linalg.eigh(projected.T @ projected)
            basis = basis @ turn
            rest = (torch.linalg.vector_norm(rows) ** 2 - values.sum()) / (dim - rank)
        part = (counts / len(rows)).to(rows.dtype)
        return cls(basis, values.clamp(min=0) * part[:, None], rest.clamp(min=0) * part)


class Preconditioner:
    """The inverse of `strength * spread * Gram + 1` for each member and class; the bias, the last coordinate, apart."""

    def __init__(
        self, gram: Gram, folds: torch.Tensor, shape: tuple[int, int, int], mass: torch.Tensor, bias_penalty: float
    ):
        """Prepare for members of the folds (M,), gradients of shape (M, C, P + 1), rows that weigh `mass` (M,)."""
        self._basis = gram.basis
        self._across = None if gram.basis is None else gram.basis.T.contiguous()
        self._values, self._rest = gram.values[folds][:, None], gram.rest[folds][:, None, None]
        self._mass, self._bias_penalty = mass.clamp(min=1e-30)[:, None, None], bias_penalty
        self._scale = mass.new_empty(shape)
        self._change = mass.new_empty(*shape[:2], gram.values.shape[1])

    def renew(self, members: torch.Tensor | slice, strength: torch.Tensor, spread: torch.Tensor) -> None:
        """Invert for some members.

        Args:
            members: (m,) int64, or a slice that is all of them.
            strength: (m,) C.
            spread: (m, C) mean curvature of the loss over the rows.
        """
        curvature = (strength[:, None] * spread)[..., None]
        inner = (curvature * self._values[members]).add_(1).reciprocal_()
        bias = (curvature * self._mass[members]).add_(self._bias_penalty).clamp_(min=1e-20).reciprocal_()
        outer = inner
        if self._basis is not None:
            outer = (curvature * self._rest[members]).add_(1).reciprocal_()
            self._change[members] = inner - outer
        self._scale[members, :, :-1] = outer
        self._scale[members, :, -1:] = bias

    def apply(self, gradient: torch.Tensor, members: torch.Tensor | slice = slice(None)) -> torch.Tensor:
        """Multiply gradients (m, C, P + 1) of some members (m,), or of all."""
        made = gradient * self._scale[members]
        if self._basis is not None:
            inside = (gradient.flatten(0, 1)[:, :-1] @ self._basis).mul_(self._change[members].flatten(0, 1))
            made.flatten(0, 1)[:, :-1].addmm_(inside, self._across)
        return made.sub_(made.mean(1, keepdim=True)) if made.shape[1] > 1 else made

    def take(self, members: torch.Tensor) -> None:
        """Keep only some members (M,) bool."""
        for name in ("_values", "_rest", "_mass", "_scale", "_change"):
            setattr(self, name, getattr(self, name)[members])
