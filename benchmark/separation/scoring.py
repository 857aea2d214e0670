"""Scores of one separated track, by metric and source."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmark.metrics.separation.bss_eval import bss_eval
from benchmark.metrics.separation.museval_v4 import bss_eval_framewise
from benchmark.metrics.separation.perceptual import pesq_score, stoi_score
from benchmark.metrics.separation.permutations import best_permutation, pairwise
from benchmark.metrics.separation.ratios import si_sdr

# metric -> (what is computed, whether the mixture's own score is taken off)
_KINDS = {
    "si_sdr": ("si_sdr", False),
    "si_sdr_improvement": ("si_sdr", True),
    "bss_v3_sdr": ("v3_sdr", False),
    "bss_v3_sir": ("v3_sir", False),
    "bss_v3_sar": ("v3_sar", False),
    "bss_v3_sdr_improvement": ("v3_sdr", True),
    # The singing literature's name of the same difference, of a song.
    "bss_v3_nsdr": ("v3_sdr", True),
    "bss_v4_sdr": ("v4_sdr", False),
    "bss_v4_isr": ("v4_isr", False),
    "bss_v4_sir": ("v4_sir", False),
    "bss_v4_sar": ("v4_sar", False),
    "pesq_wb": ("pesq_wb", False),
    "stoi": ("stoi", False),
}


@dataclass(frozen=True)
class TrackScores:
    """Scores of a track.

    Attributes:
        scores: metric -> score of each source, NaN where it is not defined.
        windows, silent_windows: of BSS Eval v4, and those among them that have no score since a source or an estimate
            is silent; 0 without such a metric.
    """

    scores: dict[str, list[float]]
    windows: int = 0
    silent_windows: int = 0


def score_track(
    stems: np.ndarray, estimates: np.ndarray, mixture: np.ndarray, sample_rate: int, metrics: Sequence[str],
    fixed_order: bool,
) -> TrackScores:  # fmt: skip
    """Score estimates (K, C, T) of stems (K, C, T) from a mixture (C, T).

    Without a fixed order the estimates are first put in the one with the highest mean SI-SDR. What is not defined (a
    silent stem, a signal shorter than the metric takes) is NaN.
    """
    if not fixed_order:
        estimates = estimates[_order(stems, estimates)]
    whole = np.broadcast_to(mixture, stems.shape)
    done: dict[tuple[str, bool], np.ndarray] = {}

    def value(kind: str, is_mixture: bool) -> np.ndarray:
        if (kind, is_mixture) not in done:
            for name, found in _compute(kind, stems, whole if is_mixture else estimates, sample_rate).items():
                done[name, is_mixture] = found
        return done[kind, is_mixture]

    scores = {}
    for metric in metrics:
        kind, is_relative = _KINDS[metric]
        found = value(kind, False)
        scores[metric] = (found - value(kind, True) if is_relative else found).tolist()
    silent = done.get(("v4_silent", False), np.zeros(0, dtype=bool))
    return TrackScores(scores, len(silent), int(silent.sum()))


def _order(stems: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    found, true = (torch.from_numpy(x.mean(axis=1).astype(np.float64))[None] for x in (estimates, stems))
    return best_permutation(pairwise(si_sdr, found, true))[0].numpy()


def _compute(kind: str, stems: np.ndarray, estimates: np.ndarray, sample_rate: int) -> dict[str, np.ndarray]:
    """A kind of score (K,), and those that come with it."""
    count = len(stems)
    nothing = np.full(count, np.nan)
    if kind == "si_sdr":
        flat = [
            torch.from_numpy(np.ascontiguousarray(x).reshape(count, -1).astype(np.float64)) for x in (estimates, stems)
        ]
        return {kind: si_sdr(*flat).numpy()}
    if kind.startswith("v3"):
        names = ("sdr", "sir", "sar")
        try:
            found = bss_eval(stems.mean(axis=1), estimates.mean(axis=1), permute=False)
        except ValueError:
            return {f"v3_{name}": nothing for name in names}
        return {f"v3_{name}": getattr(found, name) for name in names}
    if kind.startswith("v4"):
        names = ("sdr", "isr", "sir", "sar")
        try:
            pair = (np.moveaxis(x, 1, 2) for x in (stems, estimates))
            found = bss_eval_framewise(*pair, window=sample_rate)
        except ValueError:
            return {f"v4_{name}": nothing for name in names}
        medians = found.medians()
        return {f"v4_{name}": medians[name] for name in names} | {"v4_silent": found.silent}
    score = _pesq if kind == "pesq_wb" else stoi_score
    pairs = zip(stems.mean(axis=1), estimates.mean(axis=1), strict=True)
    return {kind: np.array([score(stem, estimate, sample_rate).value for stem, estimate in pairs])}


def _pesq(stem: np.ndarray, estimate: np.ndarray, sample_rate: int):
    """PESQ wide-band, at 16 kHz as it is defined."""
    import soxr

    if sample_rate != 16000:
        stem, estimate = (soxr.resample(x, sample_rate, 16000, quality="HQ") for x in (stem, estimate))
    return pesq_score(stem, estimate, 16000)
