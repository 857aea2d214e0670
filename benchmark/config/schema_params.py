"""The schema of params.yaml: what to run, and how; nothing that belongs to one task."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from benchmark.config.base import Schema
from benchmark.config.schema_probe import (
    PROTOCOLS,
    SOLVERS,
    CentroidSettings,
    CosineSettings,
    FewshotSettings,
    HeadSettings,
    KnnSettings,
    LogisticSettings,
    MlpSettings,
    ProbeName,
    RidgeSettings,
    SvmSettings,
    solver_of,
)


class MlpOverrides(Schema):
    """Settings of the mlp probe that a profile sets; the others stay."""

    hidden: list[int] | None = None
    lr: float | None = Field(None, gt=0)
    batch: int | None = Field(None, ge=1)
    max_epochs: int | None = Field(None, ge=1)
    patience: int | None = Field(None, ge=1)


class Profile(Schema):
    """Which runs are in, and by how much they are shrunk."""

    tasks: list[str] = Field(default_factory=lambda: ["*"], description="names or globs; `!glob` leaves out")
    embeddings: list[str] = Field(default_factory=lambda: ["*"])
    separators: list[str] = Field(default_factory=lambda: ["*"])
    separation_folds: int | None = Field(None, gt=0, description="separation: the first so many folds alone")
    if_here: list[str] = Field(
        default_factory=list,
        description="embeddings that are left out as long as their weights are not here; asked for by name, they are fetched",
    )
    shrink: bool = Field(False, description="apply the `smoke` section of each task")
    overrides: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="glob of embeddings or separators -> keys of their YAML that this profile sets "
        "(args, pretrain, stft, train and training are merged)",
    )
    mlp: MlpOverrides = MlpOverrides()
    training: dict[str, Any] = Field(default_factory=dict, description="settings of `training` that this profile sets")
    probe: dict[ProbeName, dict[str, Any]] = Field(
        default_factory=dict,
        description="solver or protocol -> settings that this profile sets (a protocol is shrunk by it)",
    )

    @field_validator("probe")
    @classmethod
    def _settings(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for probe, settings in value.items():
            fixed = PROTOCOLS[probe][1] if probe in PROTOCOLS else {}
            try:
                SOLVERS[solver_of(probe)](**{**fixed, **settings})
            except ValidationError as error:
                first = error.errors()[0]
                raise ValueError(f"{probe}.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        return value

    def settings_of(self, probe: str) -> dict[str, Any]:
        """What this profile sets of a probe."""
        mlp = self.mlp.model_dump(mode="json", exclude_none=True) if solver_of(probe) == "mlp" else {}
        return {**mlp, **self.probe.get(probe, {})}


class TrainingParams(Schema):
    """How networks are pretrained and fine-tuned; the head behind a pretrained network has `hidden` units.

    An embedding's YAML may set some of it for its own network.
    """

    lr: float = Field(1e-3, gt=0)
    batch: int = Field(64, ge=1)
    max_epochs: int = Field(200, ge=1)
    patience: int = Field(50, ge=1)
    hidden: list[int] = Field(default_factory=lambda: [128])
    frames_per_clip: int | None = Field(
        None, ge=1, description="evenly spaced patches of a training clip that are learnt from; all by default"
    )
    norm_momentum: float | None = Field(
        None,
        gt=0,
        le=1,
        description="part of a batch in the running statistics of batch normalisation; the networks' own",
    )
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    stacked: bool | None = Field(None, description="train all folds as one program; by default where there is a GPU")
    control: bool = Field(True, description="also fine-tune on shuffled labels, where the task has the control")


class DataParams(Schema):
    root: str = "data"
    keep_archives: bool = False
    mirrors: dict[str, str] = Field(
        default_factory=dict, description="host (or *, for all others) -> address of a copy that is tried first"
    )
    folders: dict[str, str] = Field(
        default_factory=dict, description="dataset (or a glob) -> folder where its files are unpacked already"
    )
    render_seed: int = 0
    render_scale: float = Field(
        1.0, gt=0, le=4, description="number of rendered clips, as a part of the standard number"
    )


Device = Annotated[str, StringConstraints(pattern=r"^(cpu|cuda(:\d+)?|mps)$")]


class ExtractParams(Schema):
    dtype: Literal["float32", "float16"] = Field("float32", description="in which frames are stored")
    precision: Literal["float32", "bfloat16", "float16"] = Field("float32", description="in which networks run")
    compile: bool = Field(False, description="run networks through torch.compile")
    batch_s: Literal["auto", "timed"] | Annotated[float, Field(gt=0)] = Field(
        "auto", description="seconds of audio a batch; auto: timed on a GPU, the family's own on a processor"
    )
    devices: list[Device] = Field(
        default_factory=list, description="several devices that share the work; by default `device` alone"
    )
    shard_clips: int = Field(128, ge=1, le=100_000, description="clips in one file of the store")
    max_lost: float = Field(
        0.01, ge=0, le=1, description="part of a task's clips that may be unreadable before the task fails"
    )


class ProbeParams(Schema):
    """Settings of the solvers; `probe: hear` alone gives every task that protocol in place of its own probes."""

    protocol: list[ProbeName] = Field(
        default_factory=list, description="probes of every task, in place of those that its YAML names"
    )
    logistic: LogisticSettings = LogisticSettings()
    svm: SvmSettings = SvmSettings()
    ridge: RidgeSettings = RidgeSettings()
    knn: KnnSettings = KnnSettings()
    centroid: CentroidSettings = CentroidSettings()
    fewshot: FewshotSettings = FewshotSettings()
    mlp: MlpSettings = MlpSettings()
    head: HeadSettings = HeadSettings()
    cosine: CosineSettings = CosineSettings()

    @model_validator(mode="before")
    @classmethod
    def _protocol(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"protocol": [data]}
        if isinstance(data, dict) and isinstance(data.get("protocol"), str):
            return {**data, "protocol": [data["protocol"]]}
        return data


class EngineParams(Schema):
    backend: Literal["local", "ray"] = "local"
    workers: int = Field(0, ge=0, description="processes; 0: one a core")
    curves: Literal["none", "tensorboard", "dvclive"] = Field(
        "none", description="where separators that learn write their curves, below data/curves"
    )


class Params(Schema):
    """params.yaml as a whole."""

    profile: str = "smoke"
    profiles: dict[str, Profile]
    seed: int = 0
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")
    data: DataParams = DataParams()
    extract: ExtractParams = ExtractParams()
    probe: ProbeParams = ProbeParams()
    training: TrainingParams = TrainingParams()
    engine: EngineParams = EngineParams()

    @model_validator(mode="after")
    def _profile_exists(self) -> "Params":
        if self.profile not in self.profiles:
            raise ValueError(f"profile: {self.profile!r} is not one of the profiles: {', '.join(self.profiles)}")
        return self

    @model_validator(mode="after")
    def _training_of_profiles(self) -> "Params":
        for name, profile in self.profiles.items():
            try:
                self._trained(profile)
            except ValidationError as error:
                first = error.errors()[0]
                raise ValueError(
                    f"profiles.{name}.training.{'.'.join(map(str, first['loc']))}: {first['msg']}"
                ) from None
        return self

    def _trained(self, profile: Profile) -> TrainingParams:
        return TrainingParams(**{**self.training.model_dump(), **profile.training})

    def active_training(self, own: Mapping[str, Any] | None = None) -> TrainingParams:
        """Settings of the training as the profile in use sets them, and then an embedding for its `own` network."""
        return TrainingParams(**{**self._trained(self.active).model_dump(), **(own or {})})

    @property
    def active(self) -> Profile:
        """The profile in use."""
        return self.profiles[self.profile]
