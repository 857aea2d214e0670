"""Who stands where over all tasks: averages, ranks, and which differences are more than chance."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from scipy.stats import wilcoxon

from benchmark.metrics.bayes import Belief, signed_rank
from benchmark.metrics.comparisons import holm
from benchmark.metrics.ranking import (
    Friedman,
    borda,
    complete,
    critical_difference,
    friedman,
    hear_score,
    indistinct,
    ranks,
)
from benchmark.report.grid import Average, Grid
from benchmark.report.scales import scale_of

# Differences of at most one point in a hundred are no difference in practice.
ROPE = 0.01
ALPHA = 0.05
# So many embeddings, the best, are compared two by two; more would fill pages.
_MOST = 25


@dataclass(frozen=True)
class Standing:
    """What an embedding reaches over tasks.

    Attributes:
        hares: plain mean of the scores in per cent (HARES' score of a domain, and of all tasks).
        hear: normalised score of HEAR, in [-1, 1].
        rank: mean rank, 1 the best.
        borda: part of the other embeddings that it beats, in [0, 1].
    """

    embedding: str
    hares: Average
    hear: Average
    rank: Average
    borda: Average


@dataclass(frozen=True)
class Pair:
    """Two embeddings over the tasks that all compared embeddings have; `first` has the better mean rank.

    Attributes:
        won, tied, lost: tasks on which `first` scores more, the same, less.
        difference: mean of `first` less `second`, over tasks scored in per cent; None without any.
        p: of Wilcoxon's signed-rank test over those tasks, Holm-corrected over all pairs; None where it has no meaning.
    """

    first: str
    second: str
    won: int
    tied: int
    lost: int
    difference: float | None
    p: float | None


@dataclass(frozen=True)
class Significance:
    """Ranks over the tasks that every compared embedding has.

    Attributes:
        embeddings: best first, with their mean `ranks`.
        left_out: embeddings and tasks that are not compared since scores are missing.
        difference: Nemenyi's critical difference of ranks at 5 %.
        bars: first and last of the runs of embeddings that it does not tell apart.
    """

    tasks: list[str]
    embeddings: list[str]
    ranks: list[float]
    left_out: list[str]
    friedman: Friedman
    difference: float
    bars: list[tuple[int, int]]


class Standings:
    """Standings of the embeddings of a grid, over all tasks and by domain."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._scores = grid.scores()

    def of(self, domain: str | None = None) -> list[Standing]:
        """A standing an embedding, over the tasks of a domain or all, in the order of the grid."""
        rows = [i for i, task in enumerate(self.grid.tasks) if domain is None or task.domain == domain]
        scores = self._scores[rows]
        counts, n = np.sum(~np.isnan(scores), axis=0), len(rows)

        def average(values: np.ndarray, j: int) -> Average:
            return Average(None if np.isnan(values[j]) else float(values[j]), int(counts[j]), n)

        hear, beaten = hear_score(scores), borda(scores)
        return [
            Standing(
                name,
                self.grid.average(name, domain),
                average(hear, j),
                self.grid.mean_rank(name, domain),
                average(beaten, j),
            )
            for j, name in enumerate(self.grid.embeddings)
        ]

    def averages(self) -> list[tuple[str, list[str]]]:
        """Rows to stand below a table of tasks: a name, and a text an embedding."""
        overall = self.of()
        return [
            *((f"Mean, {domain}", [found.hares.text() for found in self.of(domain)]) for domain in self.grid.domains),
            ("Mean, all", [found.hares.text() for found in overall]),
            ("HEAR score", [found.hear.text(factor=1.0, decimals=2) for found in overall]),
            ("Borda", [found.borda.text() for found in overall]),
            ("Mean rank", [found.rank.text(factor=1.0) for found in overall]),
        ]

    @cached_property
    def significance(self) -> Significance | None:
        """What ranks tell apart; None for fewer than three embeddings or two tasks that they share."""
        rows, columns = self._shared
        if len(rows) < 2 or len(columns) < 3:
            return None
        scores = self._scores[np.ix_(rows, columns)]
        ranked = [float(rank) for rank in ranks(scores).mean(0)]
        names, tasks = [self.grid.embeddings[j] for j in columns], [self.grid.tasks[i].name for i in rows]
        missing = [name for name in self.grid.embeddings if name not in names]
        missing += [task.name for task in self.grid.tasks if task.name not in tasks]
        difference = critical_difference(len(names), len(rows), ALPHA)
        return Significance(tasks, names, ranked, missing, friedman(scores), difference, indistinct(ranked, difference))

    @cached_property
    def pairs(self) -> list[Pair]:
        """Every two of the best embeddings, over the tasks that all compared embeddings have."""
        rows, columns = self._shared
        fractions = np.isin(rows, self._fractions())
        found = []
        for i, j in combinations(columns[:_MOST], 2):
            differences = self._scores[rows, i] - self._scores[rows, j]
            counted = differences[fractions]
            # Of scores that are the same everywhere the test makes nothing.
            p = float(wilcoxon(counted).pvalue) if np.any(counted) else (1.0 if len(counted) else None)
            found.append((self.grid.embeddings[i], self.grid.embeddings[j], differences, counted, p))
        corrected = iter(holm([p for *_, p in found if p is not None]))
        return [
            Pair(
                first,
                second,
                int(np.sum(differences > 0)),
                int(np.sum(differences == 0)),
                int(np.sum(differences < 0)),
                float(counted.mean()) if len(counted) else None,
                None if p is None else float(next(corrected)),
            )
            for first, second, differences, counted, p in found
        ]

    @cached_property
    def _shared(self) -> tuple[np.ndarray, np.ndarray]:
        """Tasks and embeddings, best mean rank over those tasks first, of which every score is there."""
        rows, columns = complete(self._scores)
        if not len(rows):
            return rows, columns
        mean_ranks = ranks(self._scores[np.ix_(rows, columns)]).mean(0)
        names = [self.grid.embeddings[j] for j in columns]
        return rows, columns[sorted(range(len(columns)), key=lambda j: (mean_ranks[j], names[j]))]

    def belief(self, first: str, second: str) -> Belief | None:
        """How probable it is that one of two embeddings is better, over the tasks that both have, scored in per cent."""
        i, j = (self.grid.embeddings.index(name) for name in (first, second))
        differences = (self._scores[:, i] - self._scores[:, j])[self._fractions()]
        differences = differences[~np.isnan(differences)]
        return signed_rank(differences, ROPE) if len(differences) else None

    def _fractions(self) -> list[int]:
        return [i for i, task in enumerate(self.grid.tasks) if scale_of(task.metric).is_fraction]
