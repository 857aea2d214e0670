"""Vectors compared as they are: pairs of clips (verification), or lists of the nearest (retrieval)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.config.schema_probe import CosineSettings
from benchmark.metrics.folds import Split
from benchmark.metrics.registry import LISTS, PAIRS, score_lists
from benchmark.probes.back_ends import BackEnd, fit_back_ends
from benchmark.probes.control import shuffle
from benchmark.probes.run import FoldReport, ProbeResult

# Of more pairs so many are drawn: 11 million of VoxCeleb1's test part would say no more.
_MOST_PAIRS = 2_000_000
_LISTED = max(LISTS.values())


@dataclass(frozen=True)
class Compared:
    """The comparisons of the test part of a fold.

    Attributes:
        clip: (m,) int64, the first clip of each pair, or the clip that asks.
        other: (m,) the second clip of each pair, or (m, k) the nearest others.
        same: (m,) bool, of pairs; None for lists.
        score: (m,) float32, of pairs: a cosine, or a log likelihood ratio; None for lists.
    """

    clip: np.ndarray
    other: np.ndarray
    same: np.ndarray | None = None
    score: np.ndarray | None = None


def run_comparison(
    vectors: np.ndarray,
    labels: np.ndarray,
    splits: Sequence[Split],
    settings: CosineSettings,
    metrics: Sequence[str],
    trials: np.ndarray | None = None,
    *,
    seed: int = 0,
    shuffle_labels: bool = False,
    segments: int = 1,
) -> tuple[ProbeResult, list[Compared]]:
    """Compare the clips of each test part; the back-end is chosen on the validation part.

    Args:
        vectors: (n, F) clip vectors.
        labels: (n,) int identities or classes.
        splits: Folds over clips.
        settings: What may be chosen.
        metrics: Names of pairs, or of lists; the first is the primary one.
        trials: (t, 3) int64 same or not, and two clips; those in a test part are its pairs. All pairs by default.
        seed: Of the pairs that are drawn where there are too many.
        shuffle_labels: Run the control: clips change their labels.
        segments: Of pairs: above 1, every clip of a part is compared with every identity of it, which the mean of so
            many of its other clips stands for (Hu et al., IJCNN 2021).

    Raises:
        ValueError: No trial lies in a test part.
    """
    if shuffle_labels:
        labels = shuffle(labels, splits, None, seed).labels
    scores: dict[str, list[float]] = {name: [] for name in metrics}
    reports, found = [], []
    for fold, split in enumerate(splits):
        tried = [
            (_score(metrics[0], labels, compared), -place, how, back_end)
            for place, (how, back_end) in enumerate(
                fit_back_ends(vectors[split.train], labels[split.train], settings.back_end)
            )
            for compared in [_compare(metrics[0], back_end, vectors, labels, split.valid, None, seed, segments)]
        ]
        # Lower is better of pairs, higher of lists; of equals the first.
        sign = -1.0 if metrics[0] in PAIRS else 1.0
        value, _, how, back_end = max(tried, key=lambda t: (sign * t[0] if np.isfinite(t[0]) else -np.inf, t[1]))
        compared = _compare(metrics[0], back_end, vectors, labels, split.test, trials, seed, segments)
        if not len(compared.clip):
            raise ValueError(f"fold {fold}: no trial has both clips in the test part")
        for name in metrics:
            scores[name].append(_score(name, labels, compared))
        chosen = {"back_end": how, "valid": value if np.isfinite(value) else None}
        reports.append(FoldReport(len(split.train), len(split.valid), len(split.test), chosen))
        found.append(compared)
    return ProbeResult({"file": scores}, {}, reports, None), found


def _compare(
    metric: str,
    back_end: BackEnd,
    vectors: np.ndarray,
    labels: np.ndarray,
    part: np.ndarray,
    trials: np.ndarray | None,
    seed: int,
    segments: int,
) -> Compared:
    clips = back_end.represent(vectors[part])
    if metric in LISTS:
        return Compared(part, part[back_end.lists(clips, _LISTED)])
    if segments > 1:
        return _with_representatives(back_end, clips, labels, part, segments, seed)
    if trials is None:
        first, second = _pairs(len(part), seed)
    else:
        place = np.full(len(labels), -1, np.int64)
        place[part] = np.arange(len(part))
        first, second = place[trials[:, 1]], place[trials[:, 2]]
        here = (first >= 0) & (second >= 0)
        first, second = first[here], second[here]
    score = back_end.pairs(clips, first, second)
    return Compared(part[first], part[second], labels[part[first]] == labels[part[second]], score)


def _with_representatives(
    back_end: BackEnd, clips: np.ndarray, labels: np.ndarray, part: np.ndarray, segments: int, seed: int
) -> Compared:
    """Every clip with every identity; `other` is the first of the clips whose mean stands for it."""
    rng = np.random.default_rng([seed, 5, len(part)])
    own = labels[part]
    members = [np.flatnonzero(own == identity) for identity in np.unique(own)]
    found, scores = [], []
    for clip in range(len(part)):
        tried = [rng.permutation(identity[identity != clip])[:segments] for identity in members]
        stands = [others for others in tried if len(others)]
        if not stands:
            continue
        found += [(clip, others[0]) for others in stands]
        means = np.stack([clips[others].mean(axis=0) for others in stands])
        asked = np.broadcast_to(clips[clip], means.shape)
        scores.append(back_end.against(asked, means, np.array([len(others) for others in stands])))
    first, second = np.array(found, np.int64).reshape(-1, 2).T
    score = np.concatenate([np.zeros(0), *scores]).astype(np.float32)
    return Compared(part[first], part[second], own[first] == own[second], score)


def _pairs(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of n, or so many drawn at random."""
    if n * (n - 1) // 2 <= _MOST_PAIRS:
        return np.triu_indices(n, 1)
    rng = np.random.default_rng([seed, n])
    first, second = rng.integers(0, n, (2, _MOST_PAIRS))
    other = first != second
    return first[other], second[other]


def _score(metric: str, labels: np.ndarray, compared: Compared) -> float:
    if metric in PAIRS:
        return PAIRS[metric][0](compared.same, compared.score)
    return score_lists(metric, labels, compared.clip, compared.other)
