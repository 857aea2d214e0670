"""The design matrix of all folds at once, scaled by each fold's own statistics."""

import abc
from collections.abc import Sequence

import torch

from benchmark.config.schema_probe import Scaling
from benchmark.probes.batch import Matrices
from benchmark.probes.gram import Gram
from benchmark.probes.layout import Layout
from benchmark.probes.scaling import fit_scaling

# Elements of a feature matrix that may be copied; a larger one is scaled where it is, and all rows take part in every fold.
_COPIED = 1 << 26


class Design(abc.ABC):
    """Features of all folds, and what the coordinates mean.

    Attributes:
        matrices: Features in coordinates that are the members' own.
        shift64: (K, F) float64 scaling of each fold, of the given features (as they are now, if overwritten).
        scale64: (K, F) float64.
    """

    matrices: Matrices
    shift64: torch.Tensor
    scale64: torch.Tensor

    @abc.abstractmethod
    def weights(self, coordinates: torch.Tensor, folds: torch.Tensor) -> torch.Tensor:
        """Turn coordinates (M, ..., P) of members of the folds (M,), ascending, into weights (M, ..., F) of scaled features."""


class SharedDesign(Design):
    """One feature matrix for all folds, for F up to the number of rows.

    A fold's scaling is an affine change of its weights, so that the matrix is neither copied nor scaled per fold and
    members of several folds share matrix products. The coordinates are the weights of scaled features.
    """

    def __init__(
        self, features: torch.Tensor, parts: torch.Tensor, scaling: Scaling, dtype: torch.dtype, overwrite: bool = False
    ):
        self.shift64, self.scale64 = fit_scaling(features, parts, scaling)
        # Near zero mean and unit scale for all folds, so that the affine correction of each is small and float32 does.
        centre, unit = self.shift64.mean(0), self.scale64.mean(0)
        shift, scale = (self.shift64 - centre) / unit, self.scale64 / unit
        large = features.numel() > _COPIED
        layout = Layout.whole(parts) if large else Layout.of(parts)
        if layout.blocks is None:
            kept = features.to(dtype, copy=not (large and overwrite))
            if kept is features:
                self.shift64, self.scale64 = shift, scale
            taught = parts.any(0).nonzero()[:, 0]
        else:
            kept = features[torch.cat(layout.blocks)].to(dtype)
            taught = torch.arange(len(kept), device=kept.device)
        kept.sub_(centre.to(dtype)).div_(unit.to(dtype))
        sizes = [len(kept)] if layout.blocks is None else [len(rows) for rows in layout.blocks]
        blocks = kept.view(len(sizes), -1, kept.shape[1]) if len(set(sizes)) == 1 else _stacked(kept.split(sizes))
        across = blocks.transpose(1, 2) if large else blocks.transpose(1, 2).contiguous()
        gram = Gram.of(kept, taught, parts.sum(1))
        self.matrices = Matrices(layout, blocks, across, shift.to(dtype), (1 / scale).to(dtype), gram)

    def weights(self, coordinates: torch.Tensor, folds: torch.Tensor) -> torch.Tensor:
        """The coordinates (M, ..., F) themselves."""
        return coordinates


class FactorDesign(Design):
    """A small factor of the feature matrix per fold, for more features than rows.

    The solution lies in the span of the training rows, so each fold keeps only its coordinates there: (n, r) with r
    at most the number of training rows, from an eigendecomposition of the kernel matrix in float64.
    """

    def __init__(self, features: torch.Tensor, parts: torch.Tensor, scaling: Scaling, dtype: torch.dtype):
        layout = Layout.each(parts)
        self.shift64, self.scale64 = fit_scaling(features, parts, scaling)
        factors, bases, spectra = [], [], []
        for fold, rows in enumerate(layout.blocks):
            train = (features[rows].to(torch.float64) - self.shift64[fold]) / self.scale64[fold]
            values, vectors = torch.linalg.eigh(train @ train.T)
            kept = values > 1e-10 * values[-1].clamp(min=1e-30)
            bases.append((train.T @ (vectors[:, kept] / values[kept].sqrt())).to(dtype))
            factors.append((vectors[:, kept] * values[kept].sqrt()).to(dtype))
            spectra.append(values[kept].to(dtype))
        dim = max(1, *(len(values) for values in spectra))
        self._bases, blocks, spectra = (
            [torch.nn.functional.pad(each, (0, dim - each.shape[-1])) for each in some]
            for some in (bases, factors, spectra)
        )
        gram = Gram(None, torch.stack(spectra), torch.zeros(len(parts), dtype=dtype, device=features.device))
        factors = _stacked(blocks)
        self.matrices = Matrices(layout, factors, factors.transpose(1, 2).contiguous(), None, None, gram)

    def weights(self, coordinates: torch.Tensor, folds: torch.Tensor) -> torch.Tensor:
        """Turn coordinates (M, ..., P) of members of the folds (M,), ascending, into weights (M, ..., F) of scaled features."""
        counts = torch.bincount(folds, minlength=len(self._bases)).tolist()
        return torch.cat([some @ basis.T for some, basis in zip(coordinates.split(counts), self._bases, strict=True)])


def _stacked(blocks: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack blocks (m, P) of several sizes as (B, n, P), with zeros."""
    size = max(len(block) for block in blocks)
    return torch.stack([torch.nn.functional.pad(block, (0, 0, 0, size - len(block))) for block in blocks])


def make_design(
    features: torch.Tensor, parts: torch.Tensor, scaling: Scaling, dtype: torch.dtype, overwrite: bool = False
) -> Design:
    """Choose the cheaper design for features (n, F), which may be overwritten, and training parts (K, n) bool."""
    smallest = int(parts.sum(1).min())
    if features.shape[1] > smallest:
        return FactorDesign(features, parts, scaling, dtype)
    return SharedDesign(features, parts, scaling, dtype, overwrite)
