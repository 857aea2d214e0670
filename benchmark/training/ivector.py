"""Training of i-vectors by expectation maximisation: the background model, then the subspace of total variability."""

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmark.models.ivector import IVectorExtractor

# Variances of a Gaussian stay above this part of those of all frames.
_LEAST_VARIANCE = 0.01
_ROWS = 65_536


def fit_background(net: IVectorExtractor, frames: Tensor, iterations: int, generator: torch.Generator) -> list[float]:
    """Fit weights, means and variances to prepared frames (n, F); returns the mean log likelihood before each step.

    It begins with equal weights, means of randomly drawn frames, and the variances of all frames.

    Raises:
        ValueError: fewer frames than Gaussians.
    """
    count = len(net.weights)
    if len(frames) < count:
        raise ValueError(f"{len(frames)} frames are fewer than {count} Gaussians; take fewer")
    spread = frames.var(dim=0, unbiased=False).clamp(min=1e-10)
    net.weights.fill_(1 / count)
    net.means.copy_(frames[torch.randperm(len(frames), generator=generator)[:count]])
    net.variances.copy_(spread.expand_as(net.variances))
    told = []
    for _ in range(iterations):
        zeroth, first, second, likelihood = torch.zeros_like(net.weights), 0.0, 0.0, 0.0
        for block in frames.split(_ROWS):
            logs = net.log_likelihoods(block)
            likelihood += float(torch.logsumexp(logs, dim=1).sum())
            gamma = torch.softmax(logs, dim=1)
            zeroth = zeroth + gamma.sum(dim=0)
            first, second = first + gamma.T @ block, second + gamma.T @ block.square()
        told.append(likelihood / len(frames))
        # A Gaussian that nothing belongs to stays where it is.
        alive = zeroth > 1e-3
        held = zeroth.clamp(min=1e-3)[:, None]
        means = torch.where(alive[:, None], first / held, net.means)
        variances = torch.maximum(second / held - means.square(), _LEAST_VARIANCE * spread)
        net.variances.copy_(torch.where(alive[:, None], variances, net.variances))
        net.means.copy_(means)
        net.weights.copy_(zeroth.clamp(min=1e-10) / zeroth.clamp(min=1e-10).sum())
    return told


def fit_subspace(
    net: IVectorExtractor, total: Tensor, first: Tensor, iterations: int, generator: torch.Generator
) -> None:
    """Fit T to statistics N (U, C) and F (U, C, F) of U recordings, from a random start; then the i-vectors' mean."""
    start = torch.randn(net.subspace.shape, generator=generator, dtype=net.subspace.dtype)
    net.subspace.copy_(0.1 * start * net.variances.sqrt()[..., None])
    for _ in range(iterations):
        mean, covariance = net.posterior(total, first)
        moment = covariance + mean[:, :, None] * mean[:, None]
        left = torch.einsum("ucf,ur->cfr", first, mean)
        right = torch.einsum("uc,urs->crs", total, moment)
        # What a Gaussian without frames says of its part of T is nothing.
        right = right + 1e-6 * torch.eye(net.dim, dtype=right.dtype)
        net.subspace.copy_(torch.linalg.solve(right, left.transpose(1, 2)).transpose(1, 2))
    net.centre.copy_(net.posterior(total, first)[0].mean(dim=0))


def train_ivector(
    net: IVectorExtractor, recordings: Sequence[Tensor], background: int, subspace: int, generator: torch.Generator
) -> None:
    """Fit everything to recordings (T_i, F), by so many iterations of either expectation maximisation.

    Raises:
        ValueError: too few frames.
    """
    prepared = [net.prepared(frames[None]) for frames in recordings]
    frames = torch.cat([x[0][counts[0] > 0] for x, counts in prepared])
    fit_background(net, frames, background, generator)
    statistics = [net.statistics(x, counts) for x, counts in prepared]
    total, first = (torch.cat([pair[i] for pair in statistics]) for i in range(2))
    fit_subspace(net, total, first, subspace, generator)
