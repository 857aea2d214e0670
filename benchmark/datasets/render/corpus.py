"""Real scores: the corpus that music21 carries, as families of pieces and excerpts in seconds."""

import functools
from importlib import util
from pathlib import Path

import numpy as np

from benchmark.datasets.render.abc_notation import read_abc
from benchmark.datasets.render.musicxml import read_musicxml

GRID_QUARTERS = 0.25
# A part counts as sounding in a window that it fills to this extent, and two parts as one (a doubling) when they agree
# in pitch class for this share of the window.
SOUNDING, DOUBLED = 0.6, 0.8
# Glob patterns below music21's corpus. No encoding among them names a holder of rights.
FAMILIES = {
    "chorales": "bach/bwv*.mxl",
    "madrigals": "monteverdi/madrigal.[34].*.mxl",
    "trecento": "trecento/PMFC_*.xml",
    "reels": "ryansMammoth/*Reel.abc",
    "jigs": "ryansMammoth/*Jig.abc",
    "hornpipes": "ryansMammoth/*Hornpipe.abc",
}


@functools.cache
def corpus_root() -> Path:
    """The folder of music21's scores, found without importing music21."""
    return Path(util.find_spec("music21").origin).parent / "corpus"


@functools.cache
def scores(family: str, count: int, start: int = 0) -> tuple[str, ...]:
    """`count` names of scores of a family, evenly spread over those from the `start`-th share of it (0 or 1 of two halves).

    The halves of one family never meet: `start=0` takes every other piece, `start=1` the others.
    """
    root = corpus_root()
    names = sorted(path.relative_to(root).as_posix() for path in root.glob(FAMILIES[family]))[start::2]
    if len(names) < count:
        raise ValueError(f"music21's corpus holds {len(names)} of the {count} pieces wanted of {family}")
    return tuple(names[index * len(names) // count] for index in range(count))


def read_score(name: str) -> tuple[np.ndarray, ...]:
    """The parts with notes of a score; arrays as `read_musicxml` gives them."""
    path = corpus_root() / name
    parts = read_abc(path) if path.suffix == ".abc" else read_musicxml(path)
    return tuple(part for part in parts if len(part))


def excerpt(
    name: str,
    rng: np.random.Generator,
    seconds: float,
    parts: int = 1,
    note_s: tuple[float, float] = (0.2, 0.45),
    top: bool = False,
) -> list[np.ndarray]:
    """Part of a score in which `parts` different parts sound together.

    Args:
        name: As `scores` gives it.
        rng: Draws the tempo, the window and which parts.
        seconds: Length of the window.
        parts: How many; doublings in unison or octaves do not count as another part.
        note_s: Range of the median length of a note, which sets the tempo, so that a madrigal in breves and a reel in
            semiquavers move at comparable speed.
        top: Whether the first part of the score must be among them (as the first of the list).

    Returns:
        Arrays (notes, 3): onset in seconds from the start of the window (0 or later), duration in seconds, MIDI pitch.

    Raises:
        ValueError: the score has no such window.
    """
    score = read_score(name)
    median_quarters = np.median(np.concatenate([part[:, 1] for part in score]))
    quarter_s = rng.uniform(*note_s) / median_quarters
    grid = _pitch_grid(score)
    width = min(max(int(seconds / quarter_s / GRID_QUARTERS), 1), grid.shape[1])
    filled = np.cumsum(np.pad(grid > 0, ((0, 0), (1, 0))), axis=1)
    sounding = (filled[:, width:] - filled[:, :-width]) / width >= SOUNDING
    candidates = np.flatnonzero((sounding.sum(axis=0) >= parts) & (sounding[0] | (not top)))
    for start in rng.permutation(candidates):
        order = [index for index in rng.permutation(len(score)) if sounding[index, start]]
        if top:
            order = [0] + [index for index in order if index != 0]
        chosen = _distinct(grid[:, start : start + width], order)[:parts]
        if len(chosen) == parts:
            return [_cut(score[index], start * GRID_QUARTERS, quarter_s, seconds) for index in chosen]
    raise ValueError(f"{name}: no window of {seconds} s in which {parts} different parts sound")


def _pitch_grid(score: tuple[np.ndarray, ...]) -> np.ndarray:
    """Which pitch each part sounds on a grid of quarter notes' fractions, (parts, steps); 0 for none, the highest of a chord."""
    end = max(np.max(part[:, 0] + part[:, 1]) for part in score)
    grid = np.zeros((len(score), int(np.ceil(end / GRID_QUARTERS)) + 1))
    for row, part in zip(grid, score, strict=True):
        for onset, duration, pitch in part:
            first = round(onset / GRID_QUARTERS)
            row[first : max(round((onset + duration) / GRID_QUARTERS), first + 1)] = pitch
    return grid


def _distinct(window: np.ndarray, order: list[int]) -> list[int]:
    chosen: list[int] = []
    for index in order:
        same = [np.mean((window[index] - window[other]) % 12 == 0) for other in chosen]
        if all(share < DOUBLED for share in same):
            chosen.append(index)
    return chosen


def _cut(part: np.ndarray, start_quarters: float, quarter_s: float, seconds: float) -> np.ndarray:
    onset = (part[:, 0] - start_quarters) * quarter_s
    end = np.minimum(onset + part[:, 1] * quarter_s, seconds)
    onset = np.maximum(onset, 0.0)
    kept = end - onset > 0.02
    return np.column_stack([onset, end - onset, part[:, 2]])[kept]
