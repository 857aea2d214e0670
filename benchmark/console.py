"""What the commands print: outcomes of stages, listings, and what a check found."""

import json
import sys
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from benchmark.engine.outcome import Outcome


def _console(to_stderr: bool = False) -> Console:
    """A console as wide as the terminal, or 120 columns where there is none."""
    stream = sys.stderr if to_stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 120, highlight=False, soft_wrap=False)


def print_outcome(stage: str, outcome: Outcome) -> None:
    """One line with the counts of a stage, its notes, and a table of what failed and why."""
    console = _console(to_stderr=True)
    for note in outcome.notes:
        console.print(f"{stage}: {note}", markup=False)
    failed = f", {len(outcome.failures)} failed" if outcome.failures else ""
    console.print(f"{stage}: {outcome.computed} computed, {outcome.reused} reused{failed}", markup=False)
    if outcome.failures:
        table = Table("what failed", "why", title=f"{stage}: failures", title_justify="left", expand=False)
        for failure in sorted(outcome.failures):
            table.add_row(_plain(failure.piece), _plain(failure.reason))
        console.print(table)


def print_listing(listing: dict[str, list[dict[str, Any]]], as_json: bool) -> None:
    """Tables of what a project holds, or JSON."""
    if as_json:
        print(json.dumps(listing, indent=1, sort_keys=True, ensure_ascii=False))
        return
    console = _console()
    for kind, rows in listing.items():
        table = Table(title=f"{len(rows)} {kind}", title_justify="left")
        for place, column in enumerate(rows[0] if rows else []):
            # Names stay whole, so that they can be copied.
            table.add_column(column, overflow="fold", no_wrap=place == 0)
        for row in rows:
            table.add_row(*(_cell(value) for value in row.values()))
        console.print(table)


def print_check(report: Any) -> None:
    """What `leveret check` found: tasks with their clips and folds, datasets, and problems."""
    console = _console()
    described = ", ".join(f"{count} {kind}" for kind, count in report.counts.items())
    if report.tasks:
        table = Table("task", "clips", "classes (clips)", "groups", "folds: train / valid / test", title=described)
        for task in report.tasks:
            if task.clips is None:
                table.add_row(task.name, "-", "data not here yet: leveret download", "-", "-")
                continue
            classes = ", ".join(f"{name} {count}" for name, count in list(task.classes.items())[:12])
            more = f", and {len(task.classes) - 12} more" if len(task.classes) > 12 else ""
            folds = "; ".join(f"{fold['train']} / {fold['valid']} / {fold['test']}" for fold in task.folds)
            table.add_row(task.name, str(task.clips), _plain(classes + more), str(task.groups), folds)
        console.print(table)
    for task in report.tasks:
        if task.resolved:
            console.print(f"{task.file}, with every default:", markup=False)
            console.print(yaml.safe_dump(task.resolved, sort_keys=False, allow_unicode=True), markup=False)
    for dataset in report.datasets:
        console.print(
            f"{dataset.name}: {dataset.clips} clips, {dataset.hours:.2f} h, {len(dataset.lost)} lost", markup=False
        )
        for clip, reason in sorted(dataset.lost.items()):
            console.print(f"  lost: {clip}: {reason}", markup=False)
        for warning in dataset.warnings:
            console.print(f"  {warning}", markup=False)
    for problem in report.problems:
        print(f"leveret: {problem}", file=sys.stderr)
    if not report.problems:
        console.print(f"{described}: all valid", markup=False)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if value is None else _plain(str(value))


def _plain(text: str) -> str:
    """Text in which rich finds no markup."""
    return text.replace("[", r"\[")
