"""leaderboard.csv: a row a task, embedding, strategy, probe and level; a diff of two commits shows what moved and why.

It holds no time and no machine: two clean runs give the same bytes.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from benchmark.report.atomic import write_text
from benchmark.report.records import RunRecord

IDENTITY = ["task", "embedding", "strategy", "probe", "level"]
INGREDIENTS = ["audio", "annotation", "task", "embedding", "weights", "extract_code", "probe", "probe_code", "seed"]
NUMBERS = ["mean", "std", "chance", "majority", "shuffled_mean", "shuffled_std"]
COUNTS = ["folds", "clips", "lost"]
COLUMNS = [
    "task", "domain", "embedding", "strategy", "probe", "level", "metric", "mean", "std", "folds",
    "chance", "majority", "shuffled_mean", "shuffled_std", "clips", "lost", *(f"key_{name}" for name in INGREDIENTS),
]  # fmt: skip


def leaderboard(records: Iterable[RunRecord]) -> pd.DataFrame:
    """The primary metric of every run at every level, sorted; scores are rounded to 4 decimals, missing ones NaN."""
    rows = [_row(record, level) for record in records for level in record.scores]
    table = pd.DataFrame(sorted(rows, key=lambda row: [row[name] for name in IDENTITY]), columns=COLUMNS)
    for name in NUMBERS:
        # Adding zero turns -0.0 into 0.0.
        table[name] = table[name].astype("float64").round(4) + 0.0
    for name in COUNTS:
        table[name] = table[name].astype("int64")
    return table


def write_leaderboard(records: Iterable[RunRecord], path: Path) -> bool:
    """Write leaderboard.csv; whether it changed."""
    return write_text(path, leaderboard(records).to_csv(index=False, float_format="%.4f", lineterminator="\n"))


def _row(record: RunRecord, level: str) -> dict[str, object]:
    score = record.scores[level][record.primary]
    shuffled = (record.shuffled or {}).get(level, {}).get(record.primary)
    return {
        "task": record.task,
        "domain": record.domain,
        "embedding": record.embedding,
        "strategy": record.strategy,
        "probe": record.probe,
        "level": level,
        "metric": record.primary,
        "mean": score.mean,
        "std": score.std,
        "folds": len(score.folds),
        "chance": record.chance,
        "majority": record.majority,
        "shuffled_mean": shuffled.mean if shuffled else None,
        "shuffled_std": shuffled.std if shuffled else None,
        "clips": record.clips.used,
        "lost": len(record.clips.lost),
        **{f"key_{name}": _digest(record.ingredients.get(name)) for name in INGREDIENTS},
    }


def _digest(value: str | None) -> str:
    """8 hexadecimal digits for an ingredient of a content key; nothing for one that the run does not have."""
    if value is None:
        return ""
    return value[:8] if re.fullmatch(r"[0-9a-f]{8,}", value) else hashlib.sha256(value.encode()).hexdigest()[:8]
