"""BSS Eval v4 (Liutkus, Stöter & Ito, LVA/ICA 2018): framewise scores of images with one distortion filter a song.

The reference of record is museval 0.4.1 with `mode="v4"`. The SDR of a window is exactly its signal-to-noise ratio; the
filters divide the rest between interference and artefacts.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from benchmark.metrics.separation.bss_eval import as_signals, check_signals, decibels
from benchmark.metrics.separation.projection import Projections, project

# Samples of spectra that are held at once, over channels: 64 MiB.
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class FramewiseScores:
    """Scores in dB of W windows, by reference.

    Attributes:
        sdr, isr, sir, sar: (K, W) float64; NaN in windows in which a reference or an estimate is silent.
        silent: (W,) bool, those windows.
        reasons: number of a reference -> why all its scores are NaN.
    """

    sdr: np.ndarray
    isr: np.ndarray
    sir: np.ndarray
    sar: np.ndarray
    silent: np.ndarray
    reasons: dict[int, str] = field(default_factory=dict)

    def medians(self) -> dict[str, np.ndarray]:
        """Median over the windows that are not silent, by name, each (K,): the aggregation of SiSEC. NaN without any."""
        return {name: _median(getattr(self, name)) for name in ("sdr", "isr", "sir", "sar")}


def bss_eval_framewise(
    references: np.ndarray | Tensor,
    estimates: np.ndarray | Tensor,
    window: int = 44100,
    hop: int | None = None,
    *,
    taps: int = 512,
    museval_compat: bool = False,
    device: str | torch.device = "cpu",
) -> FramewiseScores:
    """Score windows of a song. The order of the estimates is that of the references.

    Args:
        references: (K, T) or (K, T, C).
        estimates: of the same shape.
        window: samples of a window; one that does not fit any more is left out. A song shorter than one is one.
        hop: samples from window to window; `window` by default.
        taps: L, length of the distortion filters.
        museval_compat: call a window silent where its channels add up to zero everywhere, as museval does, so that
            channels of opposite phase are silence too; by default only zeros are.
        device: where torch computes, in float64.

    Raises:
        ValueError: see `bss_eval`.
    """
    refs, ests = as_signals(references, device), as_signals(estimates, device)
    check_signals(refs, ests, taps)
    sources, samples, channels = refs.shape
    window = min(window, samples)
    hop = hop or window
    starts = range(0, (samples - window) // hop * hop + 1, hop)
    silent = np.array([_is_silent(refs, ests, start, window, museval_compat) for start in starts])
    heard = torch.stack([ref.any() for ref in refs]).cpu().numpy()
    reasons = {int(k): "the reference is silent" for k in np.flatnonzero(~heard)}
    scores = np.full((4, sources, len(starts)), np.nan)
    if heard.all() and not silent.all():
        projections = project(refs, ests, taps)
        spectra = _Filters(projections, next_fast_len(window + taps - 1, real=True))
        size = max(1, _AT_ONCE // (spectra.transform * sources * channels * sources))
        wanted = [i for i in range(len(starts)) if not silent[i]]
        for first in range(0, len(wanted), size):
            part = wanted[first : first + size]
            pieces = [torch.stack([x[:, starts[i] : starts[i] + window] for i in part]) for x in (refs, ests)]
            scores[:, :, part] = _score(*pieces, spectra)
    sdr, isr, sir, sar = scores
    return FramewiseScores(sdr, isr, sir, sar, silent, reasons)


class _Filters:
    """Spectra of the filters: `every` (J, C, K C, F), `own` (K, C, C, F) of each estimate on its own reference."""

    def __init__(self, projections: Projections, transform: int):
        self.transform = transform
        sources, channels = projections.every.shape[:2]
        taps = projections.every.shape[-1]
        every = projections.every.reshape(sources, channels, sources * channels, taps)
        own = torch.stack([projections.own[k, k] for k in range(sources)])
        self.every, self.own = torch.fft.rfft(every, n=transform), torch.fft.rfft(own, n=transform)
        # Parseval: every bin but the first and the last stands for two.
        weights = torch.full((transform // 2 + 1,), 2.0 / transform, dtype=torch.float64, device=every.device)
        weights[0] = 1.0 / transform
        if transform % 2 == 0:
            weights[-1] = 1.0 / transform
        self.weights = weights

    def energy(self, spectra: Tensor) -> np.ndarray:
        """Energy (K, W) of signals whose spectra are (W, K, C, F)."""
        power = torch.view_as_real(spectra).square().sum(-1) @ self.weights
        return power.sum(-1).T.cpu().numpy()


def _score(refs: Tensor, ests: Tensor, filters: _Filters) -> np.ndarray:
    """SDR, ISR, SIR, SAR (4, K, W) of windows (W, K, N, C), from spectra: nothing is transformed back."""
    true = torch.fft.rfft(refs.transpose(2, 3), n=filters.transform)
    found = torch.fft.rfft(ests.transpose(2, 3), n=filters.transform)
    windows, sources, channels, bins = true.shape
    flat = true.reshape(windows, sources * channels, bins)
    whole = torch.zeros_like(found)
    target = torch.zeros_like(found)
    for r in range(sources * channels):
        whole += flat[:, None, None, r] * filters.every[None, :, :, r]
    for c in range(channels):
        target += true[:, :, None, c] * filters.own[None, :, :, c]
    energy = filters.energy
    signal = energy(true)
    return np.stack(
        [
            decibels(signal, energy(found - true)),
            decibels(signal, energy(target - true)),
            decibels(energy(target), energy(whole - target)),
            decibels(energy(whole), energy(found - whole)),
        ]
    )


def _is_silent(refs: Tensor, ests: Tensor, start: int, window: int, museval_compat: bool) -> bool:
    pieces = [piece for x in (refs, ests) for piece in x[:, start : start + window]]
    return not all(bool((piece.sum(-1) if museval_compat else piece).any()) for piece in pieces)


def _median(scores: np.ndarray) -> np.ndarray:
    """Median over windows; museval takes an infinite score for none, and so does this."""
    medians = np.full(len(scores), np.nan)
    for k, row in enumerate(scores):
        finite = row[np.isfinite(row)]
        if len(finite):
            medians[k] = np.median(finite)
    return medians
