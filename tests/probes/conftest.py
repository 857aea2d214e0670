import numpy as np
import pytest

from benchmark.metrics.folds import make_splits


class Made:
    """Clips of some classes in groups, with frames around a clip's centre."""

    def __init__(self, clips=120, dim=12, classes=3, frames=4, gap=1.5, seed=0, groups=None):
        rng = np.random.default_rng(seed)
        self.ids = [f"{i:04}" for i in range(clips)]
        groups = groups or clips
        group = np.arange(clips) % groups
        self.groups = [f"g{value:03}" for value in group]
        self.labels = group % classes
        centres = rng.normal(size=(classes, dim)) * gap
        self.vectors = (centres[self.labels] + rng.normal(size=(clips, dim))).astype(np.float32)
        lengths = rng.integers(1, 2 * frames, size=clips)
        self.offsets = np.cumsum([0, *lengths])
        clip = np.repeat(np.arange(clips), lengths)
        self.frames = (self.vectors[clip] + rng.normal(size=(len(clip), dim))).astype(np.float32)
        self.splits = make_splits(self.ids, self.labels, self.groups, "grouped", k=5, seed=seed)


@pytest.fixture
def made():
    return Made
