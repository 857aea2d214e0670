"""Recipes made of scores: ensembles, phrases and notes."""

import numpy as np

from benchmark.datasets.render.corpus import excerpt, scores
from benchmark.datasets.render.degrade import Chain
from benchmark.datasets.render.recipe import ClipPlan, Recipe, count
from benchmark.datasets.render.soundfont import DRUMS, balance, drum_pattern, into_range, perform, render_parts

# General MIDI programs from 0, and the MIDI range of an instrument's phrases.
INSTRUMENTS = {
    "acoustic-guitar": ((24, 25), (48, 72)),
    "cello": ((42,), (40, 64)),
    "choir": ((52, 53), (52, 74)),
    "clarinet": ((71,), (54, 80)),
    "electric-guitar": ((26, 27, 29), (50, 76)),
    "flute": ((73,), (62, 88)),
    "organ": ((16, 19, 20), (50, 78)),
    "piano": ((0, 1), (48, 80)),
    "saxophone": ((64, 65, 66), (52, 76)),
    "trumpet": ((56,), (57, 80)),
    "violin": ((40,), (60, 88)),
}

# General MIDI families of five presets each.
FAMILIES = {
    "brass": (56, 57, 58, 59, 60),
    "guitar": (24, 25, 26, 27, 28),
    "mallet": (9, 10, 11, 12, 13),
    "organ": (16, 17, 18, 19, 20),
    "piano": (0, 1, 2, 3, 4),
    "pipe": (72, 73, 74, 75, 76),
    "reed": (64, 65, 66, 67, 68),
    "strings": (40, 41, 42, 43, 44),
}

_ENSEMBLE = (40, 42, 73, 71, 68, 56, 24, 0, 46, 60)
_PITCHES = range(48, 72)


def orchestrate(
    name: str, rng: np.random.Generator, seconds: float, programs: tuple[int, ...], most: int
) -> np.ndarray:
    """An excerpt of one to `most` parts of a score on random instruments, with drums now and then: (samples,)."""
    wanted = int(rng.integers(1, most + 1))
    parts = None
    while parts is None:
        try:
            parts = excerpt(name, rng, seconds, wanted)
        except ValueError:
            # A score that is thinner than that, or rests too much.
            if wanted == 1:
                raise
            wanted -= 1
    # Tunes stand alone in the corpus; people seldom play them so.
    if wanted == 1 and rng.random() < 0.8:
        parts, wanted = parts + accompany(parts[0], rng, seconds), 3
    chosen = (
        [int(rng.choice(programs))] * wanted if rng.random() < 0.5 else [int(p) for p in rng.choice(programs, wanted)]
    )
    stems = balance(render_parts(perform(parts, rng), chosen, seconds), rng)
    sound = stems.sum(0)
    if rng.random() < 0.25:
        drums = render_parts([drum_pattern(rng, seconds)], [DRUMS], seconds)[0]
        sound = sound + drums * rng.uniform(0.3, 1.0) * np.std(sound) / max(np.std(drums), 1e-9)
    return sound


def accompany(tune: np.ndarray, rng: np.random.Generator, seconds: float) -> list[np.ndarray]:
    """Bass and fifth for a tune (notes, 3), on the pitch class that it dwells on longest: two parts (notes, 3)."""
    held = np.bincount(tune[:, 2].astype(int) % 12, weights=tune[:, 1], minlength=12)
    bass = 36 + int(held.argmax())
    beat_s = rng.uniform(0.35, 0.7)
    onsets = np.arange(0.0, seconds, beat_s)
    length = np.full(len(onsets), beat_s * rng.uniform(0.6, 1.0))
    moving = bass + 7 * (np.arange(len(onsets)) % 2)
    return [
        np.column_stack([onsets, length, moving]),
        np.column_stack([onsets, length, np.full(len(onsets), bass + 19)]),
    ]


def _plan_ensembles(scale: float) -> list[ClipPlan]:
    plans = []
    for index, name in enumerate(scores("madrigals", 13) + scores("madrigals", 13, 1)):
        if index >= count(26, scale):
            break
        for size in ("1", "2", "3", "4", "5+"):
            for take in range(2 if scale >= 0.5 else 1):
                plans.append(
                    ClipPlan(f"size{size[0]}-{index:02}-{take}", {"size": size}, name, {"parts": int(size[0])})
                )
    return plans


def _make_ensemble(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    """As many parts of one score as the label says: repertoire and instruments do not tell the size."""
    parts = excerpt(plan.group, rng, 3.0, plan.spec["parts"])
    programs = [int(p) for p in rng.choice(_ENSEMBLE, len(parts))]
    return balance(render_parts(perform(parts, rng), programs, 3.0), rng).sum(0)


def _plan_phrases(scale: float) -> list[ClipPlan]:
    tunes = scores("reels", 30) + scores("jigs", 20)
    return [
        ClipPlan(f"{name}-{index:02}", {"instrument": name}, tunes[(2 * index + 7 * place) % len(tunes)])
        for place, name in enumerate(INSTRUMENTS)
        for index in range(count(25, scale))
    ]


def _make_phrase(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    programs, (low, high) = INSTRUMENTS[plan.labels["instrument"]]
    part = into_range(excerpt(plan.group, rng, 2.5)[0], low, high)
    return render_parts(perform([part], rng), [int(rng.choice(programs))], 2.5)[0]


def _plan_notes(scale: float) -> list[ClipPlan]:
    step = 2 if scale >= 0.5 else 6
    return [
        ClipPlan(
            f"{family}-{program:03}-{pitch:03}",
            {"pitch": f"midi-{pitch}", "family": family, "note": str(pitch)},
            f"preset-{program:03}",
            {"program": program, "pitch": pitch},
        )
        for family, programs in FAMILIES.items()
        for place, program in enumerate(programs)
        for pitch in list(_PITCHES)[place % step :: step]
    ]


def _make_note(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    note = np.array([[rng.uniform(0.0, 0.2), rng.uniform(0.6, 1.2), plan.spec["pitch"], rng.uniform(45, 120)]])
    return render_parts([note], [plan.spec["program"]], 1.5)[0]


RECIPES = (
    Recipe(
        "ensemble-size", "Ensembles of one to five and more parts", ("size",), "score", _plan_ensembles, _make_ensemble,
        Chain(room=0.4, band=0.1, codec=0.1),
    ),
    Recipe(
        "instrument-phrases", "Phrases of tunes on eleven instruments", ("instrument",), "score", _plan_phrases, _make_phrase,
        Chain(tilt_db=6.0),
    ),
    Recipe("notes", "Single notes of forty presets", ("pitch", "family", "note"), "preset", _plan_notes, _make_note, Chain()),
)  # fmt: skip
