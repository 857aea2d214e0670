"""metrics.json: the means, nested as `dvc metrics show` and `dvc metrics diff` read them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmark.report.atomic import write_text
from benchmark.report.grid import Grid
from benchmark.report.records import RunRecord
from benchmark.report.standings import Standings


def metrics(records: Iterable[RunRecord]) -> dict[str, Any]:
    """`tasks`: task -> embedding -> strategy/probe/level -> metric -> mean; `summary`: embedding -> mean of the primary
    metrics by domain and overall, the mean rank, HEAR's and Borda's scores. Scores that are not defined are left out.
    """
    records = list(records)
    tasks: dict[str, Any] = {}
    for record in records:
        runs = tasks.setdefault(record.task, {}).setdefault(record.embedding, {})
        for level, scores in record.scores.items():
            runs[f"{record.strategy}/{record.probe}/{level}"] = {
                name: _rounded(score.mean) for name, score in scores.items() if score.mean is not None
            }
    grid = Grid(records)
    standings = Standings(grid)
    summary: dict[str, Any] = {}
    for embedding, standing in zip(grid.embeddings, standings.of(), strict=True):
        means = {domain: grid.average(embedding, domain) for domain in grid.domains}
        means |= {
            "overall": standing.hares, "mean_rank": standing.rank, "hear": standing.hear, "borda": standing.borda
        }  # fmt: skip
        summary[embedding] = {name: _rounded(found.mean) for name, found in means.items() if found.mean is not None}
    return {"tasks": tasks, "summary": summary}


def write_metrics(records: Iterable[RunRecord], path: Path) -> bool:
    """Write metrics.json; whether it changed."""
    return write_text(path, json.dumps(metrics(records), sort_keys=True, indent=1, allow_nan=False) + "\n")


def _rounded(value: float) -> float:
    return round(value, 4) + 0.0
