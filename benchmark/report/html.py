"""index.html: one page with everything, which needs no network, no other file and, to be read, no script."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from benchmark.report.atomic import write_text
from benchmark.report.blocks import strategy_label
from benchmark.report.grid import DOMAINS, RULE, Grid, order, preference, preferred_level
from benchmark.report.rank_blocks import rank_blocks
from benchmark.report.records import RunRecord, Score
from benchmark.report.scales import metric_title, scale_of
from benchmark.report.standings import Standings

# Above this many classes a matrix is too large to be read; the most frequent confusions are listed instead.
_MATRIX_CLASSES = 30
_LISTED_CONFUSIONS = 15


def write_page(records: Iterable[RunRecord], path: Path, plots: Path, kehling: Mapping[str, Any] | None = None) -> bool:
    """Write the page, with the plots of `write_plots` and the section of Kehling & Cano in it; whether it changed."""
    records = sorted(records, key=lambda record: record.identity)
    standings = Standings(Grid(records))
    page = (
        _environment()
        .get_template("page.html")
        .render(
            overview=_overview(standings),
            ranks=rank_blocks(standings),
            critical_difference=_data_uri(plots / "critical-difference.png"),
            tasks=_tasks(records, plots),
            heat_map=_data_uri(plots / "overview.png"),
            rule=RULE,
            kehling=kehling,
        )
    )
    return write_text(path, page)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("benchmark.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _overview(standings: Standings) -> dict[str, Any]:
    grid, rows = standings.grid, []
    for task in grid.tasks:
        best, cells = grid.best(task.name), []
        for name in grid.embeddings:
            cell = grid.cell(task.name, name)
            if cell is None or cell.score.mean is None:
                reason = "no run" if cell is None else cell.score.reason
                cells.append({"text": "–", "value": None, "heat": None, "is_best": False, "hint": reason})
                continue
            run = cell.record
            cells.append(
                {
                    "text": cell.text,
                    "value": cell.score.mean,
                    "heat": _percent(cell.normalised),
                    "is_best": best is not None and cell.score.mean == best.score.mean,
                    "hint": f"{run.label}: {run.strategy}, {run.probe}, {cell.level} level",
                }
            )
        rows.append({"task": task, "metric": metric_title(task.metric), "cells": cells})
    below = [{"name": name, "texts": texts} for name, texts in standings.averages()]
    return {
        "embeddings": [(name, grid.titles[name]) for name in grid.embeddings],
        "rows": rows,
        "below": below,
        "domains": grid.domains,
    }


def _tasks(records: Sequence[RunRecord], plots: Path) -> list[dict[str, Any]]:
    of_task: dict[str, list[RunRecord]] = {}
    for record in sorted(records, key=lambda record: (order(record.domain, DOMAINS), record.task)):
        of_task.setdefault(record.task, []).append(record)
    return [_task(name, found, plots) for name, found in of_task.items()]


def _task(name: str, records: list[RunRecord], plots: Path) -> dict[str, Any]:
    first = min(records, key=preference)
    scale = scale_of(first.primary)
    others = sorted(
        {metric for record in records for scores in record.scores.values() for metric in scores} - {first.primary}
    )
    facts = [
        ("domain", first.domain),
        ("kind", first.kind),
        ("metric", metric_title(first.primary)),
        ("clips", first.clips.used),
    ]
    facts += [("classes", len(first.classes))] if first.classes else []
    facts += [("folds", len(first.folds))] if first.folds else []
    facts += [
        (key, scale.number(value))
        for key, value in (("chance", first.chance), ("majority class", first.majority))
        if value is not None
    ]
    return {
        "name": name,
        "title": first.title,
        "facts": facts,
        "reference": first.reference,
        "plot": _data_uri(plots / "tasks" / f"{name}.png"),
        "metric": metric_title(first.primary),
        "others": [metric_title(metric) for metric in others],
        "rows": [_row(record, level, others) for record in records for level in sorted(record.scores)],
        "runs": [_run(record) for record in records],
    }


def _row(record: RunRecord, level: str, others: Sequence[str]) -> dict[str, Any]:
    scores, scale = record.scores[level], scale_of(record.primary)
    primary = scores[record.primary]
    shuffled = (record.shuffled or {}).get(level, {}).get(record.primary)
    return {
        "embedding": record.embedding,
        "title": record.label,
        "strategy": record.strategy,
        "probe": record.probe,
        "level": level,
        "primary": _shown(record.primary, primary),
        "heat": None if primary.mean is None else _percent(scale.normalised(primary.mean, record.chance)),
        "interval": "–".join(scale.number(end) for end in primary.interval or ()),
        "folds": ["–" if value is None else scale.number(value) for value in primary.folds],
        "shuffled": _shown(record.primary, shuffled),
        "others": [_shown(metric, scores.get(metric)) for metric in others],
        "lost": len(record.clips.lost),
    }


def _shown(metric: str, score: Score | None) -> dict[str, Any]:
    if score is None:
        return {"text": "", "value": None, "hint": ""}
    return {"text": scale_of(metric).cell(score.mean, score.std), "value": score.mean, "hint": score.reason or ""}


def _run(record: RunRecord) -> dict[str, Any]:
    level = preferred_level(record)
    matrix = (record.confusion or {}).get(level)
    return {
        "title": f"{record.label}: {strategy_label(record, with_probe=True)}",
        "level": level,
        "matrix": _matrix(matrix, record.classes) if matrix and len(matrix) <= _MATRIX_CLASSES else None,
        "confusions": _confusions(matrix, record.classes) if matrix and len(matrix) > _MATRIX_CLASSES else None,
        "lost": record.clips.lost,
        "folds": [
            {
                **fold.model_dump(include={"train", "valid", "test"}),
                "chosen": ", ".join(f"{k} = {v}" for k, v in sorted(fold.chosen.items())),
            }
            for fold in record.folds
        ],
        "facts": [("content key", record.key), *sorted(record.ingredients.items())],
        # Times are in the record alone, so that two runs on one machine give the same page.
        "provenance": list(_flat({key: value for key, value in record.provenance.items() if key != "seconds"})),
    }


def _matrix(matrix: Sequence[Sequence[float]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a confusion matrix; the heat of a cell is its part of the row, that is of the true class."""
    rows = []
    for name, row in zip(classes, matrix, strict=True):
        total = sum(row) or 1
        rows.append(
            {"name": name, "cells": [(f"{value:g}", _percent(value / total)) if value else None for value in row]}
        )
    return rows


def _confusions(matrix: Sequence[Sequence[float]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """The most frequent confusions, by their part of the true class."""
    found = [
        {"truth": classes[i], "answer": classes[j], "count": f"{value:g}", "part": _percent(value / sum(row))}
        for i, row in enumerate(matrix)
        for j, value in enumerate(row)
        if i != j and value
    ]
    return sorted(found, key=lambda item: (-item["part"], item["truth"], item["answer"]))[:_LISTED_CONFUSIONS]


def _flat(value: Any, name: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _flat(value[key], f"{name} {key}".strip())
    else:
        yield name, value


def _percent(part: float | None) -> int | None:
    return None if part is None else round(100 * part)


def _data_uri(path: Path) -> str | None:
    if not path.is_file():
        return None
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
