"""Losses of the papers: affinities of bins, attractors, magnitudes and spectra, with or without a fixed order of sources."""

import torch
from torch import Tensor

from benchmark.metrics.separation.permutations import best_permutation

_ACTIVE_DB = 40.0


def active_bins(magnitudes: Tensor, range_db: float = _ACTIVE_DB) -> Tensor:
    """Bins (B, ...) that are at most `range_db` below the loudest of their clip, as 0 and 1."""
    peak = magnitudes.flatten(1).amax(1).view(-1, *[1] * (magnitudes.ndim - 1))
    return (magnitudes > peak * 10 ** (-range_db / 20)).to(magnitudes.dtype)


def loudest(stems: Tensor) -> Tensor:
    """Magnitudes of stems (B, K, ...) to the one-hot index (B, ..., K) of the loudest in each bin."""
    return torch.nn.functional.one_hot(stems.argmax(1), stems.shape[1]).to(stems.dtype)


def affinity_loss(vectors: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """|V V' - Y Y'|^2 of each clip by its three small Gram matrices (Hershey et al. 2016, eq. 1), a bin a row.

    Each Gram matrix is of the order of the number of bins; their squares cancel, so they are subtracted in float64.

    Args:
        vectors: V (B, N, D).
        labels: Y (B, N, K), one-hot; K is the number of sources, heard or not.
        weights: (B, N), of the rows.

    Returns:
        Mean over clips of the loss divided by the squared sum of the squared weights.
    """
    weighted = weights[..., None]
    v, y = (vectors * weighted).double(), (labels * weighted).double()
    loss = (v.mT @ v).square().sum((1, 2)) - 2 * (v.mT @ y).square().sum((1, 2)) + (y.mT @ y).square().sum((1, 2))
    total = weights.double().square().sum(1).square().clamp(min=1.0)
    return (loss / total).mean().to(vectors.dtype)


def magnitude_weights(magnitudes: Tensor) -> Tensor:
    """sqrt(N |X| / sum |X|) of bins (B, N), which counts loud ones more (Wang, Le Roux & Hershey 2018)."""
    total = magnitudes.sum(1, keepdim=True).clamp(min=torch.finfo(magnitudes.dtype).tiny)
    return (magnitudes.shape[1] * magnitudes / total).sqrt()


def attractor_masks(vectors: Tensor, labels: Tensor, active: Tensor) -> Tensor:
    """Masks (B, N, K) of bins: softmax of the products of vectors (B, N, D) with each source's mean vector.

    `labels` (B, N, K) and `active` (B, N) say which bins a source's attractor is the mean of (Mobin et al. 2018).
    """
    counted = labels * active[..., None]
    attractors = counted.mT @ vectors / (counted.sum(1)[..., None] + 1e-6)
    return torch.softmax(vectors @ attractors.mT, dim=-1)


def dissimilarity_loss(
    estimates: Tensor, stems: Tensor, voice: int, other: int, alpha: float = 0.001, beta: float = 0.01,
    beta_voice: float = 0.03,
) -> Tensor:  # fmt: skip
    """Errors of all sources but `other`, less a part of their distance to the wrong ones (Chandna et al. 2017).

    Args:
        estimates: masked magnitudes (B, K, ...).
        stems: magnitudes (B, K, ...).
        voice: number of the voice.
        other: number of the source that has no error of its own; -1: every source has one.
        alpha, beta, beta_voice: weights of distances among the sources, and to the other one.

    Returns:
        The absolute value of the sum, divided by the number of bins of a source.
    """
    count = estimates.shape[1]
    main = [j for j in range(count) if j != other]

    def distance(j: int, k: int) -> Tensor:
        return (estimates[:, j] - stems[:, k]).square().sum()

    loss = sum(distance(j, j) for j in main)
    loss = loss - alpha * sum(distance(j, k) for j in main for k in main if j != k)
    if other in range(count):
        loss = loss - sum((beta_voice if j == voice else beta) * distance(j, other) for j in main)
    return loss.abs() / estimates[:, 0].numel()


def complex_loss(estimates: Tensor, stems: Tensor) -> Tensor:
    """Mean over bins of |Re| + |Im| of the error of complex spectra, summed over sources (B, K, ...) (Zhang et al. 2021)."""
    error = torch.view_as_real(estimates - stems).abs().sum(-1)
    return error.sum(1).mean()


def permutation_invariant(pair_losses: Tensor) -> tuple[Tensor, Tensor]:
    """The mean loss (B,) of the best order of the sources, and that order (B, K), from losses (B, K, K) of pairs."""
    order = best_permutation(-pair_losses)
    return pair_losses.gather(2, order[..., None])[..., 0].mean(1), order


def si_sdr_loss(estimates: Tensor, stems: Tensor, fixed_order: bool = False) -> Tensor:
    """Mean negative SI-SDR in dB of estimates (B, K, T), of the best order unless it is fixed.

    Both signals lose their mean first. A part of 1e-8 of the stem's energy keeps perfect and empty estimates finite;
    a silent stem has no SI-SDR, so its pairs count for nothing and give no gradient.
    """
    estimates, stems = (x - x.mean(-1, keepdim=True) for x in (estimates, stems))
    energy = stems.square().sum(-1)
    heard = energy > 1e-12
    if fixed_order:
        losses = torch.where(heard, _negative_si_sdr(estimates, stems), 0.0)
    else:
        pairs = _negative_si_sdr(estimates[:, None], stems[:, :, None])
        pairs = torch.where(heard[..., None], pairs, 0.0)
        order = best_permutation(-pairs)
        losses = pairs.gather(2, order[..., None])[..., 0]
    return losses.sum() / heard.sum().clamp(min=1)


def _negative_si_sdr(estimates: Tensor, stems: Tensor) -> Tensor:
    energy = stems.square().sum(-1, keepdim=True)
    floor = 1e-8 * energy.clamp(min=1e-8)
    target = (estimates * stems).sum(-1, keepdim=True) / (energy + floor) * stems
    over = target.square().sum(-1) + floor[..., 0]
    under = (estimates - target).square().sum(-1) + floor[..., 0]
    return -10 * torch.log10(over / under)
