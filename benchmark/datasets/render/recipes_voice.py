"""Recipes made of voices: languages, words, speakers, and singing."""

import numpy as np

from benchmark.datasets.render.corpus import excerpt, scores
from benchmark.datasets.render.degrade import SAMPLE_RATE, Chain
from benchmark.datasets.render.recipe import ClipPlan, Recipe, count, fit, generator
from benchmark.datasets.render.singing import draw_singer, sing
from benchmark.datasets.render.soundfont import perform, render_parts
from benchmark.datasets.render.texts import SENTENCES, WORDS
from benchmark.datasets.render.voices import SOURCE_VARIANTS, TARGET_VARIANTS, Voice, say, talk

# eSpeak's name of a language where it is not the code of the text.
ESPEAK = {"en-gb": "en", "fr-fr": "fr"}
LANGUAGES = ("de", "en-gb", "es", "fi", "fr-fr", "it", "pl", "tr")
SPEAKERS = 16

_VARIANTS = SOURCE_VARIANTS + TARGET_VARIANTS
_SONG_SECONDS = 3.0


def draw_voice(name: str, variant: str) -> Voice:
    """The speaker called `name`: always the same one."""
    own = generator("voice", name, variant)
    return Voice(variant, own.uniform(25, 75), own.uniform(30, 70), own.uniform(140, 190), float(own.normal(1.0, 0.06)))


def _plan_languages(scale: float) -> list[ClipPlan]:
    return [
        ClipPlan(f"{language}-{index:02}", {"language": language}, f"voice-{index % 12:02}", {"voice": index % 12})
        for language in LANGUAGES
        for index in range(count(30, scale))
    ]


def _make_language(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    language = plan.labels["language"]
    voice = draw_voice(plan.group, _VARIANTS[plan.spec["voice"]]).varied(rng)
    return talk(SENTENCES[language], ESPEAK.get(language, language), voice, rng, 3.0)


def _plan_words(scale: float) -> list[ClipPlan]:
    voices = count(24, scale)
    return [
        ClipPlan(f"{word}-{index:02}", {"word": word}, f"voice-{index:02}", {"voice": index})
        for word in WORDS
        for index in range(voices)
    ]


def _make_word(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    voice = draw_voice(f"words-{plan.group}", _VARIANTS[plan.spec["voice"] % len(_VARIANTS)]).varied(rng, rate=0.15)
    return fit(say(plan.labels["word"], "en", voice), 1.0, rng)


def _plan_speakers(scale: float) -> list[ClipPlan]:
    return [
        ClipPlan(
            f"s{speaker:02}-t{text:02}",
            {"speaker": f"s{speaker:02}"},
            f"text-{text:02}",
            {"speaker": speaker, "text": text},
        )
        for speaker in range(SPEAKERS)
        for text in range(count(20, scale))
    ]


def _make_utterance(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    """A speaker is a variant with a pitch, a pace and a vocal tract of its own, who says each text a little differently."""
    speaker, text = plan.spec["speaker"], plan.spec["text"]
    voice = draw_voice(f"speaker-{speaker}", _VARIANTS[speaker % len(_VARIANTS)]).varied(rng)
    sentences = SENTENCES["en-gb"]
    numbers = generator("speakers", "text", text).integers(11, 100, 4)
    words = sentences[text] if text < len(sentences) else ", ".join(str(number) for number in numbers)
    return fit(say(words, "en", voice), 2.5, rng)


def _plan_songs(scale: float) -> list[ClipPlan]:
    songs = scores("chorales", 36)[: count(36, scale)]
    return [
        ClipPlan(
            f"{gender}-{kind}-{index:02}",
            {"accompanied": kind, "singer_gender": gender},
            name,
            {"parts": 3 if kind == "accompanied" else 1},
        )
        for index, name in enumerate(songs)
        for gender in ("female", "male")
        for kind in ("accompanied", "alone")
    ]


def _make_song(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    """The soprano of a chorale, sung; other parts, where they are wanted, played."""
    gender = plan.labels["singer_gender"]
    parts = excerpt(plan.group, rng, _SONG_SECONDS, plan.spec["parts"], note_s=(0.35, 0.6), top=True)
    # The ranges of the two overlap, so that pitch alone does not tell them apart.
    centre = rng.uniform(56, 66) if gender == "female" else rng.uniform(51, 61)
    shift = np.round(centre - np.median(parts[0][:, 2]))
    parts = [part + [0.0, 0.0, shift] for part in parts]
    sound = sing(parts[0], draw_singer(gender, _VARIANTS, rng), rng, _SONG_SECONDS)
    if len(parts) > 1:
        program = int(rng.choice((0, 19, 24, 46, 48, 74)))
        played = render_parts(perform(parts[1:], rng), [program] * (len(parts) - 1), _SONG_SECONDS).sum(0)
        sound = sound + played * 10 ** (rng.uniform(-14, 0) / 20) * np.std(sound) / max(np.std(played), 1e-9)
    return sound[: round(_SONG_SECONDS * SAMPLE_RATE)]


RECIPES = (
    Recipe("languages", "Sentences in eight languages", ("language",), "voice", _plan_languages, _make_language, Chain()),
    Recipe(
        "solo-voice", "A singing voice, alone and accompanied", ("accompanied", "singer_gender"), "score", _plan_songs, _make_song,
        Chain(room=0.4),
    ),
    Recipe(
        "speakers", "Sixteen speakers over changing channels", ("speaker",), "text", _plan_speakers, _make_utterance,
        Chain(room=0.6, tilt=1.0, band=0.4, noise=0.9, codec=0.2, snr_db=(8.0, 30.0), tilt_db=7.0),
    ),
    Recipe("spoken-words", "Ten figures, yes and no", ("word",), "voice", _plan_words, _make_word, Chain()),
)  # fmt: skip
