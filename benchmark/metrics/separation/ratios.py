"""Ratios of energies in dB without filters: SNR, SI-SDR and its relatives (Le Roux et al., ICASSP 2019), MDX's SDR."""

import math

import torch
from torch import Tensor

METRICS = ("si_sdr", "sd_sdr", "snr")


def si_sdr(estimate: Tensor, reference: Tensor, zero_mean: bool = False) -> Tensor:
    """Scale-invariant SDR of signals (..., T), in dB.

    Args:
        estimate: (..., T).
        reference: (..., T).
        zero_mean: take the mean off both first, as asteroid does and fast_bss_eval does not.

    Returns:
        (...). NaN where the reference is silent, -inf where the estimate is (or has nothing of the reference).
    """
    if zero_mean:
        estimate, reference = (x - x.mean(-1, keepdim=True) for x in (estimate, reference))
    target = _projection(estimate, reference)
    return _ratio(target, estimate - target, reference)


def sd_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-dependent SDR: as `si_sdr`, but a wrong scale is an error too."""
    return _ratio(_projection(estimate, reference), reference - estimate, reference)


def snr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Signal-to-noise ratio, the noise being all that is not the reference; the SDR of BSS Eval's images."""
    return _ratio(reference, reference - estimate, reference)


def mdx_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """SDR of the Music Demixing Challenge 2021 over the last two dimensions (channels, samples); 1e-7 keeps it finite."""
    signal = reference.square().sum((-2, -1)) + 1e-7
    return 10 * torch.log10(signal / ((reference - estimate).square().sum((-2, -1)) + 1e-7))


def si_sir_sar(estimates: Tensor, references: Tensor) -> tuple[Tensor, Tensor]:
    """Scale-invariant SIR and SAR (K,) of estimates (K, T) of references (K, T), by projection on their span."""
    gram = references @ references.T
    weights = torch.linalg.lstsq(gram, references @ estimates.T).solution
    whole = weights.T @ references
    target = _projection(estimates, references)
    sir = _ratio(target, whole - target, references)
    return sir, _ratio(whole, estimates - whole, references)


def _projection(estimate: Tensor, reference: Tensor) -> Tensor:
    energy = reference.square().sum(-1, keepdim=True)
    return (estimate * reference).sum(-1, keepdim=True) / torch.where(energy > 0, energy, 1.0) * reference


def _ratio(signal: Tensor, error: Tensor, reference: Tensor) -> Tensor:
    over, under = signal.square().sum(-1), error.square().sum(-1)
    ratio = torch.where(over > 0, 10 * torch.log10(over / under), -math.inf)
    return torch.where(reference.square().sum(-1) > 0, ratio, math.nan)
