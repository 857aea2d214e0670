"""The YAML of a task: a question about a dataset, and how its answers are scored."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from benchmark.config import kinds
from benchmark.config.base import Name, Schema
from benchmark.config.front_end import FrontEndConfig
from benchmark.config.schema_dataset import DatasetConfig
from benchmark.config.schema_embedding import Strategy
from benchmark.config.schema_probe import PROTOCOLS, ProbeName, protocol_settings

Kind = Literal["multiclass", "multilabel", "slots", "events", "regression", "verification", "separation"]


class FoldsConfig(Schema):
    """How clips are divided into training, validation and test parts."""

    kind: Literal["official", "grouped", "stratified", "repeated_holdout"] = "grouped"
    k: int = Field(5, ge=2, le=100, description="number of folds, or of draws")
    seed: int = 0
    valid: float = Field(
        0.1, gt=0, lt=0.5, description="part of all clips that is taken from the training part for validation"
    )
    test: float = Field(0.1, gt=0, lt=0.5, description="repeated_holdout: part of all clips in the test part of a draw")


class ReferenceConfig(Schema):
    """A number from the literature to be shown beside ours. Without `value`, `paper` says why there is none: `none: ...`."""

    paper: str
    metric: str
    value: float | None = Field(None, description="as the paper prints it, in per cent where it prints per cent")
    std: float | None = None
    system: str | None = None
    verified: bool = True
    values: dict[str, float] = Field(default_factory=dict, description="more of the paper's numbers, by system")


class SmoothingConfig(Schema):
    """From posteriors of frames to events; of all combinations the best on the validation part is taken."""

    threshold: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        default_factory=lambda: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        description="a class is on where its posterior is above",
    )
    median_s: list[Annotated[float, Field(ge=0)]] = Field(
        default_factory=lambda: [0.0, 0.25, 0.5, 1.0], description="width of the median filter over what is on"
    )
    viterbi: list[Annotated[float, Field(ge=0)]] = Field(
        default_factory=lambda: [1.0, 3.0, 10.0, 30.0],
        description="cost of a change between on and off, in nats; the best path instead of threshold and filter",
    )
    shortest_s: list[Annotated[float, Field(ge=0)]] = Field(
        default_factory=lambda: [0.0, 0.125, 0.25], min_length=1, description="shorter events are dropped"
    )

    @model_validator(mode="after")
    def _any(self) -> "SmoothingConfig":
        if not self.viterbi and not (self.threshold and self.median_s):
            raise ValueError("give `threshold` and `median_s`, or `viterbi`")
        return self


class SmokeConfig(Schema):
    """How the smoke profile shrinks a task."""

    max_clips: int | None = Field(None, gt=0, description="clips kept, evenly over classes and groups")
    max_frames_per_clip: int | None = Field(None, gt=0)
    strategies: list[Strategy] | None = Field(None, description="in place of the task's own")
    embeddings: list[str] | None = Field(None, description="in place of the task's own")
    folds: int | None = Field(None, gt=0, description="separation: the first so many folds alone")


class TaskConfig(Schema):
    """One task of the benchmark."""

    name: Name
    title: str = ""
    domain: Literal["speech", "music", "environment"]
    kind: Kind = "multiclass"
    dataset: str | DatasetConfig = Field(description="a dataset's name, or an inline description")
    label: str | list[str] = Field(
        "label", description="the field of the dataset that is predicted; slots: the list of fields, one a slot"
    )
    front_end: FrontEndConfig | None = Field(
        None, description="what is embedded instead of the clips: a separator's estimate, or a stem (`oracle:vocals`)"
    )
    embeddings: list[str] = Field(
        default_factory=lambda: ["*"], min_length=1, description="names or globs of the embeddings that are asked"
    )
    sources: list[Name] = Field(
        default_factory=list, description="separation: what the mixture is taken apart into, fields `stem_<source>`"
    )
    order: Literal["fixed", "any"] = Field(
        "fixed", description="separation: `any` where sources differ by chance alone, as two speakers do"
    )
    group: str | None = Field(
        None, description="the field that must not be split between folds; the dataset's own by default"
    )
    split: str | None = Field(
        None, description="the field with the official part or fold; the dataset's own by default"
    )
    classes: list[str] | None = Field(None, description="classes in order; those found, sorted, by default")
    filter: dict[str, str | list[str]] = Field(default_factory=dict, description="field -> values that are kept")
    map: dict[str, str] = Field(default_factory=dict, description="label in the data -> class of the task")
    folds: FoldsConfig = FoldsConfig()
    trials: str | None = Field(
        None, description="verification: a file below the dataset's folder, a line `0|1 id id`; all pairs by default"
    )
    segments: int = Field(
        1, ge=1, description="verification: so many clips of an identity, by their mean, are compared with a single one; "
        "multiclass: the mean of so many clips of a class in a test part is asked",
    )  # fmt: skip
    smoothing: SmoothingConfig | None = Field(None, description="events: how frames become events")
    balance: Literal["none", "downsample", "downsample_all", "class_weight"] = Field(
        "none", description="downsample: the training part; downsample_all: the whole set, before it is divided"
    )
    metrics: list[str] = Field(
        default_factory=lambda: ["accuracy"], min_length=1, description="the first is the primary one; by kind"
    )
    levels: list[Literal["file", "frame"]] = Field(default_factory=lambda: ["file"], min_length=1)
    probes: list[ProbeName] = Field(
        default_factory=lambda: ["logistic"], min_length=1, description="solvers or protocols; `probe: hear` names one"
    )
    strategies: list[Strategy] = Field(
        default_factory=lambda: ["frozen"],
        min_length=1,
        description="frozen: the probes; partial, full: a pretrained network learns on behind, or before and behind, its "
        "freezing point; scratch: it learns from nothing",
    )
    max_frames_per_clip: int | None = Field(
        None, gt=0, description="evenly spaced frames of a clip that the probe sees"
    )
    control: bool = Field(True, description="also score the probe on shuffled labels")
    reference: ReferenceConfig | None = None
    note: str | None = None
    smoke: SmokeConfig = SmokeConfig()
    profiles: list[str] | None = Field(None, description="profiles that it is in; all by default")
    version: int = Field(1, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "name" not in data:
            return data
        data = dict(data)
        data["title"] = data.get("title") or str(data["name"])
        if isinstance(data.get("probe"), str) and "probes" not in data:
            data["probes"] = [data.pop("probe")]
        kind = data.get("kind", "multiclass")
        if kind == "events":
            data.setdefault("smoothing", {})
        if kind in kinds.METRICS:
            data.setdefault("probes", [kinds.PROBES.get(kind, "logistic")])
            if "metrics" not in data and isinstance(data["probes"], list):
                data["metrics"] = [kinds.metrics_of(kind, data["probes"])[0]]
        inline = data.get("dataset")
        if isinstance(inline, dict):
            data["dataset"] = {"name": data["name"], **inline}
            for key in ("label", "group"):
                # A table's columns are the task's fields: the user names them once.
                if "csv" in inline and key in data and key not in inline:
                    data["dataset"][key] = data[key]
        return data

    @field_validator("classes", "filter", mode="before")
    @classmethod
    def _strings(cls, value: Any) -> Any:
        flat = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
        for item in flat:
            for one in item if isinstance(item, list) else [item]:
                if not isinstance(one, str):
                    raise ValueError(
                        f"{one!r} is not text; quote it ('{str(one).lower()}'), since YAML reads it as something else"
                    )
        return value

    @field_validator("levels", "probes", "metrics", "sources", "strategies")
    @classmethod
    def _unique(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise ValueError("an entry is there twice")
        return value

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "TaskConfig":
        kind = self.kind
        if kind not in kinds.METRICS:
            return self
        known = kinds.metrics_of(kind, self.probes)
        for name in self.metrics:
            if name not in known:
                raise ValueError(f"metrics: {name!r} {_misfit(name, kind)}: {', '.join(known)}")
        if isinstance(self.label, list) != (kind == "slots"):
            raise ValueError("label: a list of fields for kind slots, one field for every other kind")
        if isinstance(self.label, list) and (len(self.label) < 2 or len(set(self.label)) < len(self.label)):
            raise ValueError("label: kind slots needs two different fields or more")
        if kind == "separation" and self.front_end is not None:
            raise ValueError("front_end: separation asks nothing of embeddings; leave it out")
        if kind == "separation" and not self.sources:
            raise ValueError("sources: missing; kind separation needs them, such as [vocals, accompaniment]")
        for field, is_given, fitting in (
            ("sources", bool(self.sources), ("separation",)),
            ("classes", self.classes is not None, kinds.WITH_CLASSES),
            ("trials", self.trials is not None, ("verification",)),
            ("smoothing", self.smoothing is not None, ("events",)),
            ("levels", "frame" in self.levels, kinds.WITH_FRAMES),
        ):
            if is_given and kind not in fitting:
                what = "frame is" if field == "levels" else "is"
                raise ValueError(f"{field}: {what} for kind {' and '.join(fitting)}, not for {kind}; leave it out")
        if self.segments > 1 and (kind not in ("multiclass", "verification") or "frame" in self.levels or self.trials):
            raise ValueError("segments: is for kind verification without trials, and multiclass at file level")
        if self.segments > 1 and (self.strategies != ["frozen"] or self.control):
            raise ValueError("segments: goes with `strategies: [frozen]` and `control: false`")
        if self.strategies != ["frozen"] and kind != "multiclass":
            raise ValueError(f"strategies: networks are fine-tuned on multiclass tasks, not on {kind}; write [frozen]")
        if self.balance not in (balances := kinds.balances(kind)):
            raise ValueError(f"balance: {self.balance} does not fit kind {kind}; what does: {', '.join(balances)}")
        if kind == "verification" and self.probes != ["cosine"]:
            raise ValueError("probes: kind verification compares vectors; write [cosine]")
        if "cosine" in self.probes and kind != "verification" and (kind != "multiclass" or len(self.probes) > 1):
            raise ValueError("probes: cosine compares vectors (verification; multiclass, alone); take it out")
        for probe in self.probes if kind == "events" or "frame" in self.levels else []:
            if probe in PROTOCOLS and protocol_settings(probe).of_sequences:
                raise ValueError(f"probes: {probe} answers for whole clips, not for frames; take it out")
        return self


def _misfit(name: str, kind: str) -> str:
    known = {*kinds.RETRIEVAL, *(metric for metrics in kinds.METRICS.values() for metric in metrics)}
    return (
        f"does not fit kind {kind} with these probes; those that do" if name in known else "is unknown; known metrics"
    )
