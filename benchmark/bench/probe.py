"""How fast embeddings are probed, beside scikit-learn's grid search, hear-eval-kit and X-ARES: same table, same folds."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmark.bench import probe_side
from benchmark.bench.report import BenchReport
from benchmark.bench.sides import run_side
from benchmark.bench.timing import Clock
from benchmark.errors import UserError

_FRAME_DIM = 768
_REMEDY = "docs/protocols.md says how the environments are made"


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        side: which side of `probe_side` it is.
        threads: its threads; 0: as it comes, -1: as many as cores.
        repeat: how often it runs; the first of several is not counted.
        beside: rows of ours that it is compared with.
        table: `rows`; `many` of them; or `frames` of clips in a mapped file, which is measured when it is named alone.
    """

    side: str
    threads: int = -1
    repeat: int = 1
    beside: tuple[str, ...] = ()
    table: Literal["rows", "many", "frames"] = "rows"


# The engine gives each run one thread; a single run may have all.
_OURS = ("ours, logistic", "ours, logistic, 1 thread")
_ROWS: dict[str, Row] = {
    "ours, logistic": Row("ours, logistic", repeat=6),
    "ours, logistic, 1 thread": Row("ours, logistic", 1, 6),
    "ours, ridge": Row("ours, ridge", repeat=4),
    "ours, kNN": Row("ours, kNN", repeat=4),
    "ours, MLP grid": Row("ours, MLP grid", repeat=2),
    "ours, HEAR's protocol": Row("ours, hear"),
    "ours, X-ARES's protocol": Row("ours, xares", repeat=2),
    "scikit-learn, logistic, 1 thread": Row("scikit-learn, logistic", 1, 3, _OURS),
    "scikit-learn, logistic, a job a core": Row("scikit-learn, logistic, jobs", 1, 3, _OURS),
    "scikit-learn, logistic, as it comes": Row("scikit-learn, logistic", 0, 1, _OURS),
    "scikit-learn, MLP grid, 1 thread": Row("scikit-learn, MLP grid", 1, 1, ("ours, MLP grid", "ours, logistic")),
    "scikit-learn, MLP grid, as it comes": Row("scikit-learn, MLP grid", 0, 1, ("ours, MLP grid", "ours, logistic")),
    "hear-eval-kit, 1 thread": Row("hear-eval-kit", 1, 1, ("ours, HEAR's protocol", "ours, logistic")),
    "hear-eval-kit, as it comes": Row("hear-eval-kit", 0, 1, ("ours, HEAR's protocol", "ours, logistic")),
    "X-ARES, linear, as it comes": Row("X-ARES", 0, 1, ("ours, X-ARES's protocol", "ours, logistic")),
    "many rows: ours, logistic": Row("ours, logistic", repeat=2, table="many"),
    "many rows: scikit-learn, logistic, 1 thread": Row(
        "scikit-learn, logistic", 1, 1, ("many rows: ours, logistic",), "many"
    ),
    "many rows: scikit-learn, logistic, a job a core": Row(
        "scikit-learn, logistic, jobs", 1, 1, ("many rows: ours, logistic",), "many"
    ),
    "mapped frames: ours, logistic": Row("ours, frames", table="frames"),
}
# Side -> its environment.
_PEERS = {"hear-eval-kit": "heareval", "X-ARES": "xares"}


def run(
    *, rows: int = 2000, many: int = 50_000, frames: int = 1_000_000, dim: int = 512, classes: int = 10, folds: int = 5,
    only: Sequence[str] = (), peers: Path | None = None, source: Path | None = None, clock: Clock = "wall",
) -> BenchReport:  # fmt: skip
    """Probe one table with every side, each in a process of its own, one after another.

    Args:
        rows, dim, classes: of a table that is made for it.
        many: rows of a larger table.
        frames: of 768 features, a hundred a clip, in a mapped file.
        folds: K; the test part is fold i, the validation part fold i + 1, the training part the rest.
        only: globs of rows.
        peers: folder of environments `heareval` and `xares` (docs/protocols.md says how they are made); without it they
            are left out.
        clock: of the ratios; `cpu` counts the seconds of all threads and is less disturbed by other work on the machine
            (jobs in processes of their own are not counted).
        source: an .npz with `features` (n, F) and `labels` (n,) in place of the made table.

    Raises:
        UserError: a side does not run, or nothing is selected.
    """
    if clock not in ("wall", "cpu"):
        raise UserError(f"--clock {clock}: unknown; use wall or cpu")
    wanted = [name for name in _ROWS if not only or any(fnmatch(name, glob) for glob in only)]
    wanted = [name for name in wanted if _ROWS[name].side not in _PEERS or peers is not None]
    wanted = [name for name in wanted if _ROWS[name].table == "rows" or not source]
    wanted = [name for name in wanted if _ROWS[name].table != "frames" or only]
    if not wanted:
        raise UserError(f"--only {' '.join(only)}: no such row; rows are {', '.join(_ROWS)}")
    results: dict[str, dict[str, Any]] = {}
    said: list[str] = []
    with tempfile.TemporaryDirectory(prefix="leveret-bench-") as folder:
        tables: dict[str, Path] = {}
        for name in wanted:
            row = _ROWS[name]
            if row.table not in tables:
                tables[row.table] = path = Path(folder) / f"{row.table}.npz"
                if row.table == "frames":
                    shape = write_frames(path, frames, classes, folds)
                else:
                    features, labels = (
                        _read(source) if source else table(many if row.table == "many" else rows, dim, classes)
                    )
                    shape = features.shape
                    np.savez(path, features=features, labels=labels, fold=fold_of(labels, folds))
                said.append(f"{shape[0]:,} x {shape[1]}" + ("" if row.table == "rows" else f" ({row.table})"))
            threads = row.threads if row.threads >= 0 else _cores()
            results[name] = run_side(
                probe_side, row.side, [tables[row.table], threads, row.repeat], _python(row.side, peers), _REMEDY
            )
    notes = [
        f"Rows x features: {', '.join(said)}; {folds} folds: test on one, choose on "
        "the next, train on the rest; hyper-parameters are chosen in every fold on its validation part (HEAR: once, on the first).",
        "Seconds of one process at a time, without imports; medians where a side takes less than seconds. As it comes: no "
        "number of threads is set.",
        "Peak: resident memory of the side's process at its largest.",
        f"ratio: {clock} seconds of the side over those of ours named beside; lead: our mean test accuracy minus the side's, in points.",
    ]
    return BenchReport("Probing", [row for name in wanted for row in _lines(name, results, clock)], notes)


def table(rows: int, dim: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, F) float32 and labels (n,): Gaussian classes in a subspace, in which 95 % or so can be told."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(rows) % classes)
    inner = min(64, dim)
    centres = rng.normal(size=(classes, inner)) * 0.42
    hidden = centres[labels] + rng.normal(size=(rows, inner))
    features = hidden @ rng.normal(size=(inner, dim)) / np.sqrt(inner) + 0.5 * rng.normal(size=(rows, dim))
    return features.astype(np.float32), labels


def write_frames(path: Path, frames: int, classes: int, folds: int) -> tuple[int, int]:
    """Write the labels and folds of clips of 100 frames to `path`, and their frames (n, 768) float32 beside it."""
    rng, clips = np.random.default_rng(0), frames // 100
    centres = rng.normal(size=(classes, _FRAME_DIM)).astype(np.float32) * 0.05
    labels = rng.permutation(np.arange(clips) % classes)
    made = np.lib.format.open_memmap(path.with_suffix(".npy"), "w+", np.float32, (clips * 100, _FRAME_DIM))
    for start in range(0, clips, 100):
        some = np.repeat(labels[start : start + 100], 100)
        noise = rng.standard_normal((len(some), _FRAME_DIM), np.float32)
        made[start * 100 : start * 100 + len(some)] = centres[some] + noise
    made.flush()
    np.savez(path, features=np.zeros((clips, 0), np.float32), labels=labels, fold=fold_of(labels, folds))
    return clips * 100, _FRAME_DIM


def fold_of(labels: np.ndarray, folds: int) -> np.ndarray:
    """The fold (n,) of each row: the rows of a class are dealt in turn."""
    order = np.argsort(labels, kind="stable")
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = np.arange(len(labels)) % folds
    return fold


def _read(source: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(source) as arrays:
            return arrays["features"].astype(np.float32), arrays["labels"].astype(np.int64)
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"--table {source}: not an .npz with `features` and `labels` ({error})") from None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _python(side: str, peers: Path | None) -> Path | None:
    return None if side not in _PEERS or peers is None else peers / _PEERS[side] / "bin" / "python"


def _lines(name: str, results: dict[str, dict[str, Any]], clock: Clock) -> list[dict[str, Any]]:
    """A line of a side, with its ratio to each of ours that it is compared with."""
    mine = results[name]
    score = float(np.mean(mine["scores"]))
    line: dict[str, Any] = {
        "side": name,
        "wall s": mine["wall"],
        "cpu s": mine["cpu"],
        "peak GB": mine["peak"],
        "accuracy": score,
    }
    against = [other for other in _ROWS[name].beside if other in results]
    if not against:
        return [line]
    lines = []
    for other in against:
        ours = results[other]
        lead = 100 * (float(np.mean(ours["scores"])) - score)
        lines.append({**line, "beside": other, "ratio": mine[clock] / ours[clock], "lead": lead})
    return lines
