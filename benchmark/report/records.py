"""The record of a run: one small JSON file with every fold's scores and everything needed to trust them.

The JSON is strict: no NaN, sorted keys, numbers as their shortest exact decimals. What is missing is null, with
a reason.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints, ValidationError, model_validator

from benchmark.errors import UserError
from benchmark.report.atomic import write_text

# Two hyphens separate the names in a file name, so a name must not hold them.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:-?[a-z0-9._])*-?$", max_length=80)]
Level = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]

_FLAT_LIST = re.compile(r"\[\s*\n([-+0-9.eE\s,nul]*)\]")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Score(_Strict):
    """One metric over K folds. Mean and std (ddof = 1) are null where they are not defined; `reason` says why.

    `interval` holds the mean with 95 % probability where other groups are drawn for the test, see
    `benchmark.metrics.intervals`; null where it is not known.
    """

    folds: list[FiniteFloat | None]
    mean: FiniteFloat | None
    std: FiniteFloat | None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    reason: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _explain(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("reason"):
            return data
        folds = data.get("folds") or []
        empty = [str(i + 1) for i, value in enumerate(folds) if value is None]
        if data.get("mean") is None:
            reason = f"not defined on fold {', '.join(empty)}" if empty else "not defined"
        elif data.get("std") is None:
            reason = "one fold has no spread" if len(folds) == 1 else "no spread"
        else:
            reason = None
        return {**data, "reason": reason}


class LostClip(_Strict):
    """A clip that could not be read, and why."""

    id: str
    reason: str


class Clips(_Strict):
    """How many clips were used, and those that were lost."""

    used: int = Field(ge=0)
    lost: list[LostClip] = Field(default_factory=list)


class Fold(_Strict):
    """Sizes of a fold's parts, in clips, and the settings that its validation part chose."""

    train: int = Field(ge=0)
    valid: int = Field(ge=0)
    test: int = Field(ge=0)
    chosen: dict[str, Any] = Field(default_factory=dict)


class Reference(_Strict):
    """A number from the literature, as its paper prints it."""

    paper: str
    metric: str
    value: FiniteFloat | None = None
    std: FiniteFloat | None = None
    system: str | None = None
    verified: bool = True
    values: dict[str, FiniteFloat] = Field(default_factory=dict)


class Null(_Strict):
    """Accuracy that the control is expected to reach by the answers that it gives, and its standard error."""

    expected: FiniteFloat
    standard_error: FiniteFloat


class Track(_Strict):
    """Scores of one separated track of a fold's test part: metric -> score of each source, null where not defined.

    Of BSS Eval v4 also how many windows there were, and how many of them count for nothing since something is silent.
    """

    id: str
    fold: int = Field(ge=0)
    scores: dict[str, list[FiniteFloat | None]]
    windows: int = Field(0, ge=0)
    silent_windows: int = Field(0, ge=0)


class RunRecord(_Strict):
    """A task under an embedding, a strategy and a probe.

    Scores are by level and metric; `chance` and `majority` are scores of the primary metric without listening;
    `confusion` has a matrix a level, rows the true class; `per_class` has scores of each class (or slot) alone. `null` is
    what the control's accuracy is expected to be, exactly. `front_end` says what was heard in place of the clips. `key` is
    the content key, made of `ingredients`.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    task: Name
    title: str
    domain: str
    kind: str
    embedding: Name
    embedding_title: str = ""
    strategy: Name
    probe: Name
    primary: str
    scores: dict[Level, dict[str, Score]]
    shuffled: dict[Level, dict[str, Score]] | None = None
    null: dict[Level, Null] | None = None
    chance: FiniteFloat | None = None
    majority: FiniteFloat | None = None
    classes: list[str] | None = None
    confusion: dict[Level, list[list[int | FiniteFloat]]] | None = None
    per_class: dict[Level, dict[str, dict[str, FiniteFloat]]] | None = None
    clips: Clips
    folds: list[Fold] = Field(default_factory=list)
    reference: Reference | None = None
    front_end: str | None = None
    tracks: list[Track] | None = None
    key: str
    ingredients: dict[str, str] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agree(self) -> "RunRecord":
        if not self.scores:
            raise ValueError("scores: no level is there")
        for level, metrics in self.scores.items():
            if self.primary not in metrics:
                raise ValueError(f"scores: {level}: the primary metric {self.primary!r} is missing")
        for level, matrix in (self.confusion or {}).items():
            size = len(self.classes or [])
            if len(matrix) != size or any(len(row) != size for row in matrix):
                raise ValueError(f"confusion: {level}: not one row and one column for each of {size} classes")
        return self

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Task, embedding, strategy, probe: what no two records share."""
        return self.task, self.embedding, self.strategy, self.probe

    @property
    def label(self) -> str:
        """The embedding's title, or its name where it has none."""
        return self.embedding_title or self.embedding

    def track_scores(self) -> list[float]:
        """The primary metric of every separated track, the mean over its sources; empty where nothing was separated."""
        of_tracks = [
            [value for value in track.scores[self.primary] if value is not None] for track in self.tracks or []
        ]
        return [sum(values) / len(values) for values in of_tracks if values]


def record_path(folder: Path, task: str, embedding: str, strategy: str, probe: str) -> Path:
    """Where the record of a run is."""
    return Path(folder) / f"{task}--{embedding}--{strategy}--{probe}.json"


def write_record(record: RunRecord, folder: Path) -> Path:
    """Write `record` into `folder`, whole or not at all; the same record gives the same bytes."""
    text = json.dumps(
        record.model_dump(mode="json", by_alias=True), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False
    )
    path = record_path(folder, *record.identity)
    # Lists of numbers on one line: a matrix of 35 classes is 35 lines, not 1,300.
    write_text(path, _FLAT_LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n")
    return path


def read_record(path: Path) -> RunRecord:
    """Read one record.

    Raises:
        UserError: the file is damaged, or is not the record that its name says.
        FileNotFoundError: it is not there.
    """
    mend = "delete the file and run `dvc repro`, which makes it again"
    try:
        record = RunRecord.model_validate(json.loads(Path(path).read_bytes(), parse_constant=_refuse))
    except FileNotFoundError:
        raise
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "record"
        raise UserError(f"{path}: {field}: {first['msg']}; {mend}") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: line {error.lineno}, column {error.colno}: not JSON ({error.msg}); {mend}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not strict JSON ({error}); {mend}") from None
    expected = record_path(Path(path).parent, *record.identity)
    if expected.name != Path(path).name:
        raise UserError(f"{path}: holds the record of {expected.name}; {mend}")
    return record


def read_records(folder: Path) -> list[RunRecord]:
    """Read every record in `folder` and the folders in it, sorted by identity; none where there is no folder.

    Raises:
        UserError: a record is damaged, or two files hold the same run.
    """
    found: dict[tuple[str, str, str, str], tuple[Path, RunRecord]] = {}
    for path in sorted(Path(folder).rglob("*.json")):
        if path.name.startswith("."):
            continue
        record = read_record(path)
        if record.identity in found:
            raise UserError(f"{path}: the same run is in {found[record.identity][0]}; delete one of the two")
        found[record.identity] = path, record
    return [record for _, (_, record) in sorted(found.items(), key=lambda item: item[0])]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")
