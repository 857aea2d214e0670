"""Medians of things that are timed in turns, so that a change of the machine's load meets all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping

# One side of a comparison: does its work once and gives the seconds that it took.
Timed = Callable[[], float]


def timed(work: Callable[[], object]) -> Timed:
    """`work` as something that tells how long it took."""

    def run() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return run


def in_turns(sides: Mapping[str, Timed], rounds: int, warm_up: int = 1) -> dict[str, float]:
    """Median seconds of each side over `rounds`; in every round each side runs once, after `warm_up` rounds unheard."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(warm_up + rounds):
        for name, side in sides.items():
            taken = side()
            if turn >= warm_up:
                seconds[name].append(taken)
    return {name: statistics.median(values) for name, values in seconds.items()}
