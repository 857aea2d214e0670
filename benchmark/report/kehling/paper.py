"""What Kehling & Cano (CMMR 2021) print, and which tasks and embeddings stand for theirs.

For every question the first of the named tasks that has a run is taken: their own data before the rendered counterpart.
"""

import json
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Strategy = Literal["frozen", "partial", "full", "scratch"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_Part):
    """A target task of the transfer: its role in the paper, and the tasks here that ask the same, best first."""

    role: str
    title: str
    tasks: list[str]


class Source(_Part):
    """A training set; `tasks` ask for speech or music, `three` for noise as well."""

    role: str
    title: str
    tasks: list[str]
    three: list[str]


class Model(_Part):
    """A row of Table 2, and the embeddings here that are it, by input."""

    name: str
    title: str
    mel: list[str]
    mfcc: list[str]


class DatasetFacts(_Part):
    """A row of Table 1; what the paper does not give is None. `task`: whose classes are counted, of several on one set."""

    dataset: str
    task: str | None = None
    title: str
    use: Literal["training", "transfer"]
    classes: dict[str, int]
    rate_hz: int | None
    bits: int | None
    minutes: float | None


class Paper(_Part):
    """The paper's numbers: `table2[role][model][strategy]` is (mean, std) in per cent over `folds` folds."""

    paper: str
    folds: int
    targets: list[Target]
    sources: list[Source]
    models: list[Model]
    table1: list[DatasetFacts]
    table2: dict[str, dict[str, dict[Strategy, tuple[float, float]]]]

    def target_tasks(self) -> set[str]:
        """Names of all tasks that have a part in the paper's tables and figures."""
        lists: list[Any] = [*self.targets, *self.sources]
        return {task for part in lists for task in part.tasks} | {t for part in self.sources for t in part.three}


@cache
def paper() -> Paper:
    """Read the numbers that come with the package."""
    return Paper.model_validate(json.loads(resources.files(__package__).joinpath("paper.json").read_bytes()))
