"""What the commands print: outcomes of stages, listings, and what a check found."""

import json
import sys
from typing import Any

import yaml
from rich.padding import Padding
from rich.text import Text

from benchmark.engine.outcome import Outcome
from benchmark.report.terminal import console, plain_table

# What stands in columns; the rest of a row follows below it, in words.
_HEADS = {
    "tasks": ("name", "kind", "dataset", "metric", "folds"),
    "datasets": ("name", "access", "size", "hours", "source"),
    "embeddings": ("name", "family", "dim", "rate (Hz)", "hop (s)", "parameters", "MACs/s"),
}


def print_outcome(stage: str, outcome: Outcome) -> None:
    """One line with the counts of a stage, its notes, and a table of what failed and why."""
    out = console(to_stderr=True)
    for note in outcome.notes:
        out.print(f"{stage}: {note}")
    failed = f", {len(outcome.failures)} failed" if outcome.failures else ""
    out.print(f"{stage}: {outcome.computed} computed, {outcome.reused} reused{failed}")
    if outcome.failures:
        table = plain_table("what failed", "why", title=f"{stage}: failures")
        for failure in sorted(outcome.failures):
            table.add_row(failure.piece, failure.reason)
        out.print(table)


def print_listing(listing: dict[str, list[dict[str, Any]]], as_json: bool) -> None:
    """Tables of what a project holds, or JSON."""
    if as_json:
        print(json.dumps(listing, indent=1, sort_keys=True, ensure_ascii=False))
        return
    out = console()
    for kind, rows in listing.items():
        out.print(f"{len(rows)} {kind}", style="italic")
        heads = [column for column in _HEADS[kind] if rows]
        cells = [[_cell(row[column]) for column in heads] for row in rows]
        widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
        for texts, row in zip([heads, *cells], [None, *rows], strict=True):
            line = "  ".join(f"{text:<{width}}" for text, width in zip(texts, widths, strict=True)).rstrip()
            out.print(Text(line, style="" if row else "bold"), soft_wrap=True)
            if row:
                out.print(Padding(Text(_rest(row, heads), style="dim"), (0, 0, 0, 4)))
        out.print()


def _rest(row: dict[str, Any], heads: list[str]) -> str:
    """What a row says beside its head, in words."""
    words = []
    for column, value in row.items():
        if column in heads or value in (None, ""):
            continue
        if isinstance(value, bool):
            words.append(column if value else f"not {column}")
        else:
            words.append(_cell(value) if column == "title" else f"{column}: {_cell(value)}")
    return "; ".join(words)


def print_bench(report: Any, as_json: bool = False, as_markdown: bool = False) -> None:
    """A `BenchReport` as a table with its notes and the machine, or as JSON or Markdown."""
    from benchmark.bench.report import cell

    if as_json or as_markdown:
        print(report.to_json() if as_json else report.to_markdown())
        return
    out = console()
    table = plain_table(title=report.title)
    for place, column in enumerate(report.columns):
        table.add_column(column, overflow="fold", no_wrap=place == 0)
    for row in report.rows:
        table.add_row(*(cell(row.get(column)) for column in report.columns))
    out.print(table)
    for note in [*report.notes, report.machine_line()]:
        out.print(note)


def print_check(report: Any) -> None:
    """What `leveret check` found: tasks with their clips and folds, datasets, and problems."""
    out = console()
    described = ", ".join(f"{count} {kind}" for kind, count in report.counts.items())
    if report.tasks:
        table = plain_table(
            "task",
            "clips",
            "hours",
            "classes (clips)",
            "groups",
            "folds: train / valid / test",
            "in a test part",
            title=described,
        )
        for task in report.tasks:
            if task.clips is None:
                table.add_row(task.name, "-", "-", "data not here yet: leveret download", "-", "-", "-")
                continue
            classes = ", ".join(f"{name} {count}" for name, count in list(task.classes.items())[:12])
            more = f", and {len(task.classes) - 12} more" if len(task.classes) > 12 else ""
            folds = "; ".join(f"{fold['train']} / {fold['valid']} / {fold['test']}" for fold in task.folds)
            shares = [share for fold in task.folds for name, share in fold.items() if name.endswith("share of a class")]
            even = (
                f"{100 * min(shares):.0f} to {100 * max(shares):.0f} % of each class" if shares else "whole identities"
            )
            table.add_row(task.name, str(task.clips), task.hours, classes + more, str(task.groups), folds, even)
        out.print(table)
    for task in report.tasks:
        if task.resolved:
            out.print(f"{task.file}, with every default:")
            out.print(yaml.safe_dump(task.resolved, sort_keys=False, allow_unicode=True))
    for dataset in report.datasets:
        out.print(f"{dataset.name}: {dataset.clips} clips, {dataset.hours:.2f} h, {len(dataset.lost)} lost")
        for clip, reason in sorted(dataset.lost.items()):
            out.print(f"  lost: {clip}: {reason}")
        for warning in dataset.warnings:
            out.print(f"  {warning}")
    for warning in report.warnings:
        out.print(warning)
    for problem in report.problems:
        print(f"leveret: {problem}", file=sys.stderr)
    if not report.problems:
        out.print(f"{described}: all valid")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, int) and value >= 100_000:
        size, unit = next((size, unit) for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if value >= size)
        return f"{value / size:.3g} {unit}"
    return "" if value is None else str(value)
