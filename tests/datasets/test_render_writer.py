"""Recipes to files: what is kept, what is made again, and when the table appears."""

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmark.datasets.render import writer
from benchmark.datasets.render.degrade import Chain
from benchmark.datasets.render.recipe import ClipPlan, Recipe, count, fit, generator
from benchmark.datasets.render.writer import write_recipe

REFUSED = "c-03"


def plan(scale):
    return [ClipPlan(f"c-{index:02}", {"kind": "ab"[index % 2]}, f"g{index // 2}") for index in range(count(20, scale))]


def make(clip, rng):
    return np.sin(rng.uniform(0.01, 0.3) * np.arange(2205))


def make_most(clip, rng):
    if clip.id == REFUSED:
        raise ValueError(clip.id)
    return make(clip, rng)


TONES = Recipe("tones", "Tones", ("kind",), "pair", plan, make, Chain())
BROKEN = Recipe("tones", "Tones", ("kind",), "pair", plan, make_most, Chain())


@pytest.fixture(autouse=True)
def _one_process(monkeypatch):
    """Jobs run here: what is tested is the writer, not the pool."""

    class Here:
        def __init__(self, *_):
            self.map = map

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

    monkeypatch.setattr(writer, "ProcessPoolExecutor", Here)


def write(out: Path, recipe: Recipe = TONES, seed: int = 0, scale: float = 1.0) -> list[dict[str, str]]:
    with write_recipe(recipe, out, seed, scale, 1, None).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_damaged_file_is_made_again(tmp_path):
    rows = write(tmp_path)
    path = tmp_path / rows[4]["path"]
    whole = path.read_bytes()
    for damaged in (b"", b"not audio", whole[:20]):
        path.write_bytes(damaged)
        assert write(tmp_path) == rows
        assert path.read_bytes() == whole


def test_there_is_no_table_while_a_clip_is_missing(tmp_path):
    rows = write(tmp_path)
    (tmp_path / rows[3]["path"]).unlink()
    with pytest.raises(ValueError, match=REFUSED):
        write(tmp_path, BROKEN)
    assert not (tmp_path / "clips.csv").exists()
    assert write(tmp_path) == rows


def test_another_seed_leaves_nothing_of_the_first(tmp_path):
    first = {row["id"]: row["sha256"] for row in write(tmp_path, seed=0)}
    second = {row["id"]: row["sha256"] for row in write(tmp_path, seed=1)}
    assert first.keys() == second.keys()
    assert not set(first.values()) & set(second.values())


def test_other_packages_make_all_clips_again(tmp_path, monkeypatch):
    path = tmp_path / write(tmp_path)[0]["path"]
    before = path.stat().st_ino, path.read_bytes()
    write(tmp_path)
    assert path.stat().st_ino == before[0]
    monkeypatch.setattr(writer, "version", lambda name: "0.0.0")
    path.write_bytes(b"of another synthesiser")
    write(tmp_path)
    assert path.read_bytes() == before[1]


def test_a_smaller_scale_holds_the_first_clips_of_a_larger_one(tmp_path):
    large, small = write(tmp_path / "large"), write(tmp_path / "small", scale=0.5)
    assert small == large[:10]
    assert write(tmp_path / "large", scale=0.5) == small
    assert len(list((tmp_path / "large").rglob("*.flac"))) == 10


def test_progress_ends_with_all_clips(tmp_path):
    calls = []
    write_recipe(TONES, tmp_path, 0, 1.0, 1, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (20, 20)
    assert calls == sorted(calls)


def test_generators_depend_on_their_name_alone():
    assert generator("a", 1).random() == generator("a", 1).random()
    assert len({generator(*name).random() for name in (("a", 1), ("a", 2), ("b", 1), ("a",))}) == 4


@pytest.mark.parametrize("samples", [0, 100, 2205, 9000])
def test_fit_cuts_or_pads_to_length(samples):
    sound = fit(np.ones(samples), 0.1, np.random.default_rng(0))
    assert len(sound) == 2205
    assert sound.sum() == min(samples, 2205)
