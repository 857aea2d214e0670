"""How fast separated sources are scored, beside mir_eval, museval and fast_bss_eval, with equal scores."""

import tempfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import lfilter

from benchmark.bench import separation_side
from benchmark.bench.report import BenchReport
from benchmark.bench.sides import run_side
from benchmark.bench.timing import in_turns
from benchmark.errors import UserError

_REMEDY = "give the path of a Python that has museval and fast-bss-eval (pip install museval fast-bss-eval)"

# Side -> the sides of ours that give the same scores; the first is the one that ratios are of.
_PEERS = {
    "mir_eval": "ours",
    "museval, sources": "ours",
    "mir_eval, permutations": "ours, permutations",
    "fast_bss_eval, permutations": "ours, permutations",
    "museval, v4": "ours, v4",
}


def run(
    *, sources: int = 4, seconds: float = 60.0, threads: int = 2, rounds: int = 3, peers: Path | None = None,
    permutations: bool = False, only: Sequence[str] = (),
) -> BenchReport:  # fmt: skip
    """Score the same estimates with every implementation, each in a process of its own.

    Args:
        sources: K.
        seconds: of audio at 44.1 kHz.
        threads: of each side.
        rounds: how often each side is timed.
        peers: interpreter of an environment that has museval and fast_bss_eval; without it mir_eval alone is beside us.
        permutations: also time mir_eval's search over all orders, which takes minutes.
        only: globs of the sides that are timed, beside ours; all of them by default.

    Raises:
        UserError: a side does not run, or there is none of that name.
    """
    sides = ["ours", "ours, permutations", "ours, v4", "mir_eval"]
    sides += ["mir_eval, permutations"] if permutations else []
    sides += ["museval, sources", "museval, v4", "fast_bss_eval, permutations"] if peers else []
    unknown = [glob for glob in only if not any(fnmatch(name, glob) for name in sides)]
    if unknown:
        raise UserError(f"--only {unknown[0]}: no such side here; sides are {', '.join(sides)}")
    if only:
        chosen = {name for name in sides if any(fnmatch(name, glob) for glob in only)}
        sides = [name for name in sides if name in chosen | {_PEERS.get(peer) for peer in chosen}]
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="leveret-bench-") as folder:
        path = Path(folder) / "signals.npz"
        references, estimates = signals(sources, round(seconds * 44100))
        np.savez(path, references=references, estimates=estimates)

        def side(name: str):
            def timed() -> dict[str, float]:
                python = None if name.startswith(("ours", "mir_eval")) else peers
                results[name] = run_side(separation_side, name, [path, threads], python, _REMEDY)
                return {"wall": results[name]["seconds"]}

            return timed

        medians = in_turns({name: side(name) for name in sides}, rounds, warm_up=0)
    rows = [_row(name, medians, results) for name in sides]
    notes = [
        f"{sources} coloured sources x {seconds:g} s at 44.1 kHz, mono, {threads} threads, a process a run; medians of {rounds} "
        "rounds, in which all sides take turns; imports and reading are not timed; fast_bss_eval has one thread, as more hang.",
        "ratio: seconds of the side over seconds of ours of the same kind; difference: the largest of any SDR, SIR or SAR in dB.",
    ]
    return BenchReport("Scores of separated sources", rows, notes)


def signals(sources: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Coloured noises (K, T) and estimates with interference, a filter and artefacts, by a fixed seed."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(sources, samples))
    references = np.stack([lfilter([1.0], [1.0, -0.9 + 0.1 * k], row) for k, row in enumerate(noise)])
    references /= references.std(axis=1, keepdims=True)
    leak = references.sum(axis=0) - references
    estimates = 0.9 * references + 0.1 * leak + 0.05 * np.roll(references, 3, axis=1)
    return references, estimates + 0.05 * rng.normal(size=references.shape)


def _row(name: str, medians: Mapping[str, float], results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"side": name, "seconds": medians[name], "peak memory (MiB)": results[name]["peak_mib"]}
    ours = _PEERS.get(name)
    if ours is not None:
        row["ratio"] = medians[name] / medians[ours]
        row["difference (dB)"] = max(
            float(np.nanmax(np.abs(np.subtract(results[name]["scores"][key], results[ours]["scores"][key]))))
            for key in ("sdr", "sir", "sar")
        )
    return row
