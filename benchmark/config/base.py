"""What all schemas share: unknown keys are refused, names are safe as file names."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, field_validator, model_validator


def _one_hyphen(name: str) -> str:
    if "--" in name or name.endswith("-"):
        raise ValueError("`--` stands between the names in a file of results; use single hyphens, and none at the end")
    return name


# Names become parts of file names and of glob patterns on the command line.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80), AfterValidator(_one_hyphen)]

Domain = str


class Schema(BaseModel):
    """A frozen model whose unknown keys are errors and whose scalars are not silently converted between kinds."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Titled(Schema):
    """What tables show by a `title`, its `name` where there is none, and papers by a `citation`, alone or in a list."""

    @model_validator(mode="before")
    @classmethod
    def _title(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("title") and "name" in data:
            return {**data, "title": str(data["name"])}
        return data

    @field_validator("citation", mode="before", check_fields=False)
    @classmethod
    def _one_citation(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value
