"""What the commands print: the summary of scores, the counts and failures of a stage, listings and checks."""

import json as json_
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from benchmark.report.grid import RULE, Average, Grid
from benchmark.report.records import RunRecord
from benchmark.report.scales import metric_title, scale_of

if TYPE_CHECKING:
    from benchmark.engine.checking import CheckReport
    from benchmark.engine.outcome import Failure, Outcome

_WIDTH = 120
# The width of "98.8 ± 1.4", and the blanks between columns, of which the box draws one.
_CELL, _GAP = 10, 2
_TASK = 27
_PARTIAL = "‡"


def console(file: Any = None) -> Console:
    """A console that takes text as it is: a name in brackets is no markup. 120 columns where there is no terminal."""
    made = Console(file=file, markup=False, emoji=False, highlight=False)
    if not made.is_terminal:
        made.width = _WIDTH
    return made


def plain_table() -> Table:
    """A table with one rule under its head."""
    return Table(box=box.SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), pad_edge=False, show_edge=False)


def print_summary(records: Iterable[RunRecord], width: int | None = None) -> None:
    """Print the summary of `records`."""
    out = console()
    out.print(summary(records, width or out.width))


def summary(records: Iterable[RunRecord], width: int = _WIDTH) -> Group:
    """Tasks in rows, embeddings in columns: mean ± std of the primary metric; several tables where one is too wide."""
    grid = Grid(records)
    if not grid.tasks:
        return Group(Text("No run is finished yet."))
    metrics = sorted({task.metric for task in grid.tasks})
    names = grid.embeddings
    heads = {name: "\n".join(textwrap.wrap(name, _CELL)) for name in names}
    cell = max([_CELL] + [len(found.text) for found in grid.cells.values()]) + _GAP
    extra = max(len(metric_title(metric)) for metric in metrics) + _GAP if len(metrics) > 1 else 0
    # Nothing follows the last column.
    per_table = max(1, (width - _TASK - _GAP - len("chance") - extra) // cell)
    parts = [names[i : i + per_table] for i in range(0, len(names), per_table)]
    tables = [item for part in parts for item in (_table(grid, part, heads, len(metrics) > 1), Text())]
    metric = metric_title(metrics[0]) if len(metrics) == 1 else "each task's metric"
    caption = f"{metric[:1].upper()}{metric[1:]}, mean ± std over folds, best in bold. {RULE}"
    if any(not found.is_first_choice for found in grid.cells.values()):
        caption += " †: a later choice than that of other embeddings on the task."
    if any(grid.mean_rank(name).n < len(grid.tasks) for name in names):
        caption += f" {_PARTIAL}: over a part of the tasks."
    return Group(*tables, Text(caption, style="dim"))


def _table(grid: Grid, names: Sequence[str], heads: Mapping[str, str], with_metric: bool) -> Table:
    table = plain_table()
    table.add_column("task", max_width=_TASK, vertical="bottom")
    if with_metric:
        table.add_column("metric", no_wrap=True)
    table.add_column("chance", justify="right", no_wrap=True)
    for name in names:
        table.add_column(Text(heads[name], justify="right"), justify="right", no_wrap=True)
    for i, task in enumerate(grid.tasks):
        best = grid.best(task.name)
        cells = []
        for name in names:
            cell = grid.cell(task.name, name)
            is_best = cell is not None and best is not None and cell.score.mean == best.score.mean
            cells.append(Text("–" if cell is None else cell.text, style="bold" if is_best else ""))
        chance = "–" if task.chance is None else scale_of(task.metric).number(task.chance)
        is_last = i == len(grid.tasks) - 1
        table.add_row(
            task.title, *([metric_title(task.metric)] if with_metric else []), chance, *cells, end_section=is_last
        )
    blank = [""] * (2 if with_metric else 1)
    table.add_row("mean", *blank, *(_average(grid.average(name), 100.0) for name in names))
    table.add_row("mean rank", *blank, *(_average(grid.mean_rank(name), 1.0) for name in names))
    return table


def _average(average: Average, factor: float) -> str:
    if average.mean is None:
        return "–"
    return f"{factor * average.mean:.1f}" + (f" {_PARTIAL}" if average.n < average.of else "")


def print_outcome(stage: str, outcome: "Outcome") -> None:
    """Print a stage's notes, its failures, and one line of counts."""
    out = console(sys.stderr)
    for note in outcome.notes:
        out.print(note, soft_wrap=True)
    if outcome.failures:
        out.print(failure_table(outcome.failures))
    out.print(
        f"{stage}: {outcome.computed} computed, {outcome.reused} reused, {len(outcome.failures)} failed", soft_wrap=True
    )


def failure_table(failures: Iterable["Failure"]) -> Table:
    """What failed and why, sorted."""
    table = plain_table()
    table.add_column("failed", overflow="fold", ratio=1)
    table.add_column("why", overflow="fold", ratio=3)
    for failure in sorted(failures, key=lambda failure: (failure.piece, failure.reason)):
        table.add_row(failure.piece, failure.reason)
    return table


def print_listing(listing: Mapping[str, Sequence[Mapping[str, Any]]], json: bool = False) -> None:
    """Print rows by kind, as tables or as JSON."""
    if json:
        print(json_.dumps(listing, indent=1, ensure_ascii=False, allow_nan=False))
        return
    out = console()
    for kind, rows in listing.items():
        out.print(f"{kind}: {len(rows)}", style="bold")
        if rows:
            table = plain_table()
            for i, name in enumerate(rows[0]):
                # The name is what is typed on the command line, so it is never cut.
                table.add_column(name, overflow="fold", no_wrap=i == 0)
            for row in rows:
                table.add_row(*(_plain(value) for value in row.values()))
            out.print(table)
        out.print()


def print_check(report: "CheckReport") -> None:
    """Print what `leveret check` found: what is there, what was filled in by default, and each problem on one line."""
    out = console()
    for dataset in report.datasets:
        out.print(
            f"{dataset.name}: {dataset.clips} clips, {dataset.hours:.2f} h, {len(dataset.lost)} cannot be read, "
            f"{len(dataset.duplicates)} sets of duplicates",
            soft_wrap=True,
        )
        for warning in dataset.warnings:
            out.print(f"  {warning}", soft_wrap=True)
    for task in report.tasks:
        if task.resolved:
            out.print(yaml.safe_dump(task.resolved, sort_keys=False, allow_unicode=True), soft_wrap=True, end="")
        if task.clips is None:
            out.print(f"{task.name}: its data are not here yet; `leveret download --task {task.name}`", soft_wrap=True)
            continue
        classes = ", ".join(f"{name} {count}" for name, count in task.classes.items())
        out.print(f"{task.name}: {task.clips} clips in {task.groups} groups: {classes}", soft_wrap=True)
        if report.tasks == [task]:
            out.print(_folds(task.folds))
    for problem in report.problems:
        print(problem, file=sys.stderr)
    counts = ", ".join(f"{count} {name}" for name, count in report.counts.items())
    number = len(report.problems)
    verdict = "all well" if number == 0 else f"{number} problem{'s' if number > 1 else ''}"
    out.print(f"{counts}: {verdict}", soft_wrap=True)


def _folds(folds: Sequence[Mapping[str, Any]]) -> Table:
    table = plain_table()
    for name in ("fold", *(folds[0] if folds else ())):
        table.add_column(name, justify="right")
    for i, fold in enumerate(folds):
        table.add_row(str(i + 1), *(_plain(value) for value in fold.values()))
    return table


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
