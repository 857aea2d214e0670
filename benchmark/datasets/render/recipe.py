"""What a recipe is: a list of clips to make, each with labels and a group, and a way to make one."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark.datasets.render.degrade import SAMPLE_RATE, Chain


@dataclass(frozen=True)
class ClipPlan:
    """A clip that is to be made.

    Attributes:
        id: unique in its recipe.
        labels: field -> value.
        group: what related clips have in common.
        spec: what the recipe needs to make it.
    """

    id: str
    labels: dict[str, str]
    group: str
    spec: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """How a dataset is made.

    Attributes:
        name, title: of the dataset.
        fields: names of its labels.
        grouped_by: what `group` means.
        plan: the clips at a scale.
        make: (samples,) at `SAMPLE_RATE` Hz of a planned clip, or (stems, samples).
        chain: the degradation of every clip, alike for all classes; none for stems.
        stems: what the channels of a clip are, where it is a mixture.
    """

    name: str
    title: str
    fields: tuple[str, ...]
    grouped_by: str
    plan: Callable[[float], list[ClipPlan]]
    make: Callable[[ClipPlan, np.random.Generator], np.ndarray]
    chain: Chain
    stems: tuple[str, ...] = ()


def generator(*parts: object) -> np.random.Generator:
    """A generator that depends on `parts` alone, so that a clip never depends on those made before it."""
    return np.random.default_rng([zlib.crc32(str(part).encode()) for part in parts])


def count(standard: int, scale: float) -> int:
    """A number of clips at `scale`, never so few that a fold would be empty."""
    return max(min(standard, 10), round(standard * scale))


def fit(sound: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Exactly `seconds` of `sound`: a random part of a longer one; a shorter one lies at a random place in silence."""
    samples = round(seconds * SAMPLE_RATE)
    if len(sound) >= samples:
        start = int(rng.integers(0, len(sound) - samples + 1))
        return sound[start : start + samples]
    before = int(rng.integers(0, samples - len(sound) + 1))
    return np.pad(sound, (before, samples - len(sound) - before))
