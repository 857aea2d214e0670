"""Many singers: those that networks learn from, and others.

Part `train` are fifty singers, `valid` ten others; `test` are twenty more, and `seen` twenty of the fifty, both on songs
that nothing is learned from. A clip has a channel a stem.
"""

import numpy as np

from benchmark.datasets.render.corpus import excerpt, scores
from benchmark.datasets.render.degrade import SAMPLE_RATE, Chain
from benchmark.datasets.render.recipe import ClipPlan, Recipe, count, generator
from benchmark.datasets.render.recipes_mixtures import levelled
from benchmark.datasets.render.singing import draw_singer, sing
from benchmark.datasets.render.soundfont import perform, render_parts
from benchmark.datasets.render.voices import SOURCE_VARIANTS, TARGET_VARIANTS

_SECONDS = 4.0
# Part -> its singers, clips of each, and the half of the songs.
_PARTS = {
    "train": (range(50), 8, 0),
    "valid": (range(50, 60), 8, 0),
    "test": (range(60, 80), 10, 1),
    "seen": (range(20), 10, 1),
}
# So many songs stand beside each other, so that singers do not all sing the same one.
_ABREAST = 4
_PROGRAMS = (0, 19, 24, 46, 48, 74)


def _plan(scale: float) -> list[ClipPlan]:
    plans = []
    for part, (singers, standard, half) in _PARTS.items():
        number = count(standard, scale)
        songs = scores("chorales", number * _ABREAST, half)
        plans += [
            ClipPlan(
                f"singer{singer:02}-{part}-{index:02}",
                {"singer": f"singer{singer:02}", "part": part},
                songs[index * _ABREAST + singer % _ABREAST],
                {"singer": singer},
            )
            for singer in singers
            for index in range(number)
        ]
    return plans


def _make(plan: ClipPlan, rng: np.random.Generator) -> np.ndarray:
    """A singer over two other parts of a chorale; the voice -3 to 6 dB to the rest."""
    number = plan.spec["singer"]
    singer = draw_singer("female" if number % 2 else "male", SOURCE_VARIANTS + TARGET_VARIANTS, _person(number))
    parts = excerpt(plan.group, rng, _SECONDS, 3, note_s=(0.35, 0.6), top=True)
    shift = np.round(rng.uniform(54, 62) - np.median(parts[0][:, 2]))
    voice = sing(parts[0] + [0.0, 0.0, shift], singer, rng, _SECONDS)[: round(_SECONDS * SAMPLE_RATE)]
    program = int(rng.choice(_PROGRAMS))
    played = render_parts(perform(parts[1:], rng), [program] * 2, _SECONDS).sum(0)
    return levelled(np.stack([voice, played]), np.array([rng.uniform(-3, 6), 0.0]))


def _person(number: int) -> np.random.Generator:
    return generator("one of many singers", number)


RECIPES = (
    Recipe(
        "singers", "Eighty singers with accompaniment", ("singer", "part"), "score", _plan, _make, Chain(),
        stems=("vocals", "accompaniment"),
    ),
)  # fmt: skip
