"""Compare two leaderboards: what moved, by how many standard errors, what is new, what went, and why."""

import io
import math
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from rich.text import Text

from benchmark.errors import UserError
from benchmark.report.leaderboard import IDENTITY, INGREDIENTS
from benchmark.report.scales import scale_of
from benchmark.report.tables import markdown_text
from benchmark.report.terminal import console, plain_table

LEADERBOARD = "results/leaderboard.csv"
_KEY = [*IDENTITY, "metric"]
_NEEDED = [*_KEY, "mean", "std", "folds"]
_MOST_ROWS = 50


@dataclass(frozen=True)
class Change:
    """A row that both leaderboards have.

    Attributes:
        old, new: means; None where they are not defined.
        standard_error: of the difference, sqrt(s1^2 / k1 + s2^2 / k2) over k folds each; None without spread.
        causes: the ingredients of the content key that differ.
    """

    row: tuple[str, ...]
    old: float | None
    new: float | None
    standard_error: float | None
    causes: tuple[str, ...]

    @property
    def metric(self) -> str:
        return self.row[-1]

    @property
    def difference(self) -> float | None:
        """New less old mean; None where either is missing."""
        return None if self.old is None or self.new is None else self.new - self.old

    @property
    def moved(self) -> bool:
        return self.old != self.new

    @property
    def gain(self) -> float | None:
        """The difference in standard errors, positive where the new score is better; infinite without spread."""
        if self.difference is None or self.standard_error is None:
            return None
        sign = 1 if scale_of(self.metric).higher_is_better else -1
        if self.difference == 0:
            return 0.0
        if self.standard_error == 0:
            return math.copysign(math.inf, sign * self.difference)
        return sign * self.difference / self.standard_error


@dataclass(frozen=True)
class Comparison:
    """Two leaderboards side by side.

    Attributes:
        changes: rows in both, the most moved first.
        new, gone: rows (task, embedding, strategy, probe, level, metric) in one alone.
    """

    old_name: str
    new_name: str
    changes: list[Change] = field(default_factory=list)
    new: list[tuple[str, ...]] = field(default_factory=list)
    gone: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def moved(self) -> list[Change]:
        """Rows whose score is another."""
        return [change for change in self.changes if change.moved]

    @property
    def recomputed(self) -> list[Change]:
        """Rows whose score is the same though an ingredient of their content key is another."""
        return [change for change in self.changes if change.causes and not change.moved]

    @property
    def unexplained(self) -> list[Change]:
        """Rows whose score moved though no ingredient of their content key did."""
        return [change for change in self.moved if not change.causes]

    def regressions(self, threshold: float = 2.0) -> list[Change]:
        """Rows that lost at least `threshold` standard errors, or whose score is gone."""
        return [
            change
            for change in self.moved
            if (change.gain is not None and change.gain <= -threshold)
            or (change.old is not None and change.new is None)
        ]


def compare(old: pd.DataFrame, new: pd.DataFrame, old_name: str = "old", new_name: str = "new") -> Comparison:
    """Compare two leaderboards as `leaderboard` makes and `read_leaderboard` reads them."""
    before, after = (table.set_index(_KEY, verify_integrity=True) for table in (old, new))
    comparison = Comparison(old_name, new_name)
    comparison.new.extend(sorted(set(after.index) - set(before.index)))
    comparison.gone.extend(sorted(set(before.index) - set(after.index)))
    for row in sorted(set(before.index) & set(after.index)):
        comparison.changes.append(_change(row, before.loc[row], after.loc[row]))
    comparison.changes.sort(key=lambda change: (-abs(change.gain or 0.0), change.row))
    return comparison


def compare_revisions(root: Path, old: str = "HEAD", new: str | None = None) -> Comparison:
    """Compare two states of the leaderboard of the project in `root`.

    Args:
        old, new: each the path of a CSV, or a git revision; `new` is the project's own file by default.

    Raises:
        UserError: neither a file nor a revision with a leaderboard, or not a leaderboard.
    """
    new = new or str(root / LEADERBOARD)
    return compare(_state(root, old), _state(root, new), old, new)


def read_leaderboard(text: str, name: str) -> pd.DataFrame:
    """Read the text of a leaderboard.csv; columns that an older version did not have are left out.

    Raises:
        UserError: `name` is no leaderboard.
    """
    try:
        # Names such as "null" are names; only the numbers may be missing.
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        missing = [column for column in _NEEDED if column not in table.columns]
        if missing:
            raise UserError(f"{name}: {missing[0]}: the column is missing; run `leveret report` to write it again")
        for column in ("mean", "std", "folds"):
            table[column] = pd.to_numeric(table[column].replace("", np.nan))
    except (ValueError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{name}: not a leaderboard ({error}); run `leveret report` to write it again") from None
    if table.duplicated(_KEY).any():
        row = " ".join(table.loc[table.duplicated(_KEY), IDENTITY].iloc[0])
        raise UserError(f"{name}: {row}: the row is there twice; run `leveret report` to write it again")
    return table


def print_comparison(comparison: Comparison, markdown: bool = False) -> None:
    """Print a comparison for a person, or as Markdown."""
    if markdown:
        print(comparison_markdown(comparison), end="")
        return
    out = console()
    if comparison.moved:
        table = plain_table()
        for i, name in enumerate(_HEADS):
            table.add_column(name, overflow="fold", justify="right" if 2 <= i <= 5 else "left", no_wrap=2 <= i <= 5)
        for change in comparison.moved:
            style = "" if abs(change.gain or 0) < 2 else "green" if (change.gain or 0) > 0 else "red"
            table.add_row(*(Text(text, style=style) for text in _cells(change)))
        out.print(table)
    for name, rows in (("new", comparison.new), ("gone", comparison.gone)):
        for row in rows:
            out.print(f"{name}: {' '.join(row)}", soft_wrap=True)
    out.print(_headline(comparison), soft_wrap=True)


def comparison_markdown(comparison: Comparison) -> str:
    """A comparison for a pull request or a job's summary."""
    lines = [f"**{markdown_text(_headline(comparison))}**"]
    if comparison.moved:
        rows = [_cells(change) for change in comparison.moved[:_MOST_ROWS]]
        aligned = [" ---: " if 2 <= i <= 5 else " --- " for i in range(len(_HEADS))]
        lines += ["", f"| {' | '.join(_HEADS)} |", f"|{'|'.join(aligned)}|"]
        lines += [f"| {' | '.join(markdown_text(cell) for cell in row)} |" for row in rows]
        if len(comparison.moved) > _MOST_ROWS:
            lines += [
                "",
                f"{len(comparison.moved) - _MOST_ROWS} more rows moved, by no more standard errors than these.",
            ]
    for name, found in (("New", comparison.new), ("Gone", comparison.gone)):
        if found:
            shown = [f"- {markdown_text(' '.join(row))}" for row in found[:_MOST_ROWS]]
            more = [f"- and {len(found) - _MOST_ROWS} more"] if len(found) > _MOST_ROWS else []
            lines += ["", f"<details><summary>{name}: {len(found)}</summary>", "", *shown, *more, "", "</details>"]
    return "\n".join(lines) + "\n"


_HEADS = ("task", "embedding, strategy, probe, level", "old", "new", "difference", "std. errors", "what changed")


def _cells(change: Change) -> tuple[str, ...]:
    scale = scale_of(change.metric)
    old, new = (scale.cell(mean, None) for mean in (change.old, change.new))
    difference = "–" if change.difference is None else f"{change.difference * scale.factor:+.{scale.decimals + 1}f}"
    gain = "–" if change.gain is None else f"{change.gain:+.1f}"
    causes = ", ".join(change.causes) or "no ingredient"
    return change.row[0], ", ".join(change.row[1:5]), old, new, difference, gain, causes


def _headline(comparison: Comparison) -> str:
    moved, recomputed = comparison.moved, comparison.recomputed
    better, worse = sum((change.gain or 0) >= 2 for change in moved), len(comparison.regressions())
    text = (
        f"{comparison.old_name} → {comparison.new_name}: {len(moved)} moved ({better} better and {worse} worse by "
        f"2 standard errors or more), {len(comparison.new)} new, {len(comparison.gone)} gone, "
        f"{len(recomputed)} recomputed with the same score, "
        f"{len(comparison.changes) - len(moved) - len(recomputed)} unchanged"
    )
    if comparison.unexplained:
        text += f"; {len(comparison.unexplained)} moved though nothing that they depend on changed"
    return text


def _change(row: tuple[str, ...], old: pd.Series, new: pd.Series) -> Change:
    columns = [f"key_{name}" for name in INGREDIENTS if f"key_{name}" in old.index and f"key_{name}" in new.index]
    causes = tuple(column.removeprefix("key_") for column in columns if old[column] != new[column])
    variances = [state["std"] ** 2 / state["folds"] if state["folds"] else math.nan for state in (old, new)]
    error = math.sqrt(sum(variances))
    return Change(row, _number(old["mean"]), _number(new["mean"]), _number(error), causes)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _state(root: Path, name: str) -> pd.DataFrame:
    if Path(name).is_file():
        return read_leaderboard(Path(name).read_text(encoding="utf-8", errors="replace"), name)
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if commit is None:
        raise UserError(f"{name}: neither a file nor a git revision; give one of the two")
    text = _git(root, "show", f"{commit.strip()}:./{LEADERBOARD}")
    if text is None:
        raise UserError(f"{name}: {LEADERBOARD}: not in that revision; commit it there, or give a path")
    return read_leaderboard(text, f"{name}:{LEADERBOARD}")


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.decode("utf-8", errors="replace")
