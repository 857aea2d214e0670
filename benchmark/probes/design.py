"""The design matrix of all folds at once, in coordinates in which Gram matrices are nearly diagonal."""

import torch

from benchmark.config.schema_probe import Scaling
from benchmark.probes.layout import Layout
from benchmark.probes.scaling import fit_scaling

# Rows that stand for all others in the Gram matrix of a preconditioner.
_GRAM_ROWS = 8
# Elements of a feature matrix that may be copied; a larger one is scaled where it is, and all rows take part in every fold.
_COPIED = 1 << 26


class SharedDesign:
    """One feature matrix for all folds, for F up to the number of rows.

    A fold's scaling is an affine change of its weights, so that the matrix is neither copied nor scaled per fold and
    all members share one matrix product. Members work in the eigenbasis of the Gram matrix of all training rows, an
    orthogonal change of coordinates that leaves penalty and solution as they are and speeds up the way there; no
    label enters it.

    Attributes:
        layout: Which rows each fold has, and where.
        shift64: (K, F) float64 scaling of each fold, of the given features (as they are now, if overwritten).
        scale64: (K, F) float64.
        spectrum: (K, P) approximate eigenvalues of each fold's Gram matrix: they only precondition.
        dim: P, number of coordinates.
    """

    def __init__(
        self, features: torch.Tensor, parts: torch.Tensor, scaling: Scaling, dtype: torch.dtype, overwrite: bool = False
    ):
        self.shift64, self.scale64 = fit_scaling(features, parts, scaling)
        # Near zero mean and unit scale for all folds, so that the affine correction of each is small and float32 does.
        centre, unit = self.shift64.mean(0), self.scale64.mean(0)
        shift, scale = (self.shift64 - centre) / unit, self.scale64 / unit
        self.shift, self.inverse = shift.to(dtype), (1 / scale).to(dtype)
        if features.numel() > _COPIED:
            self.layout = Layout.whole(parts)
            kept = features.to(dtype, copy=not overwrite)
            if kept is features:
                self.shift64, self.scale64 = shift, scale
        else:
            self.layout = Layout.of(parts)
            kept = features[self.layout.order].to(dtype)
        kept.sub_(centre.to(dtype)).div_(unit.to(dtype))
        self.blocks = [kept[block.first : block.last] for block in self.layout.blocks]
        # Products with small matrices are faster the other way round.
        self.across = [block.T if features.numel() > _COPIED else block.T.contiguous() for block in self.blocks]
        self.dim = features.shape[1]
        taught = parts.any(0).nonzero()[:, 0] if self.layout.is_whole else torch.arange(len(kept), device=kept.device)
        rows = kept[taught[:: max(1, len(taught) // (_GRAM_ROWS * self.dim))]]
        values, self.basis = torch.linalg.eigh(rows.T @ rows)
        self.spectrum = values.clamp(min=0) * (parts.sum(1)[:, None] / len(rows)).to(dtype)

    def weights(self, coordinates: torch.Tensor, folds: torch.Tensor) -> torch.Tensor:
        """Turn coordinates (M, C, P) of members of the folds (M,) into weights (M, C, F) of scaled features."""
        return coordinates @ self.basis.T

    def forward(self, coordinates: torch.Tensor, bias: torch.Tensor, folds: torch.Tensor) -> torch.Tensor:
        """Compute logits (M, C, n) of the layout's rows from coordinates (M, C, P) and bias (M, C)."""
        raw = self.weights(coordinates, folds) * self.inverse[folds][:, None]
        offset = bias - (raw @ self.shift[folds][:, :, None])[..., 0]
        members, classes, dim = raw.shape

        def product(which: torch.Tensor | slice, number: int) -> torch.Tensor:
            some, constant = raw[which].reshape(-1, dim), offset[which].reshape(-1, 1)
            return torch.addmm(constant, some, self.across[number]).view(-1, classes, len(self.blocks[number]))

        if self.layout.is_whole:
            return product(slice(None), 0)
        logits = raw.new_zeros(members, classes, self.layout.rows)
        for number, (which, runs) in enumerate(self.layout.runs(folds)):
            if len(which):
                part = product(which, number)
                for run in runs:
                    logits[run.members, :, run.rows] = part[run.within]
        return logits

    def backward(self, residual: torch.Tensor, folds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the gradient in coordinates (M, C, P) and bias (M, C) from the gradient in logits (M, C, n)."""
        members, classes, rows = residual.shape
        total = residual.sum(2)
        if self.layout.is_whole:
            raw = (residual.view(members * classes, rows) @ self.blocks[0]).view(members, classes, -1)
        else:
            raw = residual.new_zeros(members, classes, self.dim)
            for number, (which, runs) in enumerate(self.layout.runs(folds)):
                if len(which):
                    some = torch.cat([residual[run.members, :, run.rows] for run in runs])
                    part = (some.view(-1, some.shape[2]) @ self.blocks[number]).view(len(which), classes, -1)
                    for run in runs:
                        raw[run.members] += part[run.within]
        scaled = (
            torch.addcmul(raw, total[..., None], self.shift[folds][:, None], value=-1) * self.inverse[folds][:, None]
        )
        return scaled @ self.basis, total


class FactorDesign:
    """A small factor of the feature matrix per fold, for more features than rows.

    The solution lies in the span of the training rows, so each fold keeps only its coordinates there: (n, r) with r
    at most the number of training rows, from an eigendecomposition of the kernel matrix in float64.
    """

    def __init__(self, features: torch.Tensor, parts: torch.Tensor, scaling: Scaling, dtype: torch.dtype):
        self.layout = Layout.each(parts)
        self.shift64, self.scale64 = fit_scaling(features, parts, scaling)
        factors, bases, spectra = [], [], []
        for fold in range(len(parts)):
            train = (features[parts[fold]].to(torch.float64) - self.shift64[fold]) / self.scale64[fold]
            values, vectors = torch.linalg.eigh(train @ train.T)
            kept = values > 1e-10 * values[-1].clamp(min=1e-30)
            basis = train.T @ (vectors[:, kept] / values[kept].sqrt())
            bases.append(basis.to(dtype))
            factors.append((vectors[:, kept] * values[kept].sqrt()).to(dtype))
            spectra.append(values[kept].to(dtype))
        self.dim = max(1, *(len(values) for values in spectra))
        self.basis, self.factor, self.spectrum = (_padded(parts, self.dim) for parts in (bases, factors, spectra))

    def weights(self, coordinates: torch.Tensor, folds: torch.Tensor) -> torch.Tensor:
        """Turn coordinates (M, C, P) of members of the folds (M,) into weights (M, C, F) of scaled features."""
        return self._products(coordinates, self.basis.transpose(1, 2), folds)

    def forward(self, coordinates: torch.Tensor, bias: torch.Tensor, folds: torch.Tensor) -> torch.Tensor:
        """Compute logits (M, C, n) of the layout's rows from coordinates (M, C, P) and bias (M, C)."""
        return self._products(coordinates, self.factor.transpose(1, 2), folds).add_(bias[..., None])

    def backward(self, residual: torch.Tensor, folds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the gradient in coordinates (M, C, P) and bias (M, C) from the gradient in logits (M, C, n)."""
        return self._products(residual, self.factor, folds), residual.sum(2)

    def _products(self, of_members: torch.Tensor, of_folds: torch.Tensor, folds: torch.Tensor) -> torch.Tensor:
        """Each member's matrix times that of its fold; members of a fold lie side by side."""
        members, classes, _ = of_members.shape
        made = of_members.new_empty(members, classes, of_folds.shape[2])
        for which, fold in self.layout.sides(folds):
            some = of_members[which]
            torch.mm(some.reshape(-1, some.shape[2]), of_folds[fold], out=made[which].view(-1, made.shape[2]))
        return made


def _padded(parts: list[torch.Tensor], width: int) -> torch.Tensor:
    """Stack tensors (..., r) of several sizes, (F or n, r) or (r,), as (K, ..., width), with zeros."""
    rows = max(part.shape[0] for part in parts) if parts[0].ndim == 2 else width
    made = parts[0].new_zeros(len(parts), rows, *([width] if parts[0].ndim == 2 else []))
    for fold, part in enumerate(parts):
        made[(fold, *(slice(size) for size in part.shape))] = part
    return made


def make_design(
    features: torch.Tensor, parts: torch.Tensor, scaling: Scaling, dtype: torch.dtype, overwrite: bool = False
) -> SharedDesign | FactorDesign:
    """Choose the cheaper design for features (n, F), which may be overwritten, and training parts (K, n) bool."""
    smallest = int(parts.sum(1).min())
    if features.shape[1] > smallest:
        return FactorDesign(features, parts, scaling, dtype)
    return SharedDesign(features, parts, scaling, dtype, overwrite)
