"""Which run stands for which cell of the paper."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.report.grid import preferred_level
from benchmark.report.kehling.paper import Model, Paper, Source, Target
from benchmark.report.records import RunRecord, Score

# The paper's classifier behind an embedding is dense 128 + dense output.
_PROBES = ("kehling", "mlp", "logistic")


@dataclass(frozen=True)
class Cell:
    """A score of ours in per cent.

    Attributes:
        task, embedding, strategy, probe, level: the run it comes from.
        mean, std: over folds; None where not defined.
        folds: every fold's score.
    """

    task: str
    embedding: str
    strategy: str
    probe: str
    level: str
    mean: float | None
    std: float | None
    folds: tuple[float, ...]

    @property
    def standard_error(self) -> float | None:
        """Of the mean, folds taken as independent, as the paper's spread invites to; optimistic where they share clips."""
        return None if self.std is None else self.std / math.sqrt(len(self.folds))


class KehlingRuns:
    """The runs at hand, looked up by the paper's roles.

    Args:
        paper: the paper.
        records: finished runs of any tasks.
        absent: embedding -> why it has no runs (its weights are not here).
    """

    def __init__(self, paper: Paper, records: Iterable[RunRecord], absent: Mapping[str, str] | None = None) -> None:
        self.paper = paper
        self.absent = dict(absent or {})
        self._runs: dict[tuple[str, str, str], list[RunRecord]] = {}
        for record in records:
            self._runs.setdefault((record.task, record.embedding, record.strategy), []).append(record)
        self._with_runs = {task for task, _, _ in self._runs}

    @property
    def tasks(self) -> set[str]:
        """Tasks that have runs."""
        return self._with_runs

    def task(self, names: Sequence[str]) -> str | None:
        """The first of `names` that has runs."""
        return next((name for name in names if name in self._with_runs), None)

    def model(self, name: str) -> Model:
        """A model by its name."""
        return next(model for model in self.paper.models if model.name == name)

    def cell(
        self, task: str | None, model: str, strategy: str, features: Literal["mel", "mfcc"] = "mel"
    ) -> Cell | None:
        """Our score of a task under a model and a strategy, at the level of frames where there is one."""
        if task is None:
            return None
        ways = [(name, strategy) for name in getattr(self.model(model), features)]
        if (model, strategy) == ("dnn", "scratch"):
            # The same network, as a probe on the flattened patch: what is trained from scratch there is the probe itself.
            ways += [(name, "frozen") for name in getattr(self.model(model), features)]
        for name, how in ways:
            found = self._runs.get((task, name, how), [])
            if model == "dnn" and how == "frozen":
                found = [record for record in found if record.probe in ("kehling", "mlp")]
            if found:
                return _cell(min(found, key=_preference))
        return None

    def why_not(self, model: str, strategy: str = "frozen") -> str:
        """Why a model has no score under a strategy; from scratch it needs no weights."""
        if strategy == "scratch":
            return "no run"
        names = self.model(model).mel
        return self.absent[names[0]] if all(name in self.absent for name in names) else "no run"

    def titled(self, part: Target | Source, three: bool = False) -> str:
        """The title of a task of the paper, with the one in brackets that stands for it where its own data are not here."""
        names = part.three if three and isinstance(part, Source) else part.tasks
        task = self.task(names)
        return part.title if task in (None, names[0]) else f"{part.title} [{task}]"


def _preference(record: RunRecord) -> tuple[int, str]:
    return (_PROBES.index(record.probe) if record.probe in _PROBES else len(_PROBES), record.probe)


def _cell(record: RunRecord) -> Cell:
    level = "frame" if "frame" in record.scores else preferred_level(record)
    score: Score = record.scores[level].get("accuracy", record.scores[level][record.primary])
    folds = tuple(100 * value for value in score.folds if value is not None)
    mean, std = (None if value is None else 100 * value for value in (score.mean, score.std))
    return Cell(record.task, record.embedding, record.strategy, record.probe, level, mean, std, folds)
