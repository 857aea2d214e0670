"""The printed summary: tasks by embeddings, in the width of a terminal."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from math import ceil

from rich.console import Group
from rich.table import Table
from rich.text import Text

from benchmark.report.grid import RULE, Average, Grid
from benchmark.report.records import RunRecord
from benchmark.report.scales import metric_title, scale_of
from benchmark.report.standings import Standings
from benchmark.report.terminal import WIDTH, console, plain_table

# The width of "98.8 ± 1.4", and the blanks between columns, of which the box draws one.
_CELL, _GAP = 10, 2
# Least and greatest width of the tasks' titles, which are wrapped.
_TASK = (18, 27)
_PARTIAL = "‡"


def print_summary(records: Iterable[RunRecord], width: int | None = None) -> None:
    """Print the summary of `records`: embeddings, then separators."""
    records, out = list(records), console()
    out.print(summary(records, width or out.width))
    if any(record.kind == "separation" for record in records):
        out.print(summary(records, width or out.width, separation=True))


def summary(records: Iterable[RunRecord], width: int = WIDTH, separation: bool = False) -> Group:
    """Tasks in rows, embeddings (or separators) in columns: mean ± std of the primary metric; several tables where one is too wide."""
    grid = Grid(records, separation)
    if not grid.tasks:
        return Group(Text("No run is finished yet."))
    metrics = sorted({task.metric for task in grid.tasks})
    names = grid.embeddings
    heads = {name: "\n".join(textwrap.wrap(name, _CELL)) for name in names}
    cell = max([_CELL] + [len(found.text) for found in grid.cells.values()]) + _GAP
    extra = max(len(metric_title(metric)) for metric in metrics) + _GAP if len(metrics) > 1 else 0
    # Nothing follows the last column, so its gap makes up for that after the tasks.
    room = width - _GAP - len("chance") - extra
    fitting = max(1, (room - _TASK[0]) // cell)
    per_table = ceil(len(names) / ceil(len(names) / fitting))
    task = max(_TASK[0], min(_TASK[1], room - per_table * cell))
    parts = [names[i : i + per_table] for i in range(0, len(names), per_table)]
    tables = [item for part in parts for item in (_table(grid, part, heads, task, len(metrics) > 1), Text())]
    metric = metric_title(metrics[0]) if len(metrics) == 1 else "each task's metric"
    caption = f"{metric[:1].upper()}{metric[1:]}, mean ± std over folds, best in bold. {RULE}"
    if any(not found.is_first_choice for found in grid.cells.values()):
        caption += " †: a later choice than that of other embeddings on the task."
    if any(grid.mean_rank(name).n < len(grid.tasks) for name in names):
        caption += f" {_PARTIAL}: over a part of the tasks."
    significance = Standings(grid).significance
    if significance is not None:
        caption += (
            f" Ranks over {len(significance.tasks)} tasks are told apart from a difference of {significance.difference:.1f} "
            f"on (Nemenyi, 5 %); Friedman's p = {significance.friedman.p:.2g}."
        )
    return Group(*tables, Text(caption, style="dim"))


def _table(grid: Grid, names: Sequence[str], heads: Mapping[str, str], width: int, with_metric: bool) -> Table:
    table = plain_table()
    table.add_column("task", max_width=width, vertical="bottom")
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
    standings = {found.embedding: found for found in Standings(grid).of()}
    table.add_row("HEAR score", *blank, *(_average(standings[name].hear, 1.0, 2) for name in names))
    table.add_row("Borda", *blank, *(_average(standings[name].borda, 100.0) for name in names))
    table.add_row("mean rank", *blank, *(_average(grid.mean_rank(name), 1.0) for name in names))
    return table


def _average(average: Average, factor: float, decimals: int = 1) -> str:
    if average.mean is None:
        return "–"
    return f"{factor * average.mean:.{decimals}f}" + (f" {_PARTIAL}" if average.n < average.of else "")
