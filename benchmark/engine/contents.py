"""What a task is made of, for `leveret check`: hours, classes, and how even its folds are."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.audio.io import probe
from benchmark.datasets.clips import Clip
from benchmark.engine.items import TaskItems
from benchmark.engine.targets import UNKNOWN
from benchmark.errors import ClipError
from benchmark.metrics.folds import Split

# Headers of so many files are read; of more files, evenly spaced ones stand for all.
_MOST_FILES = 2000


def hours_of(clips: Sequence[Clip]) -> str:
    """Hours of sound in the clips, by the headers of their files; `~` where some files stand for all."""
    paths = sorted({clip.path for clip in clips if clip.end is None})
    asked = paths if len(paths) <= _MOST_FILES else paths[:: len(paths) // _MOST_FILES + 1]
    with ThreadPoolExecutor(2) as threads:
        found = {path: length for path, length in zip(asked, threads.map(_seconds, asked), strict=True) if length}
    mean = sum(found.values()) / len(found) if found else 0.0
    seconds = sum(
        max(0.0, (found.get(clip.path, mean) if clip.end is None else clip.end) - (clip.start or 0.0)) for clip in clips
    )
    return f"{'~' if len(asked) < len(paths) else ''}{seconds / 3600:.2f}"


def _seconds(path: Path) -> float | None:
    """Length of a file; None where it cannot be read, which `--data` reports."""
    try:
        rate, _, frames = probe(path)
    except ClipError:
        return None
    return frames / rate


def class_counts(items: TaskItems) -> dict[str, int]:
    """Clips of each class, of each value of each slot, of each tenth of a regression's values."""
    if items.kind == "regression":
        tenths = items.strata
        edges = [items.labels[column > 0] for column in tenths.T]
        return {f"{values.min():g} to {values.max():g}": len(values) for values in edges if len(values)}
    if items.kind == "slots":
        return {
            f"{slot.name} {name}": int(np.sum(items.labels[:, s] == c))
            for s, slot in enumerate(items.slots)
            for c, name in enumerate(slot.classes)
        }
    if items.labels.ndim == 2:
        counts = {name: int(np.sum(items.labels[:, c] == 1)) for c, name in enumerate(items.classes)}
        others = {
            "(clips without any)": int(np.sum(~(items.labels == 1).any(1))),
            "(labels that nobody knows)": int(np.sum(items.labels == UNKNOWN)),
        }
        return counts | {name: count for name, count in others.items() if count}
    return {name: int(np.sum(items.labels == c)) for c, name in enumerate(items.classes)}


def fold_balance(split: Split, items: TaskItems) -> dict[str, Any]:
    """Sizes of a fold's parts, and the smallest and the largest part of any class that its test part has.

    Of a fair division into five folds, both are near 0.2. Identities are whole in one part, so they have none.
    """
    sizes = {"train": len(split.train), "valid": len(split.valid), "test": len(split.test)}
    if items.kind == "verification":
        return sizes
    strata = items.strata
    marks = np.eye(int(strata.max()) + 1, dtype=np.int64)[strata] if strata.ndim == 1 else np.maximum(strata, 0)
    share = marks[split.test].sum(0) / np.maximum(marks.sum(0), 1)
    share = share[marks.sum(0) > 0]
    return {
        **sizes,
        "smallest share of a class": round(float(share.min()), 3),
        "largest share of a class": round(float(share.max()), 3),
    }


def unlearnt_classes(splits: Sequence[Split], items: TaskItems) -> list[str]:
    """What a fold tests and does not teach, a line a fold; nothing of identities and stems, which are not learnt so."""
    if items.kind not in ("multiclass", "multilabel", "events"):
        return []
    texts = []
    for fold, split in enumerate(splits):
        if items.labels.ndim == 2:
            tested, taught = ((items.labels[part] == 1).any(0) for part in (split.test, split.train))
        else:
            tested, taught = (
                np.isin(np.arange(len(items.classes)), items.labels[p]) for p in (split.test, split.train)
            )
        names = [name for name, lacks in zip(items.classes, tested & ~taught, strict=True) if lacks]
        if names:
            first = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            texts.append(f"fold {fold}: the test part has classes that the training part lacks ({first})")
    return texts
