"""Scores of events in time, by the conventions of sed_eval (Mesaros, Heittola & Virtanen, Applied Sciences 6:162, 2016).

Events are (m, 3) float64: start and end in seconds, and class. Every metric is a function of counts that are summed over
clips: true positives, answers, references and the like.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching


@dataclass(frozen=True)
class EventClip:
    """A clip that was answered.

    Attributes:
        reference, answers: (m, 3) events.
        seconds: length of the clip.
        frame_truth, frame_answers: (n, C) bool, what is on at each frame of the embedding.
    """

    reference: np.ndarray
    answers: np.ndarray
    seconds: float
    frame_truth: np.ndarray
    frame_answers: np.ndarray


@dataclass(frozen=True)
class EventMetric:
    """A score of events.

    Attributes:
        counts: maps a clip to counts (Q,) float64.
        score: maps sums of counts (..., Q) to scores (...), NaN where they say nothing.
        higher_is_better: which way is better.
    """

    counts: Callable[[EventClip], np.ndarray]
    score: Callable[[np.ndarray], np.ndarray]
    higher_is_better: bool = True

    def function(self, clips: list[EventClip]) -> float:
        """The score of some clips together."""
        return float(self.score(np.sum([self.counts(clip) for clip in clips], axis=0)))


def matched(reference: np.ndarray, answers: np.ndarray, collar_s: float, offsets: bool = False) -> int:
    """The most pairs of a reference and an answer of its class whose onsets are at most `collar_s` apart.

    Args:
        offsets: whether the ends must lie together too, within the collar or half the length of the reference.
    """
    if not len(reference) or not len(answers):
        return 0
    hits = reference[:, None, 2] == answers[:, 2]
    hits &= np.abs(reference[:, None, 0] - answers[:, 0]) <= collar_s
    if offsets:
        within = np.maximum(collar_s, 0.5 * (reference[:, 1] - reference[:, 0]))
        hits &= np.abs(reference[:, None, 1] - answers[:, 1]) <= within[:, None]
    return int((maximum_bipartite_matching(csr_array(hits)) >= 0).sum())


def active(events: np.ndarray, resolution_s: float, segments: int, n_classes: int) -> np.ndarray:
    """(segments, C) bool: is a class on anywhere in a segment of `resolution_s` seconds?"""
    roll = np.zeros((segments, n_classes), dtype=bool)
    for start, end, c in events:
        roll[math.floor(start / resolution_s) : math.ceil(end / resolution_s), int(c)] = True
    return roll


def _onsets(collar_s: float, offsets: bool = False) -> EventMetric:
    def counts(clip: EventClip) -> np.ndarray:
        hits = matched(clip.reference, clip.answers, collar_s, offsets)
        return np.array([hits, len(clip.answers), len(clip.reference)], np.float64)

    return EventMetric(counts, _f_measure)


def _frames(clip: EventClip) -> np.ndarray:
    both = clip.frame_truth & clip.frame_answers
    return np.array([both.sum(), clip.frame_answers.sum(), clip.frame_truth.sum()], np.float64)


def segment_counts(reference: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Right, answered, and true activities, substitutions, deletions, insertions, all labels and those right.

    Args:
        reference, answers: (n, C) bool of segments.
    """
    right = (reference & answers).sum(1)
    wanted, given = reference.sum(1), answers.sum(1)
    swapped = np.minimum(wanted, given) - right
    missed, added = np.maximum(wanted - given, 0), np.maximum(given - wanted, 0)
    counts = [right, given, wanted, swapped, missed, added]
    return np.array([*(count.sum() for count in counts), reference.size, (reference == answers).sum()], np.float64)


def _segments(resolution_s: float, score: Callable[[np.ndarray], np.ndarray], higher: bool = True) -> EventMetric:
    def counts(clip: EventClip) -> np.ndarray:
        ends = [clip.seconds, *clip.reference[:, 1], *clip.answers[:, 1]]
        segments = math.ceil(max(ends) / resolution_s)
        classes = clip.frame_truth.shape[1]
        return segment_counts(
            active(clip.reference, resolution_s, segments, classes),
            active(clip.answers, resolution_s, segments, classes),
        )

    return EventMetric(counts, score, higher)


def _f_measure(sums: np.ndarray) -> np.ndarray:
    """Twice what is right over answers and references; 0 where one of them is missing, NaN where both are."""
    return _ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def _error_rate(sums: np.ndarray) -> np.ndarray:
    """Substitutions, deletions and insertions over references: may exceed 1, and is 1 where nothing is answered."""
    return _ratio(sums[..., 3] + sums[..., 4] + sums[..., 5], sums[..., 2])


def _accuracy(sums: np.ndarray) -> np.ndarray:
    return _ratio(sums[..., 7], sums[..., 6])


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    top, bottom = np.asarray(top, np.float64), np.asarray(bottom, np.float64)
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


METRICS: dict[str, EventMetric] = {
    "onset_f_200ms": _onsets(0.2),
    "onset_f_50ms": _onsets(0.05),
    "onset_f_500ms": _onsets(0.5),
    "onset_f_1s": _onsets(1.0),
    "onset_offset_f_200ms": _onsets(0.2, offsets=True),
    "onset_offset_f_500ms": _onsets(0.5, offsets=True),
    "onset_offset_f_1s": _onsets(1.0, offsets=True),
    "frame_f1": EventMetric(_frames, _f_measure),
    "segment_f1_1s": _segments(1.0, _f_measure),
    "segment_f1_100ms": _segments(0.1, _f_measure),
    "segment_f1_10ms": _segments(0.01, _f_measure),
    "segment_error_rate_1s": _segments(1.0, _error_rate, False),
    "segment_error_rate_100ms": _segments(0.1, _error_rate, False),
    "segment_accuracy_10ms": _segments(0.01, _accuracy),
}
