"""Compare two leaderboards: what moved and whether that is more than noise, what is new, gone or stale, and why."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, stdtr
from scipy.stats import wilcoxon

from benchmark.metrics.comparisons import corrected_t_test, holm
from benchmark.report.leaderboard import IDENTITY, INGREDIENTS
from benchmark.report.scales import scale_of

KEY = [*IDENTITY, "metric"]
ALPHA = 0.05
# A change of the interval's ends is so many standard errors wide.
_WIDTH = 2 * 1.96
# Scores in a leaderboard are rounded to this.
_ROUNDED = 1e-4


@dataclass(frozen=True)
class Change:
    """A row that both leaderboards have.

    Attributes:
        row: task, embedding, strategy, probe, level and metric.
        old, new: means; None where they are not defined.
        standard_error: of the difference; None where nothing says how large it is.
        p: two-sided, of no difference; Holm-corrected over all rows that were computed again. None where not tested.
        causes: the ingredients of the content key that differ.
        is_stale: the run had a score and has no result of what it depends on now.
    """

    row: tuple[str, ...]
    old: float | None
    new: float | None
    standard_error: float | None
    p: float | None
    causes: tuple[str, ...]
    is_stale: bool = False

    @property
    def metric(self) -> str:
        return self.row[-1]

    @property
    def difference(self) -> float | None:
        """New less old mean; None where either is missing."""
        return None if self.old is None or self.new is None else self.new - self.old

    @property
    def moved(self) -> bool:
        return self.old != self.new and not self.is_stale

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

    def is_significant(self, alpha: float = ALPHA) -> bool:
        """Whether the difference is more than noise, however many rows are looked at."""
        return self.p is not None and self.p <= alpha and self.moved


@dataclass(frozen=True)
class Trend:
    """All tasks together: the mean gain in per cent scores, over how many tasks, and Wilcoxon's p of none (two-sided)."""

    gain: float
    tasks: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """Two leaderboards side by side.

    Attributes:
        changes: runs in both, the most moved first.
        averages: scores over tasks that moved.
        trend: of the runs that were computed again; None where there is none.
        new, gone: rows (task, embedding, strategy, probe, level, metric) that have a result in one alone.
    """

    old_name: str
    new_name: str
    changes: list[Change] = field(default_factory=list)
    averages: list[Change] = field(default_factory=list)
    new: list[tuple[str, ...]] = field(default_factory=list)
    gone: list[tuple[str, ...]] = field(default_factory=list)
    trend: Trend | None = None

    @property
    def moved(self) -> list[Change]:
        """Runs whose score is another."""
        return [change for change in self.changes if change.moved]

    @property
    def stale(self) -> list[Change]:
        """Runs that had a score and have no result of what they depend on now."""
        return [change for change in self.changes if change.is_stale]

    @property
    def recomputed(self) -> list[Change]:
        """Runs whose score is the same though an ingredient of their content key is another."""
        return [change for change in self.changes if change.causes and change.old == change.new]

    @property
    def unexplained(self) -> list[Change]:
        """Runs whose score moved though no ingredient of their content key did."""
        return [change for change in self.moved if not change.causes]

    @property
    def causes(self) -> dict[str, int]:
        """Ingredient that is another -> number of runs, the most first."""
        return dict(Counter(cause for change in self.changes for cause in change.causes).most_common())

    def improvements(self, alpha: float = ALPHA) -> list[Change]:
        """Runs that gained more than noise."""
        return [change for change in self.moved if change.is_significant(alpha) and (change.gain or 0) > 0]

    def regressions(self, alpha: float = ALPHA) -> list[Change]:
        """Runs that lost more than noise, or whose score is not defined any more."""
        return [
            change
            for change in self.moved
            if (change.is_significant(alpha) and (change.gain or 0) < 0)
            or (change.old is not None and change.new is None)
        ]

    def is_loss(self, alpha: float = ALPHA) -> bool:
        """Whether runs lost, or all tasks together did though no run alone shows it.

        Of comparisons in which there is nothing but noise, at most the part `alpha` is called a loss: half of it by runs
        and half by tasks, since the p of both are two-sided.
        """
        trend = self.trend
        return bool(self.regressions(alpha)) or (trend is not None and trend.p <= alpha and trend.gain < 0)


def compare(old: pd.DataFrame, new: pd.DataFrame, old_name: str = "old", new_name: str = "new") -> Comparison:
    """Compare two leaderboards as `benchmark.report.revisions.read_leaderboard` reads them."""
    before, after = (
        {tuple(row[name] for name in KEY): row for row in table.to_dict("records")} for table in (old, new)
    )
    comparison = Comparison(old_name, new_name)
    changes: list[Change] = []
    for row in sorted(before.keys() | after.keys()):
        was, now = before.get(row), after.get(row)
        if row[0].startswith("("):
            if was and now and was["mean"] != now["mean"]:
                change = Change(row, _number(was["mean"]), _number(now["mean"]), None, None, ())
                comparison.averages.append(change)
        elif was is None or not was["folds"]:
            if now is not None and now["folds"]:
                comparison.new.append(row)
        elif now is None:
            comparison.gone.append(row)
        else:
            changes.append(_change(row, was, now))
    # A run that nobody computed again is no chance of a false alarm.
    tested = [i for i, change in enumerate(changes) if change.p is not None and (change.moved or change.causes)]
    corrected = dict(zip(tested, holm([changes[i].p for i in tested]).tolist(), strict=True))
    comparison = replace(comparison, trend=_trend([changes[i] for i in tested]))
    changes = [replace(change, p=corrected.get(i)) for i, change in enumerate(changes)]
    comparison.changes.extend(sorted(changes, key=lambda change: (-abs(change.gain or 0.0), change.row)))
    return comparison


def _trend(changes: Sequence[Change]) -> Trend | None:
    gains = defaultdict(list)
    for change in changes:
        scale = scale_of(change.metric)
        if scale.is_fraction and change.difference is not None:
            gains[change.row[0]].append(change.difference if scale.higher_is_better else -change.difference)
    of_task = [float(np.mean(found)) for found in gains.values()]
    if not of_task:
        return None
    return Trend(float(np.mean(of_task)), len(of_task), float(wilcoxon(of_task).pvalue) if any(of_task) else 1.0)


def _change(row: tuple[str, ...], old: Mapping[str, Any], new: Mapping[str, Any]) -> Change:
    columns = [f"key_{name}" for name in INGREDIENTS if f"key_{name}" in old and f"key_{name}" in new]
    causes = tuple(column.removeprefix("key_") for column in columns if old[column] != new[column])
    is_stale = not new["folds"]
    error, p = (None, None) if is_stale else _test(row[-1], old, new, causes)
    return Change(row, _number(old["mean"]), _number(new["mean"]), error, p, causes, is_stale)


def _test(
    metric: str, old: Mapping[str, Any], new: Mapping[str, Any], causes: tuple[str, ...]
) -> tuple[float | None, float | None]:
    """Standard error of the difference and its p, from what is known of it, the best first.

    The same folds on both sides: the corrected t-test of their differences, of which the spread is taken to be no less
    than a clip in a fold, or rounding. Other folds: Welch's t-test. A single fold: the widths of the intervals.
    """
    difference = _number(new["mean"] - old["mean"])
    if difference is None:
        return None, None
    before, after = _folds(old), _folds(new)
    if len(before) == len(after) >= 2 and not {"annotation", "task"} & set(causes):
        k = len(before)
        clips = _number(new.get("clips", math.nan))
        step = k / clips if clips and scale_of(metric).is_fraction else 0.0
        test = corrected_t_test(np.subtract(after, before), 1 / (k - 1), max(step, _ROUNDED))
        return test.standard_error, test.p
    parts = [(row["std"] ** 2 / row["folds"], row["folds"] - 1) for row in (old, new)]
    if all(math.isfinite(variance) and free > 0 for variance, free in parts):
        error = math.sqrt(sum(variance for variance, _ in parts))
        if error == 0:
            return 0.0, float(difference == 0)
        freedom = error**4 / sum(variance**2 / free for variance, free in parts)
        return error, float(2 * stdtr(freedom, -abs(difference) / error))
    widths = [(row.get("ci_high", math.nan) - row.get("ci_low", math.nan)) / _WIDTH for row in (old, new)]
    error = math.hypot(*widths)
    if math.isfinite(error) and error > 0:
        return error, float(2 * ndtr(-abs(difference) / error))
    return None, None


def _folds(row: Mapping[str, Any]) -> list[float]:
    """Scores of the folds; none where one is missing."""
    texts = str(row.get("scores", "")).split()
    return [] if "-" in texts else [float(text) for text in texts]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
