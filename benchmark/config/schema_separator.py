"""The YAML of a separator: what it is, how it is trained, or where its weights come from."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from benchmark.config.base import Name, Schema, Titled
from benchmark.config.schema_embedding import WeightsConfig

# Those of benchmark.separation.families, which takes seconds to import.
FAMILIES = (
    "oracle", "complex_mask", "conv_tasnet", "deep_clustering", "deepconvsep", "dilated_cnn", "gcrn", "hdemucs",
    "mask_inference", "open_unmix", "two_way_lstm", "unet", "wave_unet",
)  # fmt: skip
WITHOUT_SPECTRA = ("conv_tasnet", "hdemucs", "wave_unet")


class StftConfig(Schema):
    """The spectra that it works on."""

    size: int = Field(gt=1, description="samples of a frame")
    hop: int = Field(gt=0, description="samples from frame to frame")
    window: Literal["hann", "sqrt_hann", "hamming", "blackman_harris"] = "hann"

    @model_validator(mode="after")
    def _overlaps(self) -> "StftConfig":
        if self.hop >= self.size:
            raise ValueError(
                f"hop {self.hop} must be less than size {self.size}: frames that do not overlap lose samples"
            )
        return self


class TrainingConfig(Schema):
    """How a separator is trained on mixtures that are made while it learns."""

    steps: int = Field(gt=0, description="steps at most")
    batch: int = Field(8, ge=1)
    segment_s: float = Field(gt=0, description="seconds of a training example")
    optimiser: Literal["adam", "adamw", "rmsprop", "adadelta", "sgd"] = "adam"
    lr: float = Field(1e-3, gt=0)
    clip_norm: float | None = Field(5.0, gt=0, description="greatest norm of a gradient")
    halve_after: int | None = Field(None, ge=1, description="validations without a better one after which lr is halved")
    patience: int | None = Field(None, ge=1, description="validations without a better one after which training ends")
    validate_every: int = Field(100, ge=1, description="steps")
    gain: list[float] = Field(default_factory=lambda: [0.7, 1.0], min_length=2, max_length=2, description="range")
    remix: bool = Field(False, description="take the stems of an example from different clips")
    swap_channels: bool = False
    colour: float = Field(0.0, ge=0, le=1, description="part of the stems that a random filter colours")
    precision: Literal["float32", "bfloat16", "float16"] = Field("float32", description="on a GPU")
    compile: bool = Field(False, description="torch.compile")

    @field_validator("gain")
    @classmethod
    def _ordered(cls, value: list[float]) -> list[float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError(f"{value} must be two positive numbers, the lower first")
        return value


class SeparatorConfig(Titled):
    """One separator."""

    name: Name
    title: str = Field("", description="shown in tables; the name by default")
    family: str = Field(description="which of benchmark.separation.families")
    args: dict[str, Any] = Field(default_factory=dict, description="arguments that the family checks")
    sample_rate: int = Field(gt=0, description="Hz; mixtures are resampled, and estimates scored, at this rate")
    channels: Literal[1, 2] = 1
    stft: StftConfig | None = None
    train: TrainingConfig | None = Field(None, description="none: nothing is learned here")
    chunk_s: float = Field(30.0, gt=0, description="seconds that are separated at once")
    overlap_s: float = Field(1.0, ge=0, description="seconds in which chunks fade into each other")
    smoke: dict[str, Any] = Field(default_factory=dict, description="keys that a profile with `shrink` sets")
    tasks: list[str] = Field(default_factory=lambda: ["*"], description="names or globs of separation tasks")
    train_on: str | None = Field(
        None, description="separation task whose mixtures it learns from, whatever the number of its sources"
    )
    weights: dict[str, WeightsConfig] | None = Field(None, description="published weights, a file a source or `all`")
    seen: list[str] = Field(default_factory=list, description="datasets whose test part the weights were trained on")
    licence: str | None = None
    citation: list[str] = Field(default_factory=list)
    note: str | None = None
    profiles: list[str] | None = Field(None, description="profiles that it is in; all by default")
    version: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _learns_or_is_given(self) -> "SeparatorConfig":
        if self.train is not None and self.weights is not None:
            raise ValueError("give `train` or `weights`, not both: weights that are given are not trained")
        if self.overlap_s > self.chunk_s / 2:
            raise ValueError(f"overlap_s {self.overlap_s} must be at most half of chunk_s {self.chunk_s}")
        return self

    def shrunk(self) -> "SeparatorConfig":
        """The separator with its `smoke` keys set; those of sections are merged key by key."""
        data = self.model_dump(mode="python")
        for key, value in self.smoke.items():
            if key not in data:
                raise ValueError(f"smoke: {key!r} is no key of a separator")
            merge = isinstance(value, dict) and isinstance(data[key], dict)
            data[key] = {**data[key], **value} if merge else value
        return SeparatorConfig.model_validate(data)
