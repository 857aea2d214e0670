"""Long clips in bounded memory: cut into stretches, of which each frame is taken from one.

A clip of up to ten minutes is embedded as a whole. A longer one is heard in stretches of some 150 s, together with
so many samples before and behind them as the frames of the stretch need. Where frames depend on nothing further away, that is
a matter of memory alone; where a family looks at the whole clip (its peak, its loudness, one vector a clip), the stretch stands in
for the clip.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

LONGEST_S = 600.0


@dataclass(frozen=True)
class Context:
    """What a family's frames need around them, in samples.

    Attributes:
        unit: frames of a stretch lie as those of the clip where the stretch begins at a multiple of it.
        before, after: samples that are heard in front of a stretch and behind it.
    """

    unit: int = 1
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class Cuts:
    """Where clips are cut.

    Attributes:
        limit: the longest clip that is left whole, in samples.
        size: samples of a stretch, a multiple of the unit; the last one of a clip has up to twice as many.
        before, after: samples that are heard around it; `before` is a multiple of the unit.
    """

    limit: int
    size: int
    before: int
    after: int

    @classmethod
    def of(cls, context: Context, sample_rate: int, longest_s: float = LONGEST_S) -> "Cuts":
        """Cuts that suit a context."""
        longest = round(longest_s * sample_rate)
        before = -(-context.before // context.unit) * context.unit
        size = max(longest // 4 // context.unit, (before + context.after) // context.unit + 1) * context.unit
        return cls(max(longest, 2 * size), size, before, context.after)


@dataclass(frozen=True)
class Stretch:
    """A part of a clip.

    Attributes:
        samples: (n,) what is heard.
        offset: where that begins in the clip.
        start, stop: samples of the clip whose frames are used; None: from its beginning, to its end.
    """

    samples: np.ndarray
    offset: int
    start: int | None
    stop: int | None

    def keep(self, frames: np.ndarray, times: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
        """The frames that this stretch is responsible for, and their times in the clip in seconds."""
        times = times + self.offset / sample_rate
        # Frames lie at whole and at half samples: a boundary between them is no matter of rounding.
        lowest = -np.inf if self.start is None else (self.start - 0.25) / sample_rate
        highest = np.inf if self.stop is None else (self.stop - 0.25) / sample_rate
        kept = (times >= lowest) & (times < highest)
        return frames[kept], times[kept]


def cut(blocks: Iterable[np.ndarray], cuts: Cuts) -> Iterator[Stretch]:
    """Cut a clip that comes in blocks (n,) of any lengths; where it is cut depends on its length alone.

    No more is held than twice a stretch, what is heard before it, and a block.

    Raises:
        ValueError: there are no samples.
    """
    held = _Held()
    start = 0
    for block in blocks:
        held.add(block)
        while held.end > cuts.limit and held.end >= start + cuts.size + max(cuts.size, cuts.after):
            yield _stretch(held, cuts, start, start + cuts.size)
            start += cuts.size
            held.forget(start - cuts.before)
    if not held.end:
        raise ValueError("a clip without samples")
    while held.end > cuts.limit and held.end >= start + 2 * cuts.size:
        yield _stretch(held, cuts, start, start + cuts.size)
        start += cuts.size
    yield _stretch(held, cuts, start, None)


def _stretch(held: "_Held", cuts: Cuts, start: int, stop: int | None) -> Stretch:
    first = max(0, start - cuts.before)
    last = held.end if stop is None else min(stop + cuts.after, held.end)
    return Stretch(held.take(first, last), first, start or None, stop)


class _Held:
    """The samples of a clip that are still needed, in the blocks that they came in."""

    def __init__(self) -> None:
        self.blocks: deque[np.ndarray] = deque()
        self.begin = self.end = 0

    def add(self, block: np.ndarray) -> None:
        self.blocks.append(block)
        self.end += len(block)

    def forget(self, before: int) -> None:
        while self.blocks and self.begin + len(self.blocks[0]) <= before:
            self.begin += len(self.blocks.popleft())

    def take(self, start: int, stop: int) -> np.ndarray:
        pieces, at = [], self.begin
        for block in self.blocks:
            if at < stop and at + len(block) > start:
                pieces.append(block[max(0, start - at) : stop - at])
            at += len(block)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
