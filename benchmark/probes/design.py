"""The design matrix of all folds at once, in coordinates in which Gram matrices are nearly diagonal."""

import torch

from benchmark.config.schema_probe import Scaling
from benchmark.probes.scaling import fit_scaling

# Rows that stand for all others in the Gram matrix of a preconditioner.
_GRAM_ROWS = 8


class SharedDesign:
    """One feature matrix for all folds, for F up to the number of rows.

    A fold's scaling is an affine change of its weights, so that the matrix is neither copied nor scaled per fold and
    all members share one matrix product. Members work in the eigenbasis of the Gram matrix of all training rows, an
    orthogonal change of coordinates that leaves penalty and solution as they are and speeds up the way there; no
    label enters it.

    Attributes:
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
        self.features = features.to(dtype, copy=not overwrite).sub_(centre.to(dtype)).div_(unit.to(dtype))
        shift, scale = (self.shift64 - centre) / unit, self.scale64 / unit
        self.shift, self.inverse = shift.to(dtype), (1 / scale).to(dtype)
        if self.features is features:
            self.shift64, self.scale64 = shift, scale
        self.dim = features.shape[1]
        rows = parts.any(0).nonzero()[:, 0]
        kept = self.features[rows[:: max(1, len(rows) // (_GRAM_ROWS * self.dim))]]
        values, self.basis = torch.linalg.eigh(kept.T @ kept)
        self.spectrum = values.clamp(min=0) * (parts.sum(1)[:, None] / len(kept)).to(dtype)

    def weights(self, coordinates: torch.Tensor, folds: torch.Tensor) -> torch.Tensor:
        """Turn coordinates (M, C, P) of members of the folds (M,) into weights (M, C, F) of scaled features."""
        return coordinates @ self.basis.T

    def forward(self, coordinates: torch.Tensor, bias: torch.Tensor, folds: torch.Tensor) -> torch.Tensor:
        """Compute logits (M, C, n) of all rows from coordinates (M, C, P) and bias (M, C)."""
        raw = self.weights(coordinates, folds) * self.inverse[folds][:, None]
        offset = bias - (raw @ self.shift[folds][:, :, None])[..., 0]
        members, classes, _ = raw.shape
        logits = torch.addmm(offset.reshape(-1, 1), raw.reshape(members * classes, -1), self.features.T)
        return logits.view(members, classes, -1)

    def backward(self, residual: torch.Tensor, folds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the gradient in coordinates (M, C, P) and bias (M, C) from the gradient in logits (M, C, n)."""
        members, classes, rows = residual.shape
        total = residual.sum(2)
        raw = (residual.view(members * classes, rows) @ self.features).view(members, classes, -1)
        scaled = (
            torch.addcmul(raw, total[..., None], self.shift[folds][:, None], value=-1) * self.inverse[folds][:, None]
        )
        return scaled @ self.basis, total


class FactorDesign:
    """A small factor of the feature matrix per fold, for more features than rows.

    The solution lies in the span of the training rows, so each fold keeps only its coordinates there: (n, r) with r
    at most the number of training rows, from an eigendecomposition of the kernel matrix in float64.
    """

    def __init__(
        self, features: torch.Tensor, parts: torch.Tensor, scaling: Scaling, dtype: torch.dtype, overwrite: bool = False
    ):
        self.shift64, self.scale64 = fit_scaling(features, parts, scaling)
        factors, bases, spectra = [], [], []
        for fold in range(len(parts)):
            scaled = (features.to(torch.float64) - self.shift64[fold]) / self.scale64[fold]
            train = scaled[parts[fold]]
            values, vectors = torch.linalg.eigh(train @ train.T)
            kept = values > 1e-10 * values[-1].clamp(min=1e-30)
            basis = train.T @ (vectors[:, kept] / values[kept].sqrt())
            bases.append(basis)
            factors.append((scaled @ basis).to(dtype))
            spectra.append(values[kept].to(dtype))
        self.dim = max(1, *(len(values) for values in spectra))
        pad = [self.dim - len(values) for values in spectra]
        self.basis = torch.stack([torch.nn.functional.pad(b, (0, p)) for b, p in zip(bases, pad, strict=True)]).to(
            dtype
        )
        self.factor = torch.stack([torch.nn.functional.pad(f, (0, p)) for f, p in zip(factors, pad, strict=True)])
        self.spectrum = torch.stack([torch.nn.functional.pad(s, (0, p)) for s, p in zip(spectra, pad, strict=True)])

    def weights(self, coordinates: torch.Tensor, folds: torch.Tensor) -> torch.Tensor:
        """Turn coordinates (M, C, P) of members of the folds (M,) into weights (M, C, F) of scaled features."""
        return torch.stack([w @ self.basis[f].T for w, f in zip(coordinates, folds.tolist(), strict=True)])

    def forward(self, coordinates: torch.Tensor, bias: torch.Tensor, folds: torch.Tensor) -> torch.Tensor:
        """Compute logits (M, C, n) of all rows from coordinates (M, C, P) and bias (M, C)."""
        parts = [w @ self.factor[f].T for w, f in zip(coordinates, folds.tolist(), strict=True)]
        return torch.stack(parts) + bias[..., None]

    def backward(self, residual: torch.Tensor, folds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the gradient in coordinates (M, C, P) and bias (M, C) from the gradient in logits (M, C, n)."""
        parts = [r @ self.factor[f] for r, f in zip(residual, folds.tolist(), strict=True)]
        return torch.stack(parts), residual.sum(2)


def make_design(
    features: torch.Tensor, parts: torch.Tensor, scaling: Scaling, dtype: torch.dtype, overwrite: bool = False
) -> SharedDesign | FactorDesign:
    """Choose the cheaper design for features (n, F), which may be overwritten, and training parts (K, n) bool."""
    smallest = int(parts.sum(1).min())
    kind = FactorDesign if features.shape[1] > smallest else SharedDesign
    return kind(features, parts, scaling, dtype, overwrite)
