"""Least-squares filters from references to estimates: the projections of BSS Eval, one factorisation for all of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.metrics.separation.correlations import correlations


@dataclass(frozen=True)
class Projections:
    """Estimates projected on each reference, and on all of them.

    K references and J estimates of C channels each; a filter has L taps from a channel of a reference to one of an
    estimate. Signals are in the scale that was given.

    Attributes:
        every: (J, C, K, C, L) filters on all references.
        own: (K, J, C, C, L) filters on each reference alone.
        energy: (J,) of each estimate, over samples and channels.
        explained: (J,) energy of its projection on all references.
        target: (K, J) energy of its projection on each reference.
    """

    every: Tensor
    own: Tensor
    energy: Tensor
    explained: Tensor
    target: Tensor


def project(references: Tensor, estimates: Tensor, taps: int) -> Projections:
    """Project every estimate on every reference.

    Args:
        references: (K, T, C) float64, none of them silent.
        estimates: (J, T, C) float64.
        taps: L, length of the filters.

    Energies are those of the least-squares residual of the filters that were found, which are right to second order
    in an error of the filters.
    """
    sources, samples, channels = references.shape
    found = len(estimates)
    refs = references.transpose(1, 2).reshape(sources * channels, samples)
    ests = estimates.transpose(1, 2).reshape(found * channels, samples)
    between, across = correlations(refs, ests, taps)
    # Unit energy: a quiet source must not look like a linear dependence. A silent channel keeps a scale of one.
    power = between.diagonal()[taps - 1]
    scale = torch.where(power > 0, power, 1.0).sqrt()
    power = torch.stack([est.dot(est) for est in ests])
    loudness = torch.where(power > 0, power, 1.0).sqrt()
    between = between / (scale[:, None, None] * scale[None, :, None])
    across = across / (scale[:, None, None] * loudness[None, :, None])
    right = across.permute(1, 0, 2).reshape(found * channels, sources * channels * taps)
    gram = _gram(between)
    every = _solve(gram, right.T).T
    size = channels * taps
    blocks = [slice(k * size, (k + 1) * size) for k in range(sources)]
    grams = torch.stack([gram[block, block] for block in blocks])
    rights = torch.stack([right[:, block] for block in blocks])
    own = _solve(grams, rights.mT).mT
    squared = loudness.square()
    explained = _explained(gram, right, every) * squared
    target = _explained(grams, rights, own) * squared
    unscale = loudness[:, None] / scale
    every = every.view(found * channels, sources * channels, taps) * unscale[..., None]
    own = own.view(sources, found * channels, channels, taps)
    own = own * unscale.view(found * channels, sources, channels).transpose(0, 1)[..., None]
    return Projections(
        every.view(found, channels, sources, channels, taps),
        own.view(sources, found, channels, channels, taps),
        power.view(found, channels).sum(1),
        explained.view(found, channels).sum(1),
        target.view(sources, found, channels).sum(2),
    )


def _gram(between: Tensor) -> Tensor:
    """The symmetric matrix of inner products of delayed references (R L, R L), from (R, R, 2 L - 1) correlations."""
    count, _, width = between.shape
    taps = (width + 1) // 2
    # Row i, column j of a block is the correlation at lag i - j: windows of the reversed correlation.
    rows = between.flip(-1).unfold(-1, taps, 1)
    gram = rows.flip(2).permute(0, 2, 1, 3).reshape(count * taps, count * taps)
    return gram


def _solve(gram: Tensor, right: Tensor) -> Tensor:
    """Solve by Cholesky; as a general system where rounding took the matrix's definiteness."""
    factor, info = torch.linalg.cholesky_ex(gram)
    if not info.any():
        return torch.cholesky_solve(right, factor)
    solution, info = torch.linalg.solve_ex(gram, right)
    if not info.any() and bool(torch.isfinite(solution).all()):
        return solution
    return torch.linalg.pinv(gram, hermitian=True) @ right


def _explained(gram: Tensor, right: Tensor, filters: Tensor) -> Tensor:
    """Energy that `filters` (..., N, D) take off the estimates: 2 d.h - h.G h."""
    return (filters * (2 * right - filters @ gram)).sum(-1)
