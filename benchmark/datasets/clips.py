"""A clip: a piece of audio on disk with what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Opens the names of fields that hold the path of a stem (`file.wav`, `file.wav#channel=1`, `file.mp4#stream=4`), below the
# dataset's folder, or a list of paths whose sum it is.
STEM = "stem_"


@dataclass(frozen=True)
class Clip:
    """A piece of audio.

    Attributes:
        id: unique in its dataset.
        path: the file that holds it.
        start, end: its part of the file in seconds; None for the whole.
        labels: field -> value; a task's `label` names a field.
        group: what must never be split between folds (speaker, track, recording); None where nothing is known.
        split: official part or fold; None where there is none.
    """

    id: str
    path: Path
    start: float | None = None
    end: float | None = None
    labels: Mapping[str, Any] = field(default_factory=dict, hash=False)
    group: str | None = None
    split: str | None = None
