"""Recipes of mixtures with their stems: two and three speakers, a voice with its accompaniment, speech in noise, a band.

A clip is one file with a channel a stem, so that their sum is the mixture to the last bit.
"""

from functools import partial

import numpy as np

from benchmark.datasets.render.corpus import excerpt, scores
from benchmark.datasets.render.degrade import SAMPLE_RATE, Chain
from benchmark.datasets.render.environment import EVENTS
from benchmark.datasets.render.recipe import ClipPlan, Recipe, count, generator
from benchmark.datasets.render.recipes_voice import ESPEAK, draw_voice
from benchmark.datasets.render.singing import draw_singer, sing
from benchmark.datasets.render.soundfont import DRUMS, drum_pattern, into_range, perform, render_parts
from benchmark.datasets.render.texts import SENTENCES
from benchmark.datasets.render.voices import SOURCE_VARIANTS, TARGET_VARIANTS, talk

_VARIANTS = SOURCE_VARIANTS + TARGET_VARIANTS
_LANGUAGES = ("de", "en-gb", "es", "fr-fr", "it", "pl")
_SPEECH_SECONDS, _MUSIC_SECONDS = 3.0, 4.0
# Speakers of one group meet only each other, so that none is in two parts of a fold.
_GROUPS, _PER_GROUP = 10, 4
SINGERS = 12


def _plan_speakers(scale: float, number: int, standard: int) -> list[ClipPlan]:
    plans = []
    for index in range(count(standard, scale)):
        group = index % _GROUPS
        chosen = generator("mixture", number, index).permutation(_PER_GROUP)[:number]
        spec = {"speakers": [group * _PER_GROUP + int(speaker) for speaker in chosen]}
        plans.append(ClipPlan(f"mix{number}-{index:03}", {}, f"speakers-{group:02}", spec))
    return plans


def _speech(speaker: int, rng: np.random.Generator, seconds: float) -> np.ndarray:
    language = _LANGUAGES[int(rng.integers(len(_LANGUAGES)))]
    voice = draw_voice(f"mixed-{speaker}", _VARIANTS[speaker % len(_VARIANTS)]).varied(rng)
    sound = talk(SENTENCES[language], ESPEAK.get(language, language), voice, rng, seconds)
    samples = round(seconds * SAMPLE_RATE)
    return np.pad(sound[:samples], (0, max(0, samples - len(sound))))


def _make_speakers(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    """Relative levels as in wsj0-2mix: up to 2.5 dB more or less than the other."""
    stems = np.stack([_speech(speaker, rng, _SPEECH_SECONDS) for speaker in plan.spec["speakers"]])
    return levelled(stems, rng.uniform(-2.5, 2.5, len(stems)))


def _plan_noisy(scale: float) -> list[ClipPlan]:
    kinds = tuple(EVENTS)
    return [
        ClipPlan(
            f"noisy-{index:03}",
            {},
            f"speaker-{index % 20:02}",
            {"speaker": index % 20, "kind": kinds[index % len(kinds)]},
        )
        for index in range(count(120, scale))
    ]


def _make_noisy(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    samples = round(_SPEECH_SECONDS * SAMPLE_RATE)
    noise = EVENTS[plan.spec["kind"]](rng, rng, _SPEECH_SECONDS)[:samples]
    stems = np.stack([_speech(plan.spec["speaker"], rng, _SPEECH_SECONDS), np.pad(noise, (0, samples - len(noise)))])
    return levelled(stems, np.array([0.0, -rng.uniform(-5, 5)]))


def _plan_sung(scale: float) -> list[ClipPlan]:
    songs = scores("chorales", 30)
    each = count(15, scale)
    return [
        ClipPlan(
            f"singer{singer:02}-{index:02}",
            {"singer": f"singer{singer:02}"},
            songs[(index * 2 + singer % 2) % len(songs)],
            {"singer": singer},
        )
        for singer in range(SINGERS)
        for index in range(each)
    ]


def _make_sung(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    """A singer, who is always the same one, over two other parts of a chorale; the voice -6 to 6 dB to the rest."""
    number = plan.spec["singer"]
    parts = excerpt(plan.group, rng, _MUSIC_SECONDS, 3, note_s=(0.35, 0.6), top=True)
    shift = np.round(rng.uniform(54, 62) - np.median(parts[0][:, 2]))
    parts = [part + [0.0, 0.0, shift] for part in parts]
    singer = draw_singer("female" if number % 2 else "male", _VARIANTS, generator("singer", number))
    voice = sing(parts[0], singer, rng, _MUSIC_SECONDS)[: round(_MUSIC_SECONDS * SAMPLE_RATE)]
    program = int(rng.choice((0, 19, 24, 46, 48, 74)))
    played = render_parts(perform(parts[1:], rng), [program] * 2, _MUSIC_SECONDS).sum(0)
    return levelled(np.stack([voice, played]), np.array([rng.uniform(-6, 6), 0.0]))


def _plan_band(scale: float) -> list[ClipPlan]:
    songs = scores("chorales", 30, 1)
    return [
        ClipPlan(f"band-{index:03}", {}, songs[index % len(songs)], {"singer": index % SINGERS})
        for index in range(count(60, scale))
    ]


def _make_band(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    """Vocals, drums, bass, other."""
    parts = excerpt(plan.group, rng, _MUSIC_SECONDS, 3, note_s=(0.35, 0.6), top=True)
    singer = draw_singer("female" if rng.random() < 0.5 else "male", _VARIANTS, rng)
    shift = np.round(rng.uniform(54, 62) - np.median(parts[0][:, 2]))
    voice = sing(parts[0] + [0.0, 0.0, shift], singer, rng, _MUSIC_SECONDS)[: round(_MUSIC_SECONDS * SAMPLE_RATE)]
    bass, other = perform([into_range(parts[1], 36, 50), parts[2]], rng)
    programs = [int(rng.choice((32, 33, 35))), int(rng.choice((0, 24, 27, 48)))]
    played = render_parts([bass, other], programs, _MUSIC_SECONDS)
    drums = render_parts([drum_pattern(rng, _MUSIC_SECONDS)], [DRUMS], _MUSIC_SECONDS)
    return levelled(np.stack([voice, drums[0], played[0], played[1]]), rng.uniform(-3, 3, 4))


def levelled(stems: np.ndarray, gains_db: np.ndarray) -> np.ndarray:
    """Stems (S, T) of equal power but for `gains_db`, so that neither they nor their sum clip."""
    power = np.sqrt(np.mean(stems**2, axis=1, keepdims=True))
    stems = stems / np.maximum(power, 1e-6) * 10 ** (gains_db[:, None] / 20)
    peak = max(np.abs(stems).max(), np.abs(stems.sum(axis=0)).max())
    return 0.9 * stems / peak


_NOTHING = Chain()
_PLAN_TWO = partial(_plan_speakers, number=2, standard=150)
_PLAN_THREE = partial(_plan_speakers, number=3, standard=60)

RECIPES = (
    Recipe(
        "noisy-speech", "Speech in environmental noise", (), "speaker", _plan_noisy, _make_noisy, _NOTHING,
        stems=("speech", "noise"),
    ),
    Recipe(
        "sung-mixtures", "Twelve singers with accompaniment", ("singer",), "score", _plan_sung, _make_sung, _NOTHING,
        stems=("vocals", "accompaniment"),
    ),
    Recipe(
        "band", "Voice, drums, bass and one more part", (), "score", _plan_band, _make_band, _NOTHING,
        stems=("vocals", "drums", "bass", "other"),
    ),
    Recipe(
        "two-speakers", "Two speakers at once", (), "four speakers", _PLAN_TWO, _make_speakers, _NOTHING,
        stems=("speaker1", "speaker2"),
    ),
    Recipe(
        "three-speakers", "Three speakers at once", (), "four speakers", _PLAN_THREE, _make_speakers, _NOTHING,
        stems=("speaker1", "speaker2", "speaker3"),
    ),
)  # fmt: skip
