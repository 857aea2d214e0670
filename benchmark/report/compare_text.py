"""A comparison of two leaderboards for a person, and as Markdown for a pull request."""

from collections.abc import Sequence

from rich.text import Text

from benchmark.report.compare import Change, Comparison
from benchmark.report.scales import metric_title, scale_of
from benchmark.report.tables import markdown_text
from benchmark.report.terminal import console, plain_table

_MOST_ROWS = 50
_HEADS = ("task", "embedding, strategy, probe, level", "old", "new", "difference", "std. errors", "p", "what changed")
_RIGHT = range(2, 7)
_NOTE = (
    "p: of no difference, corrected for the number of runs that were computed again (Holm); 5 % or less is marked *."
)


def print_comparison(comparison: Comparison, markdown: bool = False) -> None:
    """Print a comparison for a person, or as Markdown."""
    if markdown:
        print(comparison_markdown(comparison), end="")
        return
    out = console()
    if comparison.moved:
        table = plain_table()
        for i, name in enumerate(_HEADS):
            table.add_column(name, overflow="fold", justify="right" if i in _RIGHT else "left", no_wrap=i in _RIGHT)
        for change in comparison.moved:
            style = "" if not change.is_significant() else "green" if (change.gain or 0) > 0 else "red"
            table.add_row(*(Text(text, style=style) for text in _cells(change)))
        out.print(table)
        out.print(_NOTE, soft_wrap=True)
    for name, lines in _lists(comparison):
        for line in lines:
            out.print(f"{name}: {line}", soft_wrap=True)
    out.print(headline(comparison), soft_wrap=True)


def comparison_markdown(comparison: Comparison) -> str:
    """A comparison for a pull request or a job's summary."""
    lines = [f"**{markdown_text(headline(comparison))}**"]
    if comparison.moved:
        rows = [_cells(change) for change in comparison.moved[:_MOST_ROWS]]
        aligned = [" ---: " if i in _RIGHT else " --- " for i in range(len(_HEADS))]
        lines += ["", f"| {' | '.join(_HEADS)} |", f"|{'|'.join(aligned)}|"]
        lines += [f"| {' | '.join(markdown_text(cell) for cell in row)} |" for row in rows]
        if len(comparison.moved) > _MOST_ROWS:
            lines += [
                "",
                f"{len(comparison.moved) - _MOST_ROWS} more rows moved, by no more standard errors than these.",
            ]
        lines += ["", markdown_text(_NOTE)]
    for name, found in _lists(comparison):
        shown = [f"- {markdown_text(line)}" for line in found[:_MOST_ROWS]]
        more = [f"- and {len(found) - _MOST_ROWS} more"] if len(found) > _MOST_ROWS else []
        lines += ["", f"<details><summary>{name}: {len(found)}</summary>", "", *shown, *more, "", "</details>"]
    return "\n".join(lines) + "\n"


def headline(comparison: Comparison) -> str:
    """The counts in one line, and which ingredients of content keys are others."""
    moved, recomputed, stale = comparison.moved, comparison.recomputed, comparison.stale
    text = (
        f"{comparison.old_name} → {comparison.new_name}: {len(moved)} moved ({len(comparison.improvements())} better and "
        f"{len(comparison.regressions())} worse by more than noise), {len(comparison.new)} new, "
        f"{len(comparison.gone)} gone, {len(stale)} stale, {len(recomputed)} recomputed with the same score, "
        f"{len(comparison.changes) - len(moved) - len(recomputed) - len(stale)} unchanged"
    )
    if comparison.trend and comparison.trend.gain:
        trend = comparison.trend
        text += f"; {100 * trend.gain:+.2f} points over {trend.tasks} tasks (p = {trend.p:.3f})"
    if comparison.causes:
        text += "; changed: " + ", ".join(f"{name} of {n}" for name, n in comparison.causes.items())
    if comparison.unexplained:
        text += f"; {len(comparison.unexplained)} moved though nothing that they depend on changed"
    return text


def _lists(comparison: Comparison) -> list[tuple[str, list[str]]]:
    stale = [f"{' '.join(change.row)}: {_causes(change)} changed" for change in comparison.stale]
    found = [
        ("Over tasks", [_average(change) for change in comparison.averages]),
        ("Stale", stale),
        ("New", [" ".join(row) for row in comparison.new]),
        ("Gone", [" ".join(row) for row in comparison.gone]),
    ]
    return [(name, lines) for name, lines in found if lines]


def _average(change: Change) -> str:
    scale = scale_of(change.metric)
    old, new = (scale.cell(mean, None) for mean in (change.old, change.new))
    return f"{change.row[0].strip('()')} {change.row[1]} {metric_title(change.metric)}: {old} → {new}"


def _cells(change: Change) -> Sequence[str]:
    scale = scale_of(change.metric)
    old, new = (scale.cell(mean, None) for mean in (change.old, change.new))
    difference = "–" if change.difference is None else f"{change.difference * scale.factor:+.{scale.decimals + 1}f}"
    gain = "–" if change.gain is None else f"{change.gain:+.1f}"
    p = "–" if change.p is None else f"{change.p:.3f}" + ("*" if change.is_significant() else "")
    return change.row[0], ", ".join(change.row[1:5]), old, new, difference, gain, p, _causes(change)


def _causes(change: Change) -> str:
    return ", ".join(change.causes) or "no ingredient"
