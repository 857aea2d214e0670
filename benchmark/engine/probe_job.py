"""One run: a task under an embedding and a probe, all folds, from the store to scores."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark.metrics.folds import Split
from benchmark.probes.data import FrameTable
from benchmark.probes.run import ProbeResult, run_probe
from benchmark.store.store import StoreView


@dataclass(frozen=True)
class RunInput:
    """What a run needs besides the frames.

    Attributes:
        ids: n clips' ids.
        labels: (n,) int64 classes.
        groups: group of each clip.
        splits: parts of each fold, as indices into `ids`.
        classes: names of the classes.
    """

    ids: list[str]
    labels: np.ndarray
    groups: list[str]
    splits: list[Split]
    classes: list[str]
    pool: str
    probe: str
    settings: dict[str, Any]
    levels: tuple[str, ...]
    metrics: tuple[str, ...]
    balance: str
    max_frames_per_clip: int | None
    control: bool
    seed: int


@dataclass(frozen=True)
class RunOutput:
    """Scores of a run and of its control on shuffled labels, and the clips that had no frames."""

    result: ProbeResult
    shuffled: ProbeResult | None
    used: int
    lost: dict[str, str] = field(default_factory=dict)


def score_run(view: StoreView, run: RunInput) -> RunOutput:
    """Probe the clips of `run` that have frames; folds stay those of all clips."""
    here = set(view.clip_ids)
    kept = [i for i, clip in enumerate(run.ids) if clip in here]
    lost = {clip: view.lost.get(clip, "not in the store") for clip in run.ids if clip not in here}
    table = FrameTable.from_clips(
        [view.frames(run.ids[i])[0] for i in kept], pool=run.pool, max_frames_per_clip=run.max_frames_per_clip
    )
    splits = [_renumber(split, kept, len(run.ids)) for split in run.splits]
    arguments = {
        "probe": run.probe,
        "settings": run.settings,
        "levels": run.levels,
        "metrics": run.metrics,
        "seed": run.seed,
        "balance": run.balance,
        "n_classes": len(run.classes),
        "groups": [run.groups[i] for i in kept],
    }
    labels = run.labels[kept]
    result = run_probe(table, labels, splits, **arguments)
    shuffled = run_probe(table, labels, splits, shuffle_labels=True, **arguments) if run.control else None
    return RunOutput(result, shuffled, len(kept), lost)


def _renumber(split: Split, kept: Sequence[int], n: int) -> Split:
    """The split as indices into the kept clips alone."""
    position = np.full(n, -1, np.int64)
    position[list(kept)] = np.arange(len(kept))

    def part(indices: np.ndarray) -> np.ndarray:
        return position[indices][position[indices] >= 0]

    return Split(part(split.train), part(split.valid), part(split.test))
