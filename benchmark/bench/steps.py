"""How fast a separator learns, beside asteroid's recipe of the same network."""

from pathlib import Path
from typing import Any

from benchmark.bench import steps_side
from benchmark.bench.report import BenchReport
from benchmark.bench.sides import run_side
from benchmark.bench.timing import Clock, in_turns
from benchmark.errors import UserError

_RATE = 8000
_REMEDY = "give the path of a Python that has asteroid (pip install asteroid)"


def run(
    *, batch: int = 2, seconds: float = 3.0, steps: int = 5, threads: int = 2, rounds: int = 3, clock: Clock = "wall",
    peers: Path | None = None,
) -> BenchReport:  # fmt: skip
    """Steps of Conv-TasNet at the paper's size, each side in a process of its own.

    Args:
        batch: mixtures of two speakers a step.
        seconds: of each, at 8 kHz.
        steps: that are timed, after one that is not.
        threads: of each side.
        rounds: how often each side is timed.
        clock: `wall` or `cpu` seconds.
        peers: interpreter of an environment that has asteroid; without it we are alone.

    Raises:
        UserError: a side does not run, or the clock is unknown.
    """
    if clock not in ("wall", "cpu"):
        raise UserError(f"--clock {clock}: use wall or cpu")
    results: dict[str, dict[str, Any]] = {}

    def side(name: str):
        def timed() -> dict[str, float]:
            python = None if name == "ours" else peers
            results[name] = run_side(steps_side, name, [batch, round(seconds * _RATE), steps, threads], python, _REMEDY)
            return {"wall": results[name]["wall"], "cpu": results[name]["cpu"]}

        return timed

    names = ["asteroid", "ours"] if peers else ["ours"]
    medians = in_turns({name: side(name) for name in names}, rounds, clock, warm_up=0)
    rows = [
        {
            "side": name,
            "parameters": results[name]["parameters"],
            "steps a second": steps / medians[name],
            "audio-s a second": steps * batch * seconds / medians[name],
            "ratio": medians[name] / medians["ours"],
        }
        for name in reversed(names)
    ]
    notes = [
        f"Conv-TasNet, {batch} mixtures x {seconds:g} s at 8 kHz a step, {threads} threads, {clock} seconds, a process a run; "
        f"medians of {rounds} rounds of {steps} steps, in which the sides take turns; mixtures are ready.",
        "ratio: seconds of the side over seconds of ours.",
    ]
    return BenchReport("Training steps of a separator", rows, notes)
