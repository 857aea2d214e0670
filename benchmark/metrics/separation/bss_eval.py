"""BSS Eval v3 (Vincent, Gribonval & Févotte, IEEE TASL 14(4), 2006) of sources and of spatial images, on torch.

The reference of record is mir_eval (`separation.bss_eval_sources`, `bss_eval_images`). All projections are causal: an
estimate that comes late by less than the filter's length is forgiven (by the scores of sources), an early one is not.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchmark.metrics.separation.correlations import filtered_energies
from benchmark.metrics.separation.projection import Projections, project

Family = Literal["sources", "images"]

# Parts below this share of an estimate are measured on the signals, not as a difference of energies.
_CANCELS = 1e-6
_MIN_LENGTHS = 4
_PROBE = 4096


@dataclass(frozen=True)
class BssScores:
    """Scores in dB, by reference.

    Attributes:
        sdr, sir, sar: (K,) float64; NaN where `reasons` says why, inf where nothing is left to divide by.
        isr: (K,), of images; NaN of sources.
        permutation: (K,) index of the estimate of each reference.
        reasons: number of a reference -> why its scores are NaN.
    """

    sdr: np.ndarray
    sir: np.ndarray
    sar: np.ndarray
    isr: np.ndarray
    permutation: np.ndarray
    reasons: dict[int, str] = field(default_factory=dict)


def bss_eval(
    references: np.ndarray | Tensor,
    estimates: np.ndarray | Tensor,
    family: Family = "sources",
    *,
    taps: int = 512,
    permute: bool = True,
    device: str | torch.device = "cpu",
) -> BssScores:
    """Score estimates of K sources.

    Args:
        references: (K, T) or (K, T, C); C channels for images only.
        estimates: of the same shape.
        family: `sources`: any filter of `taps` taps from a source to its estimate is forgiven; `images`: none is.
        taps: L, length of the distortion filters.
        permute: find the order of the estimates with the highest mean SIR; else it is that of the references.
        device: where torch computes, in float64.

    Raises:
        ValueError: shapes that do not fit, values that are not finite, signals shorter than 4 L (their SAR would be
            rounding noise), or two references that are the same.
    """
    if family not in ("sources", "images"):
        raise ValueError(f"family is {family!r}; it must be sources or images")
    refs, ests = as_signals(references, device), as_signals(estimates, device)
    check_signals(refs, ests, taps)
    if family == "sources" and refs.shape[2] != 1:
        raise ValueError(f"scores of sources are of one channel, not {refs.shape[2]}; use family='images'")
    count = len(refs)
    heard, found = _audible(refs), _audible(ests)
    reasons = {int(k): "the reference is silent" for k in np.flatnonzero(~heard)}
    table = np.full((4, count, count), np.nan)
    if heard.any() and found.any():
        rows, columns = np.flatnonzero(heard), np.flatnonzero(found)
        part = _pairs(refs[rows], ests[columns], family, taps)
        table[np.ix_(range(4), rows, columns)] = part
    permutation = _assign(table[1]) if permute else np.arange(count)
    for k in np.flatnonzero(heard & ~found[permutation]):
        reasons[int(k)] = "the estimate is silent"
    chosen = table[:, np.arange(count), permutation]
    sdr, sir, sar, isr = chosen
    return BssScores(sdr, sir, sar, isr, permutation, reasons)


def as_signals(signals: np.ndarray | Tensor, device: str | torch.device = "cpu") -> Tensor:
    """Signals (K, T) or (K, T, C) as (K, T, C) float64."""
    # torch knows no negative strides, which a reversed array has.
    signals = np.ascontiguousarray(signals) if isinstance(signals, np.ndarray) else signals
    tensor = torch.as_tensor(signals).to(device, torch.float64)
    if tensor.ndim not in (2, 3):
        raise ValueError(f"signals are (sources, samples) or (sources, samples, channels), not {tuple(tensor.shape)}")
    return tensor if tensor.ndim == 3 else tensor[..., None]


def check_signals(references: Tensor, estimates: Tensor, taps: int) -> None:
    """Raise ValueError for what cannot be scored; see `bss_eval`."""
    if references.shape != estimates.shape:
        raise ValueError(f"references {tuple(references.shape)} and estimates {tuple(estimates.shape)} differ in shape")
    if len(references) == 0:
        raise ValueError("there are no sources")
    # A sum is finite where all that is summed is, which one pass over the memory says.
    if not (bool(torch.isfinite(references.sum())) and bool(torch.isfinite(estimates.sum()))):
        raise ValueError("signals have values that are not finite")
    if references.shape[1] < _MIN_LENGTHS * taps:
        raise ValueError(
            f"signals of {references.shape[1]} samples are too short for filters of {taps} taps: give at least "
            f"{_MIN_LENGTHS * taps} samples, or shorter filters"
        )
    for a in range(len(references)):
        for b in range(a):
            # The first samples that differ decide at once; only copies and silence are read to the end.
            same = torch.equal(references[a, :_PROBE], references[b, :_PROBE])
            if same and torch.equal(references[a], references[b]) and bool(references[a].any()):
                raise ValueError(f"references {b} and {a} are the same signal")


def decibels(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """10 log10 of a ratio of energies; inf where nothing is below the line."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(under > 0, 10 * np.log10(over / under), np.inf)


def _audible(signals: Tensor) -> np.ndarray:
    """Whether each signal has any sample that is not zero; the sum of channels of opposite phase would hide some."""
    return torch.stack([signal.any() for signal in signals]).cpu().numpy()


def _pairs(refs: Tensor, ests: Tensor, family: Family, taps: int) -> np.ndarray:
    """SDR, SIR, SAR, ISR (4, K, J) of every reference with every estimate."""
    projections = project(refs, ests, taps)
    energy = projections.energy.clamp(min=torch.finfo(torch.float64).tiny)
    target = projections.target
    interference = (projections.explained - target).clamp(min=0)
    artefacts = (projections.energy - projections.explained).clamp(min=0).expand_as(target)
    thin = (torch.minimum(interference, artefacts) < _CANCELS * energy) & (interference < target * 1e6)
    own = spatial = torch.zeros_like(target)
    if family == "images":
        own = torch.stack([ref.square().sum() for ref in refs])[:, None]
        product = refs.flatten(1) @ ests.flatten(1).T
        spatial = (target - 2 * product + own).clamp(min=0)
        thin |= spatial < _CANCELS * own
    for k, j in thin.nonzero().tolist():
        target[k, j], interference[k, j], exact, spatial[k, j] = _direct(refs, ests, projections, k, j)
        artefacts = artefacts.clone()
        artefacts[k, j] = exact
    numbers = [x.cpu().numpy() for x in (target, interference, artefacts, spatial)]
    target, interference, artefacts, spatial = numbers
    sir, sar = decibels(target, interference), decibels(target + interference, artefacts)
    if family == "sources":
        return np.stack([decibels(target, interference + artefacts), sir, sar, np.full_like(sir, np.nan)])
    true = own.cpu().numpy()
    error = torch.stack([(ests - ref).square().sum((1, 2)) for ref in refs]).cpu().numpy()
    return np.stack([decibels(true, error), sir, sar, decibels(true, spatial)])


def _direct(refs: Tensor, ests: Tensor, projections: Projections, k: int, j: int) -> tuple[Tensor, ...]:
    sources, samples, channels = refs.shape
    taps = projections.every.shape[-1]
    every = projections.every[j].reshape(channels, sources * channels, taps)
    own = torch.zeros_like(every).view(channels, sources, channels, taps)
    own[:, k] = projections.own[k, j]
    parts = filtered_energies(
        refs.transpose(1, 2).reshape(sources * channels, samples),
        ests[j].T,
        every,
        own.view(channels, sources * channels, taps),
        torch.arange(k * channels, (k + 1) * channels, device=refs.device),
    )
    return tuple(part.sum() for part in parts)


def _assign(sir: np.ndarray) -> np.ndarray:
    """The estimate of each reference so that the mean SIR is the highest; what is silent takes what is left."""
    finite = sir[np.isfinite(sir)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    # An infinite SIR is better than any finite one, one that is not defined worse; NaN must not reach the assignment.
    cost = np.nan_to_num(sir, nan=low - 1e3, posinf=high + 1e3, neginf=low - 1e3)
    return linear_sum_assignment(cost, maximize=True)[1].astype(np.int64)
