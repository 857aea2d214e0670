"""From posteriors of frames to events in time: thresholds and median filters, or the best path of two states a class."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from benchmark.config.schema_task import SmoothingConfig

# Posteriors of 0 and 1 are as sure as this, or no cost of a change would be large enough.
_SUREST = 1e-6


@dataclass(frozen=True)
class Smoothing:
    """One way to make events of posteriors.

    Attributes:
        threshold: A class is on where its posterior is above; None: the best path decides.
        median_s: Width of the median filter over what is on, in seconds.
        viterbi: Cost of a change between on and off, in nats.
        shortest_s: Shorter events are dropped.
    """

    threshold: float | None = None
    median_s: float = 0.0
    viterbi: float = 0.0
    shortest_s: float = 0.0

    def chosen(self) -> dict[str, float]:
        """What the record says."""
        of = (
            {"viterbi": self.viterbi}
            if self.threshold is None
            else {"threshold": self.threshold, "median_s": self.median_s}
        )
        return {**of, "shortest_s": self.shortest_s}

    def decide(self, posterior: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Decide what is on at each frame.

        Args:
            posterior: (n, C).
            times: (n,) centres of the frames in seconds.

        Returns:
            (n, C) bool.
        """
        return self.without_short(self.drawn(posterior, times), times)

    def drawn(self, posterior: np.ndarray, times: np.ndarray) -> np.ndarray:
        """What is on, short events included."""
        if self.threshold is None:
            return best_path(posterior, self.viterbi)
        on = posterior > self.threshold
        hop_s = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
        # Odd; rounding of times must not decide.
        width = 2 * int(self.median_s / hop_s / 2 + 1e-6) + 1
        return on if width == 1 else median_filter(on.astype(np.uint8), size=(width, 1), mode="nearest") > 0

    def without_short(self, on: np.ndarray, times: np.ndarray) -> np.ndarray:
        """What is on, without events that are too short."""
        on, edges = on.copy(), frame_edges(times)
        for c in range(on.shape[1]):
            for first, last in _runs(on[:, c]):
                # Rounding of times must not decide.
                if edges[last] - edges[first] < self.shortest_s - 1e-9:
                    on[first:last, c] = False
        return on


def candidates(config: SmoothingConfig) -> list[Smoothing]:
    """All combinations that a task allows, those that do least first."""
    plain = itertools.product(sorted(config.median_s), _from_the_middle(config.threshold), sorted(config.shortest_s))
    paths = itertools.product(sorted(config.viterbi), sorted(config.shortest_s))
    return [
        *(Smoothing(threshold, median_s=median, shortest_s=shortest) for median, threshold, shortest in plain),
        *(Smoothing(viterbi=cost, shortest_s=shortest) for cost, shortest in paths),
    ]


def _from_the_middle(thresholds: list[float]) -> list[float]:
    return sorted(thresholds, key=lambda threshold: (abs(threshold - 0.5), threshold))


def best_path(posterior: np.ndarray, cost: float) -> np.ndarray:
    """Viterbi's path of each class: on and off, equally probable beforehand, each change at a cost.

    Args:
        posterior: (n, C).
        cost: Of a change, in nats.

    Returns:
        (n, C) bool.
    """
    sure = np.clip(posterior.astype(np.float64), _SUREST, 1 - _SUREST)
    gain = np.log(sure) - np.log1p(-sure)
    # How much better it is to be on than off in the end; a change costs, so the gap is never wider than the cost.
    gap = np.zeros(gain.shape[1])
    came_on, came_off = np.zeros((2, *gain.shape), dtype=bool)
    for t, step in enumerate(gain):
        came_on[t], came_off[t] = gap < -cost, gap > cost
        gap = np.clip(gap, -cost, cost) + step
    on = np.empty(gain.shape, dtype=bool)
    state = gap > 0
    for t in range(len(gain) - 1, -1, -1):
        on[t] = state
        # On now: it was off before where coming on was worth its cost; off now: on before where leaving was.
        state = np.where(state, ~came_on[t], came_off[t])
    return on


def frame_edges(times: np.ndarray) -> np.ndarray:
    """Borders (n + 1,) of frames in seconds: half way between centres, and as far outside of the first and the last."""
    if len(times) == 1:
        return np.array([0.0, 2 * times[0]])
    middle = (times[1:] + times[:-1]) / 2
    return np.concatenate([[max(0.0, 2 * times[0] - middle[0])], middle, [2 * times[-1] - middle[-1]]])


def to_events(on: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Events (m, 3) of frames (n, C) bool at times (n,): start and end in seconds, and class; sorted."""
    edges = frame_edges(times)
    found = [(edges[first], edges[last], c) for c in range(on.shape[1]) for first, last in _runs(on[:, c])]
    return np.array(sorted(found), dtype=np.float64).reshape(-1, 3)


def frame_labels(events: np.ndarray, times: np.ndarray, n_classes: int) -> np.ndarray:
    """What is on at the centre of each frame: (n, C) int64 of 0 and 1."""
    labels = np.zeros((len(times), n_classes), dtype=np.int64)
    for start, end, c in events:
        labels[(times >= start) & (times < end), int(c)] = 1
    return labels


def _runs(on: np.ndarray) -> Iterator[tuple[int, int]]:
    """First frame, and the one after the last, of each stretch that is on."""
    steps = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(np.int8), [0]])))
    return zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True)
