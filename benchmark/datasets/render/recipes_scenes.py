"""Recipes in which several things sound at once or one after another: instruments together, programmes of speech and music."""

import json

import numpy as np

from benchmark.datasets.render.corpus import excerpt, scores
from benchmark.datasets.render.degrade import SAMPLE_RATE, Chain, coloured_noise
from benchmark.datasets.render.recipe import ClipPlan, Recipe, count, generator
from benchmark.datasets.render.recipes_music import INSTRUMENTS, orchestrate
from benchmark.datasets.render.recipes_voice import draw_voice
from benchmark.datasets.render.soundfont import balance, into_range, perform, render_parts
from benchmark.datasets.render.texts import SENTENCES
from benchmark.datasets.render.voices import SOURCE_VARIANTS, TARGET_VARIANTS, talk

_PLAYERS = ("acoustic-guitar", "choir", "flute", "organ", "trumpet", "violin")
_MIX_SECONDS = 2.5

_PROGRAMME_SECONDS = 12.0
_SEGMENT_S = (1.5, 4.5)
_SEGMENTS = ("speech", "music", "both", "neither")
_PROGRAMS = (0, 19, 24, 40, 46, 48, 56, 71, 73)
_FADE_S = 0.03


def _plan_mixtures(scale: float) -> list[ClipPlan]:
    pieces = scores("chorales", 20)
    plans = []
    for index in range(count(90, scale)):
        rng = generator("mixtures", index)
        # One to three of them, each of the six as often as the others.
        chosen = sorted(rng.choice(len(_PLAYERS), 1 + index % 3, replace=False).tolist())
        names = [_PLAYERS[c] for c in chosen]
        plans.append(
            ClipPlan(
                f"mix-{index:03}", {"instruments": json.dumps(names)}, pieces[index % len(pieces)], {"players": names}
            )
        )
    return plans


def _make_mixture(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    """A part of one chorale for each instrument, in its own range."""
    players = [INSTRUMENTS[name] for name in plan.spec["players"]]
    parts = excerpt(plan.group, rng, _MIX_SECONDS, len(players))
    ranged = [into_range(part, low, high) for part, (_, (low, high)) in zip(parts, players, strict=True)]
    programs = [int(rng.choice(choice)) for choice, _ in players]
    return balance(render_parts(perform(ranged, rng), programs, _MIX_SECONDS), rng).sum(0)


def _plan_programmes(scale: float) -> list[ClipPlan]:
    pieces = scores("chorales", 10) + scores("reels", 10)
    variants = SOURCE_VARIANTS + TARGET_VARIANTS
    plans = []
    for index in range(count(20, scale)):
        segments = _segments(generator("programmes", index))
        spec = {"segments": segments, "piece": pieces[index % len(pieces)], "variant": variants[index % len(variants)]}
        events = [
            {"start": start, "end": end, "label": label}
            for label in ("music", "speech")
            for start, end in _joined([(s, e) for s, e, kind in segments if kind in (label, "both")])
        ]
        plans.append(ClipPlan(f"programme-{index:02}", {"events": json.dumps(events)}, f"programme-{index:02}", spec))
    return plans


def _segments(rng: np.random.Generator) -> list[tuple[float, float, str]]:
    """Start and end in seconds and kind of what follows one another; no kind follows itself."""
    segments: list[tuple[float, float, str]] = []
    start, last = 0.0, ""
    while start < _PROGRAMME_SECONDS:
        end = round(start + float(rng.uniform(*_SEGMENT_S)), 2)
        if _PROGRAMME_SECONDS - end < _SEGMENT_S[0]:
            end = _PROGRAMME_SECONDS
        last = str(rng.choice([kind for kind in _SEGMENTS if kind != last]))
        segments.append((start, end, last))
        start = end
    return segments


def _joined(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans in order, those that touch as one."""
    joined: list[tuple[float, float]] = []
    for start, end in spans:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _make_programme(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    """Speech and music that come and go over a faint background."""
    samples = round(_PROGRAMME_SECONDS * SAMPLE_RATE)
    voice = draw_voice(plan.id, plan.spec["variant"]).varied(rng)
    layers = {
        "speech": talk(SENTENCES["en-gb"], "en", voice, rng, _PROGRAMME_SECONDS),
        "music": orchestrate(plan.spec["piece"], rng, _PROGRAMME_SECONDS, _PROGRAMS, 4),
    }
    level = {"speech": 1.0, "music": 10 ** (rng.uniform(-9, 0) / 20)}
    sound = 10 ** (rng.uniform(-50, -35) / 20) * coloured_noise(rng, samples, 1.0)
    for label, layer in layers.items():
        gate = np.zeros(samples)
        for start, end in _joined([(s, e) for s, e, kind in plan.spec["segments"] if kind in (label, "both")]):
            gate[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = 1.0
        width = round(_FADE_S * SAMPLE_RATE)
        smooth = np.convolve(gate, np.ones(width) / width, mode="same")
        sound = sound + level[label] * smooth * layer / max(np.std(layer), 1e-9)
    return sound


RECIPES = (
    Recipe(
        "mixtures", "One to three of six instruments together", ("instruments",), "score", _plan_mixtures, _make_mixture,
        Chain(tilt_db=5.0),
    ),
    Recipe(
        "programmes", "Programmes in which speech and music come and go", ("events",), "programme", _plan_programmes, _make_programme,
        Chain(room=0.2, band=0.2, noise=0.4, snr_db=(15.0, 35.0)),
    ),
)  # fmt: skip
