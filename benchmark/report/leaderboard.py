"""leaderboard.csv: what every run reached, and what every embedding reaches over tasks; a diff of two commits shows what
moved and why.

It holds no time and no machine: two clean runs give the same bytes.
"""

import hashlib
import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.report.atomic import write_text
from benchmark.report.grid import Grid
from benchmark.report.records import RunRecord
from benchmark.report.standings import Standings

IDENTITY = ["task", "embedding", "strategy", "probe", "level"]
INGREDIENTS = ["audio", "annotation", "task", "embedding", "weights", "extract_code", "probe", "probe_code", "seed"]
NUMBERS = ["mean", "std", "std_tracks", "ci_low", "ci_high", "chance", "majority", "shuffled_mean", "shuffled_std"]
COUNTS = ["folds", "clips", "lost", "tasks"]
COLUMNS = [
    "task", "domain", "front_end", "embedding", "strategy", "probe", "level", "metric", "mean", "std", "std_tracks",
    "ci_low", "ci_high", "folds", "chance", "majority", "shuffled_mean", "shuffled_std", "clips", "lost", "tasks", "scores",
    *(f"key_{name}" for name in INGREDIENTS),
]  # fmt: skip
# The tasks of rows over many tasks; no task can be called so.
ALL, DOMAIN = "(all)", "({})"


@dataclass(frozen=True)
class Pending:
    """A run that is selected and has no result, or a stale one: its row has no numbers, only what it would depend on."""

    task: str
    domain: str
    embedding: str
    strategy: str
    probe: str
    levels: tuple[str, ...]
    metric: str
    ingredients: Mapping[str, str]
    front_end: str | None = None


def leaderboard(records: Iterable[RunRecord], pending: Iterable[Pending] = ()) -> pd.DataFrame:
    """The primary metric of every run at every level, and of every embedding the averages over tasks, sorted.

    Scores are rounded to 4 decimals, missing ones NaN. `ci_low` and `ci_high` are the 95 % interval, `scores` those of
    the folds; `std_tracks` is over the test tracks of all folds, where sounds were separated; `front_end` what was heard
    in place of the clips. Rows over tasks say over how many in `tasks`, and which score in `metric`: `hares`, `hear`,
    `mean_rank` or `borda`, see `benchmark.report.standings`. Runs that have no result now have 0 folds and no score.
    """
    records = list(records)
    rows = [_row(record, level) for record in records for level in record.scores]
    rows += [_pending(run, level) for run in pending for level in run.levels]
    rows += _over_tasks(records)
    table = pd.DataFrame(sorted(rows, key=lambda row: [row[name] for name in [*IDENTITY, "metric"]]), columns=COLUMNS)
    for name in NUMBERS:
        # Adding zero turns -0.0 into 0.0.
        table[name] = table[name].astype("float64").round(4) + 0.0
    for name in COUNTS:
        table[name] = table[name].astype("Int64")
    return table.fillna({"scores": "", "front_end": ""} | {f"key_{name}": "" for name in INGREDIENTS})


def write_leaderboard(records: Iterable[RunRecord], path: Path, pending: Iterable[Pending] = ()) -> bool:
    """Write leaderboard.csv; whether it changed."""
    table = leaderboard(records, pending)
    return write_text(path, table.to_csv(index=False, float_format="%.4f", lineterminator="\n"))


def write_standings(records: Iterable[RunRecord], path: Path) -> bool:
    """Write standings.csv, a row an embedding, best mean rank first: what `dvc plots` draws; whether it changed.

    Means are fractions; `mean` is over all tasks that are scored in per cent.
    """
    standings = Standings(Grid(records))
    overall, of_domain = standings.of(), {domain: standings.of(domain) for domain in standings.grid.domains}
    rows = [
        {
            "embedding": found.embedding,
            "mean": found.hares.mean,
            **{f"mean_{domain}": of[i].hares.mean for domain, of in of_domain.items()},
            "hear": found.hear.mean,
            "mean_rank": found.rank.mean,
            "borda": found.borda.mean,
            "tasks": found.rank.n,
        }
        for i, found in enumerate(overall)
    ]
    table = pd.DataFrame(rows, columns=list(rows[0]) if rows else ["embedding", "mean"])
    return write_text(path, table.to_csv(index=False, float_format="%.4f", lineterminator="\n"))


def _row(record: RunRecord, level: str) -> dict[str, object]:
    score = record.scores[level][record.primary]
    shuffled = (record.shuffled or {}).get(level, {}).get(record.primary)
    low, high = score.interval or (None, None)
    tracks = record.track_scores()
    return {
        "task": record.task,
        "domain": record.domain,
        "front_end": record.front_end,
        "embedding": record.embedding,
        "strategy": record.strategy,
        "probe": record.probe,
        "level": level,
        "metric": record.primary,
        "mean": score.mean,
        "std": score.std,
        "std_tracks": statistics.stdev(tracks) if level == "track" and len(tracks) > 1 else None,
        "ci_low": low,
        "ci_high": high,
        "folds": len(score.folds),
        "chance": record.chance,
        "majority": record.majority,
        "shuffled_mean": shuffled.mean if shuffled else None,
        "shuffled_std": shuffled.std if shuffled else None,
        "clips": record.clips.used,
        "lost": len(record.clips.lost),
        "scores": " ".join("-" if value is None else f"{value + 0.0:.4f}" for value in score.folds),
        **_keys(record.ingredients),
    }


def _pending(run: Pending, level: str) -> dict[str, object]:
    return {
        "task": run.task,
        "domain": run.domain,
        "front_end": run.front_end,
        "embedding": run.embedding,
        "strategy": run.strategy,
        "probe": run.probe,
        "level": level,
        "metric": run.metric,
        "folds": 0,
        **_keys(run.ingredients),
    }


def _over_tasks(records: list[RunRecord]) -> list[dict[str, object]]:
    grid = Grid(records)
    standings = Standings(grid)
    rows = []
    for domain in (None, *grid.domains):
        for standing in standings.of(domain):
            averages = {
                "hares": standing.hares,
                "hear": standing.hear,
                "mean_rank": standing.rank,
                "borda": standing.borda,
            }
            rows += [
                {
                    "task": ALL if domain is None else DOMAIN.format(domain),
                    "domain": domain or "",
                    "embedding": standing.embedding,
                    "strategy": "",
                    "probe": "",
                    "level": "",
                    "metric": metric,
                    "mean": average.mean,
                    "tasks": average.n,
                }
                for metric, average in averages.items()
                if average.mean is not None
            ]
    return rows


def _keys(ingredients: Mapping[str, str]) -> dict[str, str]:
    return {f"key_{name}": _digest(ingredients.get(name)) for name in INGREDIENTS}


def _digest(value: str | None) -> str:
    """8 hexadecimal digits for an ingredient of a content key; nothing for one that the run does not have."""
    if value is None:
        return ""
    return value[:8] if re.fullmatch(r"[0-9a-f]{8,}", value) else hashlib.sha256(value.encode()).hexdigest()[:8]
