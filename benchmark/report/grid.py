"""Tasks by embeddings: which run stands for each pair, and what is averaged over tasks.

The choice never looks at a score, so that no embedding gets the better of two tries.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.metrics.ranking import ranks
from benchmark.report.records import RunRecord, Score
from benchmark.report.scales import Scale, scale_of

STRATEGIES = ("frozen", "partial", "full", "scratch")
PROBES = ("logistic", "mlp")
DOMAINS = ("speech", "music", "environment")
RULE = (
    "Where a pair has several runs, the first is shown: frozen before partial, full and scratch; then "
    "logistic before mlp and the rest by name; the level is file where there is one."
)


def order(value: str, known: Sequence[str]) -> tuple[int, str]:
    """Sort key: the known values in their order, then the rest by name."""
    return (known.index(value) if value in known else len(known), value)


def preference(record: RunRecord) -> tuple[tuple[int, str], tuple[int, str]]:
    """Sort key of the runs of one task under one embedding: the first stands for them."""
    return order(record.strategy, STRATEGIES), order(record.probe, PROBES)


def preferred_level(record: RunRecord) -> str:
    """The level at which a run is shown when there is room for one."""
    return min(record.scores, key=lambda level: order(level, ("file", "track", "frame")))


@dataclass(frozen=True)
class Cell:
    """The run that stands for a task under an embedding."""

    record: RunRecord
    level: str
    is_first_choice: bool

    @property
    def score(self) -> Score:
        return self.record.scores[self.level][self.record.primary]

    @property
    def scale(self) -> Scale:
        return scale_of(self.record.primary)

    @property
    def text(self) -> str:
        """Mean ± std; marked where other pairs of the task have a run that comes before."""
        text = self.scale.cell(self.score.mean, self.score.std)
        return text if self.is_first_choice else f"{text} †"

    @property
    def normalised(self) -> float | None:
        """0 at chance, 1 at the best possible score; None where the metric has no such ends."""
        return None if self.score.mean is None else self.scale.normalised(self.score.mean, self.record.chance)


@dataclass(frozen=True)
class TaskRow:
    """What is said about a task beside its scores."""

    name: str
    title: str
    domain: str
    metric: str
    chance: float | None
    majority: float | None
    shuffled: float | None

    @property
    def controls(self) -> list[str]:
        """Scores without listening: of guesses, of the most frequent class, and of probes of shuffled labels."""
        shown = [self.chance, self.majority, self.shuffled]
        return ["–" if score is None else scale_of(self.metric).number(score) for score in shown]


@dataclass(frozen=True)
class Average:
    """Mean over `n` of the `of` tasks that count; None over none."""

    mean: float | None
    n: int
    of: int

    def text(self, factor: float = 100.0, decimals: int = 1) -> str:
        """In per cent by default, with the number of tasks where some are missing."""
        if self.mean is None:
            return "–"
        return f"{factor * self.mean:.{decimals}f}" + (f" ({self.n}/{self.of})" if self.n < self.of else "")


class Grid:
    """Tasks in rows (by domain, then name), embeddings in columns (best mean rank first), a cell a run.

    Args:
        records: finished runs.
        separation: take the runs of separators, which stand in the place of embeddings, instead of all others.
    """

    def __init__(self, records: Iterable[RunRecord], separation: bool = False) -> None:
        runs: dict[tuple[str, str], list[RunRecord]] = {}
        chosen = [record for record in records if (record.kind == "separation") == separation]
        for record in sorted(chosen, key=lambda record: record.identity):
            runs.setdefault((record.task, record.embedding), []).append(record)
        first = {pair: min(found, key=preference) for pair, found in runs.items()}
        choice: dict[str, tuple] = {}
        for (task, _), record in first.items():
            choice[task] = min(choice.get(task, preference(record)), preference(record))
        self.cells = {
            pair: Cell(record, preferred_level(record), preference(record) == choice[pair[0]])
            for pair, record in first.items()
        }
        of_task: dict[str, list[Cell]] = {}
        for (task, _), cell in self.cells.items():
            of_task.setdefault(task, []).append(cell)
        self.tasks = sorted(
            (_task_row(name, cells) for name, cells in of_task.items()),
            key=lambda row: (order(row.domain, DOMAINS), row.name),
        )
        self.domains = list(dict.fromkeys(row.domain for row in self.tasks))
        self.titles = {record.embedding: record.label for record in first.values()}
        self.embeddings = sorted(self.titles)
        table = ranks(self.scores())
        self._ranks = {
            name: dict(zip((task.name for task in self.tasks), column, strict=True))
            for name, column in zip(self.embeddings, table.T, strict=True)
        }
        self.embeddings.sort(key=lambda name: (self.mean_rank(name).mean or float("inf"), name))

    def cell(self, task: str, embedding: str) -> Cell | None:
        """The cell of a pair, None where there is no run."""
        return self.cells.get((task, embedding))

    def average(self, embedding: str, domain: str | None = None) -> Average:
        """Mean score over the tasks (of a domain) whose metric is a fraction of which more is better."""
        counted = [
            row.name
            for row in self.tasks
            if (domain is None or row.domain == domain)
            and scale_of(row.metric).is_fraction
            and scale_of(row.metric).higher_is_better
        ]
        return _average(
            [cell.score.mean for task in counted if (cell := self.cell(task, embedding)) is not None], len(counted)
        )

    def scores(self) -> np.ndarray:
        """Means (tasks, embeddings), turned where less is better so that more is; NaN where there is none."""
        table = np.full((len(self.tasks), len(self.embeddings)), np.nan)
        for i, row in enumerate(self.tasks):
            sign = 1.0 if scale_of(row.metric).higher_is_better else -1.0
            for j, name in enumerate(self.embeddings):
                cell = self.cell(row.name, name)
                if cell is not None and cell.score.mean is not None:
                    table[i, j] = sign * cell.score.mean
        return table

    def mean_rank(self, embedding: str, domain: str | None = None) -> Average:
        """Mean rank over the tasks (of a domain): 1 is the best; equal scores share the mean of their ranks."""
        found = [self._ranks[embedding][row.name] for row in self.tasks if domain is None or row.domain == domain]
        return _average([None if np.isnan(rank) else float(rank) for rank in found], len(found))

    def best(self, task: str) -> Cell | None:
        """The best cell of a task; the first by name among equals."""
        found = [cell for (name, _), cell in sorted(self.cells.items()) if name == task and cell.score.mean is not None]
        if not found:
            return None
        top = found[0].scale.best([cell.score.mean for cell in found])
        return next(cell for cell in found if cell.score.mean == top)


def _task_row(name: str, cells: Sequence[Cell]) -> TaskRow:
    run = cells[0].record
    controls = [(cell.record.shuffled or {}).get(cell.level, {}).get(run.primary) for cell in cells]
    shuffled = _average([control.mean if control else None for control in controls], len(cells)).mean
    # Elsewhere the score of the majority class is not in the metric's own terms.
    majority = run.majority if run.primary == "accuracy" else None
    return TaskRow(name, run.title, run.domain, run.primary, run.chance, majority, shuffled)


def _average(values: Iterable[float | None], of: int) -> Average:
    there = [value for value in values if value is not None]
    return Average(sum(there) / len(there) if there else None, len(there), of)
