"""Recipes of speech, music and noise: a source set and a target set that share no voice, language or score; environmental sounds."""

import numpy as np

from benchmark.datasets.render.corpus import scores
from benchmark.datasets.render.degrade import SAMPLE_RATE, Chain, coloured_noise
from benchmark.datasets.render.environment import EVENTS
from benchmark.datasets.render.recipe import ClipPlan, Recipe, count, generator
from benchmark.datasets.render.recipes_music import orchestrate
from benchmark.datasets.render.recipes_voice import ESPEAK, draw_voice
from benchmark.datasets.render.texts import SENTENCES
from benchmark.datasets.render.voices import SOURCE_VARIANTS, TARGET_VARIANTS, talk

_SECONDS = 4.0

_SOURCE_PROGRAMS = (0, 16, 19, 24, 40, 46, 48, 52, 56, 71, 73)
_TARGET_PROGRAMS = (1, 11, 12, 17, 26, 42, 53, 57, 60, 65, 68, 74)


def _speech_plans(n: int, kind: str, variants: tuple[str, ...], languages: tuple[str, ...]) -> list[ClipPlan]:
    """Two speakers a variant, each in all languages in turn."""
    plans = []
    for index in range(n):
        speaker = index % (2 * len(variants))
        spec = {
            "variant": variants[speaker % len(variants)],
            "voice": f"{kind}-{speaker:02}",
            "language": languages[(index // (2 * len(variants)) + speaker) % len(languages)],
        }
        plans.append(ClipPlan(f"speech-{index:03}", {"class": "speech"}, f"voice-{speaker:02}", spec))
    return plans


def _music_plans(n: int, pieces: tuple[str, ...], programs: tuple[int, ...]) -> list[ClipPlan]:
    return [
        ClipPlan(f"music-{index:03}", {"class": "music"}, pieces[index % len(pieces)], {"programs": programs})
        for index in range(n)
    ]


def _plan_source(scale: float) -> list[ClipPlan]:
    n = count(110, scale)
    pieces = scores("chorales", 20) + scores("trecento", 8) + scores("reels", 14) + scores("hornpipes", 13)
    plans = _speech_plans(n, "source", SOURCE_VARIANTS, ("en-gb", "de", "fr-fr", "es"))
    plans += _music_plans(n, pieces, _SOURCE_PROGRAMS)
    kinds = (*EVENTS, "hum", "hiss")
    for index in range(n):
        kind, scene = kinds[index % len(kinds)], index // len(kinds) // 2
        plans.append(
            ClipPlan(f"noise-{index:03}", {"class": "noise"}, f"{kind}-{scene}", {"kind": kind, "scene": scene})
        )
    return plans


def _plan_target(scale: float) -> list[ClipPlan]:
    n = count(80, scale)
    pieces = scores("chorales", 14, 1) + scores("trecento", 6, 1) + scores("reels", 10, 1) + scores("hornpipes", 10, 1)
    plans = _speech_plans(n, "target", TARGET_VARIANTS, ("it", "pl", "sv", "nl", "pt"))
    return plans + _music_plans(n, pieces, _TARGET_PROGRAMS)


def _make(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    kind = plan.labels["class"]
    if kind == "music":
        return orchestrate(plan.group, rng, _SECONDS, plan.spec["programs"], 4)
    return _make_speech(plan, rng) if kind == "speech" else _make_noise(plan, rng)


def _make_speech(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    language = plan.spec["language"]
    voice = draw_voice(plan.spec["voice"], plan.spec["variant"]).varied(rng)
    sound = talk(SENTENCES[language], ESPEAK.get(language, language), voice, rng, _SECONDS)
    if rng.random() < 0.25:
        # Speech is often over something else.
        event = list(EVENTS.values())[int(rng.integers(len(EVENTS)))](rng, rng, _SECONDS)[: len(sound)]
        sound = sound + event * 10 ** (rng.uniform(-30, -12) / 20) * np.std(sound) / max(np.std(event), 1e-9)
    return sound


def _make_noise(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    kind, samples = plan.spec["kind"], round(_SECONDS * SAMPLE_RATE)
    scene = generator("noise", kind, plan.spec["scene"])
    if kind == "hiss":
        return coloured_noise(rng, samples, scene.uniform(0.0, 1.5))
    if kind == "hum":
        phase = 2 * np.pi * scene.choice([50.0, 60.0]) * scene.uniform(0.99, 1.01) * np.arange(samples) / SAMPLE_RATE
        hum = sum(scene.uniform(0.1, 1.0) / k * np.sin(k * phase + rng.uniform(0, 6)) for k in range(1, 9))
        return hum + scene.uniform(0.1, 0.6) * coloured_noise(rng, samples, 1.0)
    return EVENTS[kind](scene, rng, _SECONDS)


def _plan_environment(scale: float) -> list[ClipPlan]:
    return [
        ClipPlan(f"{kind}-{index:02}", {"event": kind}, f"{kind}-{index // 2:02}", {"scene": index // 2})
        for kind in EVENTS
        for index in range(count(20, scale))
    ]


def _make_environment(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    kind = plan.labels["event"]
    return EVENTS[kind](generator("environment", kind, plan.spec["scene"]), rng, _SECONDS)


RECIPES = (
    Recipe(
        "environment", "Twelve kinds of environmental sound", ("event",), "scene", _plan_environment, _make_environment,
        Chain(room=0.6, band=0.5, noise=1.0, snr_db=(3.0, 25.0), tilt=1.0, tilt_db=7.0),
    ),
    Recipe(
        "scheirer-slaney", "Speech and music as from the radio: a target set", ("class",), "voice or score", _plan_target, _make,
        Chain(room=0.3, band=0.8, noise=0.9, codec=0.5, clipping=0.2, snr_db=(5.0, 25.0)),
    ),
    Recipe(
        "speech-music-noise", "Speech, music and noise: a source set", ("class",), "voice, score or scene", _plan_source, _make,
        Chain(room=0.3, tilt=0.5, band=0.1, noise=0.4, codec=0.1, clipping=0.05, snr_db=(15.0, 40.0), tilt_db=3.0),
    ),
)  # fmt: skip
