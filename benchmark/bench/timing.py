"""Medians of things that are timed in turns, so that a change of the machine's load meets all of them alike."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Literal

Clock = Literal["wall", "cpu"]
# One side of a comparison: does its work once and gives the seconds that it took, by clock.
Timed = Callable[[], Mapping[str, float]]


def timed(work: Callable[[], object]) -> Timed:
    """`work` as something that tells how long it took: `wall` seconds, and `cpu` seconds of all threads of this process."""

    def run() -> dict[str, float]:
        wall, cpu = time.perf_counter(), _cpu()
        work()
        return {"wall": time.perf_counter() - wall, "cpu": _cpu() - cpu}

    return run


def in_turns(sides: Mapping[str, Timed], rounds: int, clock: Clock = "wall", warm_up: int = 1) -> dict[str, float]:
    """Median seconds of each side over `rounds`; in every round each side runs once, after `warm_up` rounds unheard."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(warm_up + rounds):
        for name, side in sides.items():
            taken = side()[clock]
            if turn >= warm_up:
                seconds[name].append(taken)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _cpu() -> float:
    times = os.times()
    return times.user + times.system
