"""Datasets made from packages alone: real scores, a General MIDI soundfont, a speech synthesiser, physical models.

The same seed gives the same samples on every run, however many processes make them, and whether or not an earlier run
was interrupted.
"""

from collections.abc import Callable
from pathlib import Path

from benchmark.datasets.render import (
    recipes_mixed,
    recipes_mixtures,
    recipes_music,
    recipes_scenes,
    recipes_singers,
    recipes_voice,
)
from benchmark.datasets.render.recipe import Recipe
from benchmark.datasets.render.writer import write_recipe
from benchmark.errors import UserError

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for module in (recipes_mixed, recipes_mixtures, recipes_music, recipes_scenes, recipes_singers, recipes_voice)
    for recipe in module.RECIPES
}


def render(
    recipe: str,
    out: Path,
    seed: int = 0,
    scale: float = 1.0,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make a dataset under `out`: `audio/**/*.flac` (16 bit, mono, 22,050 Hz) and, at last, `clips.csv`.

    Args:
        recipe: one of `RECIPES`.
        out: the dataset's folder.
        seed: another seed gives other sounds with the same labels.
        scale: number of clips as a part of the standard number.
        workers: processes.
        progress: called with (clips done, clips in all).

    Returns:
        Path of `clips.csv`, with columns id, path, group, split, the labels, and sha256 of each clip's samples.

    Raises:
        UserError: no such recipe.
    """
    if recipe not in RECIPES:
        raise UserError(f"rendered.recipe: {recipe!r} is unknown; known recipes: {', '.join(sorted(RECIPES))}")
    return write_recipe(RECIPES[recipe], out, seed, scale, workers, progress)
