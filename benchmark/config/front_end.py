"""What stands between a clip's sound and the embedding: a separator's estimate of a source, or the source's own stem."""

from typing import Any

from pydantic import Field, model_validator

from benchmark.config.base import Name, Schema

_STEM = "oracle:"


class FrontEndConfig(Schema):
    """The front end of a task. `unet` is short for {separator: unet}, `oracle:vocals` for {stem: vocals}."""

    separator: Name | None = Field(None, description="separator whose estimate of a source is embedded")
    source: Name | None = Field(None, description="which source; the first of the separation task by default")
    trained_on: Name | None = Field(
        None, description="separation task that the separator learned on; by default the one of the same dataset"
    )
    stem: Name | None = Field(None, description="the stem of the dataset that is embedded instead")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        if not isinstance(data, str):
            return data
        return {"stem": data.removeprefix(_STEM)} if data.startswith(_STEM) else {"separator": data}

    @model_validator(mode="after")
    def _one(self) -> "FrontEndConfig":
        if (self.separator is None) == (self.stem is None):
            raise ValueError("give `separator` or `stem`")
        if self.stem is not None and (self.source or self.trained_on):
            raise ValueError("source, trained_on: go with `separator`; a stem is what it is")
        return self

    @property
    def text(self) -> str:
        """The front end in a few words, for tables."""
        if self.stem is not None:
            return f"{self.stem}, clean"
        return f"{self.source or 'first source'} by {self.separator}"

    @property
    def slug(self) -> str:
        """A part of a folder's name that stands for this front end and no other."""
        words = [self.stem and f"stem-{self.stem}", self.separator, self.source, self.trained_on]
        return "+".join(word for word in words if word)
