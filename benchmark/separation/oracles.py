"""Floors and ceilings: what a mask could do that knows the stems, and what doing nothing gives (SiSEC 2018's oracles)."""

import torch
from torch import Tensor

from benchmark.separation.stft import Stft

ORACLES = ("mixture", "ibm", "ibm_argmax", "irm", "psm", "cirm", "mwf")
_EPS = 1e-12


def separate_oracle(
    mixture: Tensor, stems: Tensor, kind: str, stft: Stft, alpha: float = 1.0, iterations: int = 2
) -> Tensor:
    """Estimates (K, C, T) of stems (K, C, T) from their mixture (C, T).

    Args:
        mixture: what was heard.
        stems: what it is made of.
        kind: `mixture`: the mixture divided by K. `ibm`: bins where the stem's |S|^alpha is half of the mixture's or
            more, which several stems can be. `ibm_argmax`: the loudest stem's bins. `irm`: |S|^alpha over the stems'
            sum. `psm`: |S| / |X| cos of the angle between them, cut to [0, 1]. `cirm`: S / X, which gives the stems
            back and so tests the plumbing alone. `mwf`: multichannel Wiener filter of the stems' own covariances.
        stft: the spectra that masks are of.
        alpha: exponent of `ibm` and `irm`.
        iterations: of the covariances of `mwf`.

    Raises:
        ValueError: an unknown kind.
    """
    samples = mixture.shape[-1]
    if kind == "mixture":
        return (mixture / len(stems)).expand_as(stems)
    whole, parts = stft(mixture), stft(stems)
    if kind == "mwf":
        return stft.inverse(_wiener(whole, parts, iterations), samples)
    if kind not in ORACLES:
        raise ValueError(f"oracle {kind!r} is unknown; it must be one of {', '.join(ORACLES)}")
    return stft.inverse(_mask(whole, parts, kind, alpha) * whole, samples)


def _mask(whole: Tensor, parts: Tensor, kind: str, alpha: float) -> Tensor:
    if kind == "cirm":
        return torch.where(whole.abs() > 0, parts / torch.where(whole.abs() > 0, whole, 1.0), 0.0)
    if kind == "ibm_argmax":
        return torch.nn.functional.one_hot(parts.abs().argmax(0), len(parts)).movedim(-1, 0).to(parts.real.dtype)
    if kind == "psm":
        angle = torch.cos(parts.angle() - whole.angle())
        return (parts.abs() / (whole.abs() + _EPS) * angle).clamp(0, 1)
    powered = parts.abs().pow(alpha)
    if kind == "ibm":
        return (powered / (_EPS + whole.abs().pow(alpha)) >= 0.5).to(powered.dtype)
    return powered / (_EPS + powered.sum(0))


def _wiener(whole: Tensor, parts: Tensor, iterations: int) -> Tensor:
    """Sources (K, C, F, T) by the local Gaussian model: a spectrum P (K, F, T) and a spatial covariance R (K, F, C, C)."""
    channels = whole.shape[0]
    identity = torch.eye(channels, dtype=whole.dtype, device=whole.device)
    vectors = parts.permute(0, 2, 3, 1)
    covariances = vectors[..., :, None] * vectors[..., None, :].conj()
    power = vectors.abs().square().mean(-1)
    spatial = identity.expand(len(parts), parts.shape[2], channels, channels)
    for _ in range(max(1, iterations)):
        spatial = (covariances / (power[..., None, None] + _EPS)).mean(2)
        trace = spatial.diagonal(dim1=-2, dim2=-1).real.sum(-1)[..., None, None]
        spatial = spatial * (channels / (trace + _EPS)) + _EPS**0.5 * identity
        inverse = torch.linalg.inv(spatial)
        power = (inverse[:, :, None] @ covariances).diagonal(dim1=-2, dim2=-1).real.sum(-1).clamp(min=0) / channels
    each = power[..., None, None] * spatial[:, :, None]
    total = torch.linalg.inv(each.sum(0) + _EPS * identity)
    heard = whole.permute(1, 2, 0)[..., None]
    return (each @ total @ heard)[..., 0].permute(0, 3, 1, 2)
