"""What all schemas share: unknown keys are refused, names are safe as file names."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

# Names become parts of file names and of glob patterns on the command line.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80)]

Domain = str


class Schema(BaseModel):
    """A frozen model whose unknown keys are errors and whose scalars are not silently converted between kinds."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)
