"""The content of the tables, before any markup: one block a task and level, in the form of Kehling & Cano, Table 2."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmark.report.grid import DOMAINS, RULE, Grid, order, preference
from benchmark.report.records import Reference, RunRecord
from benchmark.report.scales import Scale, metric_title, scale_of
from benchmark.report.standings import Standings

Mark = Literal["", "best", "near"]
ABBREVIATIONS = {"frozen": "FZ", "partial": "IN", "full": "FT", "scratch": "scratch"}
LEGEND = (
    "Mean ± standard deviation over folds. Bold: best; italic: within one standard deviation of the best. "
    "FZ: network frozen; IN: partly trained; FT: wholly trained; scratch: trained from random weights."
)


@dataclass(frozen=True)
class Entry:
    """A cell's text and whether it stands out."""

    text: str = ""
    mark: Mark = ""


@dataclass(frozen=True)
class Row:
    """A row of a block: its name and a cell a column."""

    name: str
    entries: list[Entry]


@dataclass(frozen=True)
class Block:
    """A table: heading, columns, rows, and rows below a rule that are no results."""

    heading: str
    corner: str
    columns: list[str]
    rows: list[Row]
    below: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def strategy_label(record: RunRecord, with_probe: bool) -> str:
    """`FZ`, or `FZ, mlp` where more than one probe is in the table."""
    label = ABBREVIATIONS.get(record.strategy, record.strategy)
    return f"{label}, {record.probe}" if with_probe else label


def task_blocks(records: Sequence[RunRecord]) -> list[Block]:
    """The blocks of one task, a level each: embeddings in rows, strategies and probes in columns."""
    levels = sorted({level for record in records for level in record.scores}, key=lambda name: order(name, ("file",)))
    return [_block([record for record in records if level in record.scores], level) for level in levels]


def by_task(records: Iterable[RunRecord]) -> dict[str, list[RunRecord]]:
    """Task -> its records; tasks by domain, then name."""
    of_task: dict[str, list[RunRecord]] = {}
    for record in sorted(records, key=lambda record: (order(record.domain, DOMAINS), record.identity)):
        of_task.setdefault(record.task, []).append(record)
    return of_task


def overview_block(records: Iterable[RunRecord]) -> Block:
    """Tasks in rows, embeddings in columns; below, means by domain and overall, and the mean rank."""
    records = list(records)
    grid = Grid(records)
    rows = []
    for task in grid.tasks:
        cells = [grid.cell(task.name, embedding) for embedding in grid.embeddings]
        marks = mark_best(
            [(cell.score.mean, cell.score.std) if cell else (None, None) for cell in cells], scale_of(task.metric)
        )
        entries = [Entry(cell.text if cell else "–", mark) for cell, mark in zip(cells, marks, strict=True)]
        rows.append(Row(task.title, [Entry(metric_title(task.metric)), *map(Entry, task.controls), *entries]))
    blank = [Entry()] * 4
    below = [Row(name, [*blank, *map(Entry, texts)]) for name, texts in Standings(grid).averages()]
    notes = [
        "Mean ± standard deviation over folds. Bold: best; italic: within one standard deviation of the best.",
        "Chance: uniform guesses; majority: always the most frequent class; shuffled: probes of shuffled labels, mean over "
        "embeddings. Means are over tasks scored in per cent; (n/N) says how many of the N there are. HEAR: standardised "
        "over embeddings, within ±1. Borda: per cent of the others that an embedding beats. Rank 1 is the best.",
        RULE,
    ]
    if any(not cell.is_first_choice for cell in grid.cells.values()):
        notes.append("†: a later choice than that of other embeddings on the task.")
    columns = ["Metric", "Chance", "Majority", "Shuffled", *grid.embeddings]
    return Block("All tasks", "Task", columns, rows, below, notes)


def front_end_blocks(records: Iterable[RunRecord]) -> list[Block]:
    """Tasks that ask the same of the same clips behind different front ends: embeddings in rows, front ends in columns."""
    asked: dict[tuple[str, str, str], list[RunRecord]] = {}
    for record in sorted(records, key=lambda record: record.identity):
        asked.setdefault((record.ingredients.get("annotation", ""), record.kind, record.primary), []).append(record)
    return [
        _front_end_block(found)
        for _, found in sorted(asked.items(), key=lambda item: item[1][0].identity)
        if any(record.front_end for record in found)
    ]


def _front_end_block(records: list[RunRecord]) -> Block:
    scale, metric = scale_of(records[0].primary), records[0].primary
    # The mixture first, the clean stem last.
    ends = sorted(
        {record.front_end for record in records}, key=lambda end: (end is not None, "clean" in (end or ""), end)
    )
    with_probe = len({(record.strategy, record.probe) for record in records}) > 1
    runs = {(record.label, record.strategy, record.probe): record for record in records}
    cells = {(record.label, record.strategy, record.probe, record.front_end): record for record in records}
    scores = {
        key: record.scores.get("file", next(iter(record.scores.values())))[metric] for key, record in cells.items()
    }
    columns = []
    for end in ends:
        found = [scores.get((*run, end)) for run in runs]
        columns.append((found, mark_best([(s.mean, s.std) if s else (None, None) for s in found], scale)))
    rows = [
        Row(
            f"{record.label}, {strategy_label(record, True)}" if with_probe else record.label,
            [Entry(scale.cell(found[i].mean, found[i].std) if found[i] else "–", marks[i]) for found, marks in columns],
        )
        for i, record in enumerate(runs.values())
    ]
    names = ", ".join(sorted({record.task for record in records}))
    chance = next((record.chance for record in records if record.chance is not None), None)
    below = [_below("Chance", [chance] * len(ends), scale)]
    heading = f"{metric_title(metric)} behind front ends ({names})"
    return Block(heading, "Model", [end or "mixture" for end in ends], rows, below, [LEGEND])


def _block(records: list[RunRecord], level: str) -> Block:
    scale, metric = scale_of(records[0].primary), records[0].primary
    with_probe = len({record.probe for record in records}) > 1
    columns = list(dict.fromkeys(preference(record) for record in sorted(records, key=preference)))
    first = {column: next(record for record in records if preference(record) == column) for column in columns}
    labels = [strategy_label(first[column], with_probe) for column in columns]
    runs = {(record.embedding, preference(record)): record for record in records}
    titles = dict(sorted({record.embedding: record.label for record in records}.items()))
    shown = [runs.get((name, column)) for name in titles for column in columns]
    scores = [(run.scores[level][metric] if run else None) for run in shown]
    marks = mark_best([(score.mean, score.std) if score else (None, None) for score in scores], scale)
    entries = [
        Entry(scale.cell(score.mean, score.std) if score else "", mark)
        for score, mark in zip(scores, marks, strict=True)
    ]
    width = len(columns)
    rows = [Row(title, entries[i * width : (i + 1) * width]) for i, title in enumerate(titles.values())]
    below = [_below("Chance", [first[column].chance for column in columns], scale)]
    if metric == "accuracy":
        # Elsewhere the score of the majority class is not in the metric's own terms.
        below.append(_below("Majority class", [first[column].majority for column in columns], scale))
    below.append(_below("Shuffled labels, mean", [_shuffled(records, column, level) for column in columns], scale))
    below = [row for row in below if any(entry.text for entry in row.entries)]
    if first[columns[0]].reference:
        below += _reference(first[columns[0]].reference, metric, width)
    heading = f"{records[0].title}: {metric_title(metric)}, {level} level"
    return Block(heading, "Model", labels, rows, below, [LEGEND])


def _below(name: str, scores: Sequence[float | None], scale: Scale) -> Row:
    return Row(name, [Entry("" if score is None else scale.number(score)) for score in scores])


def _shuffled(records: Sequence[RunRecord], column: tuple, level: str) -> float | None:
    found = [
        score.mean
        for record in records
        if preference(record) == column
        and (score := (record.shuffled or {}).get(level, {}).get(record.primary))
        and score.mean is not None
    ]
    return sum(found) / len(found) if found else None


def _reference(reference: Reference, metric: str, width: int) -> list[Row]:
    """The paper's numbers, as it prints them, in the first column."""
    source = reference.paper if reference.metric == metric else f"{reference.paper}, {reference.metric}"
    source = source if reference.verified else f"{source}, unverified"
    values = [(reference.system, reference.value, reference.std)] if reference.value is not None else []
    values += [(system, value, None) for system, value in reference.values.items()]
    rows = []
    for system, value, std in values:
        text = f"{value:g}" if std is None else f"{value:g} ± {std:g}"
        name = f"{source}: {system}" if system else source
        rows.append(Row(name, [Entry(text), *[Entry()] * (width - 1)]))
    return rows


def mark_best(scores: Sequence[tuple[float | None, float | None]], scale: Scale) -> list[Mark]:
    """Of means and deviations: `best` for the best score (and its equals), `near` for those within one standard deviation of it."""
    there = [mean for mean, _ in scores if mean is not None]
    if len(there) < 2:
        return [""] * len(scores)
    best = scale.best(there)
    spread = max((std or 0.0) for mean, std in scores if mean == best)

    def mark(mean: float | None) -> Mark:
        if mean is None:
            return ""
        if mean == best:
            return "best"
        return "near" if abs(best - mean) <= spread else ""

    return [mark(mean) for mean, _ in scores]
