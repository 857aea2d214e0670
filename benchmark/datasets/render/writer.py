"""Recipes to files: FLAC clips and a table, each appearing only when whole."""

import contextlib
import csv
import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile

from benchmark.config.keys import code_version, content_key
from benchmark.datasets.clips import STEM
from benchmark.datasets.render.degrade import SAMPLE_RATE, degrade
from benchmark.datasets.render.recipe import ClipPlan, Recipe, generator

_CHUNK = 16
_PER_FOLDER = 500
# What the samples depend on beside this code.
_PACKAGES = ("espeakng-loader", "music21", "numpy", "pretty_midi", "scipy", "soxr", "symusic")


def write_recipe(
    recipe: Recipe, out: Path, seed: int, scale: float, workers: int, progress: Callable[[int, int], None] | None
) -> Path:
    """Make every clip of `recipe` that is not there, then the table `out/clips.csv`."""
    packages = [f"{name} {version(name)}" for name in _PACKAGES]
    _begin(out, content_key([recipe.name, seed, code_version("benchmark.datasets.render"), packages]))
    plans = sorted(recipe.plan(scale), key=lambda plan: plan.id)
    files = {plan.id: f"audio/{index // _PER_FOLDER:02}/{plan.id}.flac" for index, plan in enumerate(plans)}
    chunks = [plans[start : start + _CHUNK] for start in range(0, len(plans), _CHUNK)]
    jobs = [(recipe, chunk, [out / files[plan.id] for plan in chunk], seed) for chunk in chunks]
    digests: dict[str, str] = {}
    with ProcessPoolExecutor(max(1, workers), multiprocessing.get_context("spawn")) as pool:
        for chunk, made in zip(chunks, pool.map(_make_clips, jobs), strict=True):
            digests.update(zip([plan.id for plan in chunk], made, strict=True))
            if progress is not None:
                progress(len(digests), len(plans))
    _remove_others(out, set(files.values()))
    return _write_table(recipe, plans, files, digests, out)


def _begin(out: Path, stamp: str) -> None:
    """Remove the table, and the sounds of another seed or of other code."""
    # The table says that all clips are there, so it goes first.
    (out / "clips.csv").unlink(missing_ok=True)
    mark = out / "made-by.json"
    if not mark.exists() or json.loads(mark.read_text("utf-8")) != stamp:
        shutil.rmtree(out / "audio", ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps(stamp), "utf-8")


def _make_clips(job: tuple[Recipe, list[ClipPlan], list[Path], int]) -> list[str]:
    """Make the clips that are not there; returns the digest of each one's samples."""
    recipe, plans, paths, seed = job
    return [_make_clip(recipe, plan, path, seed) for plan, path in zip(plans, paths, strict=True)]


def _make_clip(recipe: Recipe, plan: ClipPlan, path: Path, seed: int) -> str:
    # A file that cannot be read, as after a power cut, is made again like one that is not there.
    with contextlib.suppress(soundfile.LibsndfileError):
        samples, _ = soundfile.read(path, dtype="int16")
        return hashlib.sha256(samples.tobytes()).hexdigest()
    rng = generator(recipe.name, seed, plan.id)
    made = recipe.make(plan, rng)
    sound = made.T if recipe.stems else degrade(made, rng, recipe.chain)
    samples = np.round(np.clip(sound, -1, 1) * 32767).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.flac")
    try:
        soundfile.write(temporary, samples, SAMPLE_RATE, subtype="PCM_16")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return hashlib.sha256(samples.tobytes()).hexdigest()


def _remove_others(out: Path, wanted: set[str]) -> None:
    """Files of a larger scale, and what a kill left."""
    for path in (out / "audio").rglob("*.flac"):
        if path.relative_to(out).as_posix() not in wanted:
            path.unlink(missing_ok=True)


def _write_table(
    recipe: Recipe, plans: list[ClipPlan], files: dict[str, str], digests: dict[str, str], out: Path
) -> Path:
    table = out / "clips.csv"
    temporary = table.with_name(f".clips.{os.getpid()}.csv")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        stems = [f"{STEM}{name}" for name in recipe.stems]
        writer.writerow(["id", "path", "group", "split", *recipe.fields, *stems, "sha256"])
        for plan in plans:
            labels = [plan.labels[key] for key in recipe.fields]
            places = [f"{files[plan.id]}#channel={channel}" for channel in range(len(stems))]
            writer.writerow([plan.id, files[plan.id], plan.group, "", *labels, *places, digests[plan.id]])
    temporary.replace(table)
    return table
