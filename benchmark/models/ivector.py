"""i-vectors: what tells a recording's Gaussian mixture from that of all recordings, in few numbers (Dehak et al., 2011).

A universal background model of C Gaussians with diagonal covariances describes frames of all recordings. Of one
recording, means are m_c + T_c w with w ~ N(0, I); the i-vector is the mean of w given the frames. Statistics of a
recording: N_c = sum_t gamma_tc, F_c = sum_t gamma_tc (o_t - m_c); precision L = I + sum_c N_c T_c' S_c^-1 T_c, mean
L^-1 sum_c T_c' S_c^-1 F_c.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class IVectorExtractor(nn.Module):
    """Frames (B, T, F) to i-vectors (B, R) of length one, the training's mean taken away; in float64.

    Args:
        gaussians: C.
        size: F.
        rank: R.
        normalise: whether each feature's mean over the frames is taken away first.
        quiet: frames whose first feature lies by more than this below the greatest are not counted.
    """

    def __init__(self, gaussians: int, size: int, rank: int, normalise: bool = True, quiet: float = math.inf):
        super().__init__()
        self.normalise, self.quiet, self.dim = normalise, quiet, rank
        kind = {"dtype": torch.float64}
        self.register_buffer("weights", torch.full((gaussians,), 1 / gaussians, **kind))
        self.register_buffer("means", torch.randn(gaussians, size, **kind))
        self.register_buffer("variances", torch.ones(gaussians, size, **kind))
        self.register_buffer("subspace", torch.randn(gaussians, size, rank, **kind) / math.sqrt(rank))
        self.register_buffer("centre", torch.zeros(rank, **kind))

    def prepared(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, T, F) in float64 as the mixture sees them, and which of them count (B, T)."""
        x = x.to(torch.float64)
        counts = (x[..., 0] >= x[..., :1].amax(dim=1) - self.quiet).to(x.dtype)
        if self.normalise:
            x = x - (x * counts[..., None]).sum(dim=1, keepdim=True) / counts.sum(dim=1)[:, None, None]
        return x, counts

    def log_likelihoods(self, x: Tensor) -> Tensor:
        """Of prepared frames (..., F): log of weight times density of each Gaussian, (..., C)."""
        precision = 1 / self.variances
        squared = (
            x.square() @ precision.T - 2 * x @ (self.means * precision).T + (self.means.square() * precision).sum(dim=1)
        )
        scale = (2 * math.pi * self.variances).log().sum(dim=1)
        return self.weights.log() - 0.5 * (squared + scale)

    def statistics(self, x: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Of prepared frames (B, T, F), of which `counts` (B, T) count: N (B, C) and the centred F (B, C, F)."""
        gamma = torch.softmax(self.log_likelihoods(x), dim=-1) * counts[..., None]
        total = gamma.sum(dim=1)
        return total, gamma.transpose(1, 2) @ x - total[..., None] * self.means

    def posterior(self, total: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, R) and covariance (B, R, R) of w, given statistics N (B, C) and F (B, C, F)."""
        weighted = self.subspace / self.variances[..., None]
        products = torch.einsum("cfr,cfs->crs", weighted, self.subspace)
        precision = torch.eye(self.dim, dtype=total.dtype, device=total.device) + torch.einsum(
            "bc,crs->brs", total, products
        )
        covariance = torch.linalg.inv(precision)
        return torch.einsum("brs,cfs,bcf->br", covariance, weighted, first), covariance

    def forward(self, x: Tensor) -> Tensor:
        mean, _ = self.posterior(*self.statistics(*self.prepared(x)))
        return functional.normalize(mean - self.centre, dim=-1)
