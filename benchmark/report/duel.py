"""Two embeddings side by side: on which tasks does one score more, and is it more than chance?"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from rich.text import Text

from benchmark.metrics.comparisons import Permutation, corrected_t_test, holm
from benchmark.report.grid import Grid
from benchmark.report.records import RunRecord
from benchmark.report.scales import metric_title, scale_of
from benchmark.report.standings import ROPE, Standings
from benchmark.report.terminal import console, plain_table

ALPHA = 0.05


@dataclass(frozen=True)
class Duel:
    """Two embeddings on one task, under the same strategy and probe, over the same folds.

    Attributes:
        first, second: means.
        p_folds: of the corrected resampled t-test; None with fewer than two folds.
        p_groups: of the paired permutation test over groups; None where no answers are kept.
        ways: how many ways of swapping groups it looked at.
    """

    task: str
    metric: str
    level: str
    strategy: str
    probe: str
    first: float
    second: float
    p_folds: float | None = None
    p_groups: float | None = None
    ways: int = 0

    @property
    def gain(self) -> float:
        """By how much the first is better, whichever way the metric goes."""
        return (self.first - self.second) * (1 if scale_of(self.metric).higher_is_better else -1)


# Of two records at a level; None where the answers of either are not kept.
Permute = Callable[[RunRecord, RunRecord, str], Permutation | None]


def duels(records: Iterable[RunRecord], first: str, second: str, permute: Permute) -> list[Duel]:
    """Every task on which both embeddings have a run of the same strategy and probe; p are Holm-corrected over tasks."""
    records = list(records)
    grids = {name: Grid(record for record in records if record.embedding == name) for name in (first, second)}
    found = []
    for row in grids[first].tasks:
        one, other = (grids[name].cell(row.name, name) for name in (first, second))
        if other is None or None in (one.score.mean, other.score.mean):
            continue
        a, b = one.record, other.record
        if (a.strategy, a.probe, one.level) != (b.strategy, b.probe, other.level):
            continue
        swapped = permute(a, b, one.level)
        found.append(
            Duel(
                a.task, a.primary, one.level, a.strategy, a.probe, one.score.mean, other.score.mean,
                _p_folds(a, one.score.folds, other.score.folds),
                swapped.p if swapped else None, swapped.ways if swapped else 0,
            )
        )  # fmt: skip
    for name in ("p_folds", "p_groups"):
        tested = [i for i, duel in enumerate(found) if getattr(duel, name) is not None]
        for i, p in zip(tested, holm([getattr(found[i], name) for i in tested]).tolist(), strict=True):
            found[i] = replace(found[i], **{name: p})
    return found


def print_duels(records: Iterable[RunRecord], found: list[Duel], first: str, second: str) -> None:
    """Print a table of tasks, and what they say together."""
    out = console()
    heads = ("task", "strategy, probe, level", "metric", first, second, "difference", "p folds", "p groups")
    table = plain_table()
    for i, name in enumerate(heads):
        table.add_column(name, justify="right" if i >= 3 else "left", overflow="fold")
    for duel in found:
        scale = scale_of(duel.metric)
        is_sure = any(p is not None and p <= ALPHA for p in (duel.p_folds, duel.p_groups))
        style = "" if not is_sure else "green" if duel.gain > 0 else "red"
        cells = (
            duel.task, f"{duel.strategy}, {duel.probe}, {duel.level}", metric_title(duel.metric), scale.number(duel.first),
            scale.number(duel.second), f"{scale.factor * (duel.first - duel.second):+.{scale.decimals}f}",
            *("–" if p is None else f"{p:.3f}" for p in (duel.p_folds, duel.p_groups)),
        )  # fmt: skip
        table.add_row(*(Text(cell, style=style) for cell in cells))
    out.print(table)
    won, lost = sum(duel.gain > 0 for duel in found), sum(duel.gain < 0 for duel in found)
    line = f"{first} is better on {won}, {second} on {lost}, none on {len(found) - won - lost} of {len(found)} tasks."
    belief = Standings(Grid(record for record in records if record.embedding in (first, second))).belief(first, second)
    if belief:
        line += (
            f" Bayesian signed-rank test over tasks: {first} better {belief.first:.2f}, within {100 * ROPE:g} point "
            f"{belief.same:.2f}, {second} better {belief.second:.2f}."
        )
    out.print(line)
    out.print(
        "p folds: corrected resampled t-test; p groups: paired permutation of the answers of whole groups of clips; both "
        f"Holm-corrected over tasks; coloured where one is at most {ALPHA:g}."
    )


def _p_folds(record: RunRecord, first: list[float | None], second: list[float | None]) -> float | None:
    if len(first) != len(second) or len(first) < 2 or None in (*first, *second):
        return None
    sizes = [fold.test / fold.train for fold in record.folds if fold.train]
    ratio = float(np.mean(sizes)) if sizes else 1 / (len(first) - 1)
    return corrected_t_test(np.subtract(first, second), ratio).p
