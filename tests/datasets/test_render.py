"""Rendered datasets: the same seed gives the same samples, whatever else happened."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.config.catalogue import Catalogue
from benchmark.datasets.render import RECIPES, render
from benchmark.datasets.render import degrade as chain
from benchmark.datasets.render.environment import EVENTS
from benchmark.datasets.render.espeak import speak
from benchmark.datasets.render.recipe import generator
from benchmark.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SAMPLED = 3


def rows(table):
    with table.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """The smallest set, made by two processes."""
    out = tmp_path_factory.mktemp("render") / "words"
    return render("spoken-words", out, scale=0.01, workers=2)


def test_the_number_of_processes_changes_no_byte(words, tmp_path):
    again = render("spoken-words", tmp_path / "words", scale=0.01, workers=1)
    assert again.read_bytes() == words.read_bytes()
    for row in rows(words)[::17]:
        assert (again.parent / row["path"]).read_bytes() == (words.parent / row["path"]).read_bytes()


def test_what_was_lost_is_made_again_and_nothing_else(words, tmp_path):
    table = render("spoken-words", tmp_path / "words", scale=0.01, workers=2)
    before = table.read_bytes()
    files = [table.parent / row["path"] for row in rows(table)]
    kept = files[0].stat().st_mtime_ns
    lost = {path: path.read_bytes() for path in files[5:9]}
    for path in lost:
        path.unlink()
    table.unlink()
    (files[0].parent / ".half.123.flac").write_bytes(b"half")
    assert render("spoken-words", tmp_path / "words", scale=0.01, workers=2).read_bytes() == before
    assert {path: path.read_bytes() for path in lost} == lost
    assert files[0].stat().st_mtime_ns == kept
    assert not (files[0].parent / ".half.123.flac").exists()


def test_another_seed_gives_other_sounds_with_the_same_labels(words, tmp_path):
    other = rows(render("spoken-words", tmp_path / "words", seed=1, scale=0.01))
    here = rows(words)
    assert [row["word"] for row in other] == [row["word"] for row in here]
    assert not {row["sha256"] for row in other} & {row["sha256"] for row in here}


def test_the_table_has_a_row_a_file(words):
    found = rows(words)
    assert list(found[0]) == ["id", "path", "group", "split", "word", "sha256"]
    assert [row["id"] for row in found] == sorted({row["id"] for row in found})
    on_disk = {path.relative_to(words.parent).as_posix() for path in words.parent.rglob("*.flac")}
    assert on_disk == {row["path"] for row in found}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_class_has_groups_enough_for_five_folds(name):
    recipe = RECIPES[name]
    plans = recipe.plan(1.0)
    assert len({plan.id for plan in plans}) == len(plans)
    tasks = [task for task in Catalogue.read(ROOT).tasks.values() if task.dataset == f"rendered-{name}"]
    assert tasks
    classes = {field for task in tasks if task.kind == "multiclass" and not task.filter for field in [task.label]}
    for field in classes & set(recipe.fields):
        groups = defaultdict(set)
        for plan in plans:
            groups[plan.labels[field]].add(plan.group)
        assert min(map(len, groups.values())) >= 5
        assert len(groups) >= 2


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_clip_is_sound_and_depends_on_itself_alone(name):
    recipe = RECIPES[name]
    plans = recipe.plan(1.0)
    chosen = plans[:: len(plans) // SAMPLED][:SAMPLED]

    def make(plan):
        rng = generator(recipe.name, 0, plan.id)
        sound = recipe.make(plan, rng)
        return sound if recipe.stems else chain.degrade(sound, rng, recipe.chain)

    first = [make(plan) for plan in chosen]
    for sound in first:
        assert np.isfinite(sound).all()
        assert 0.05 < np.abs(sound).max() <= 1.0
        assert sound.shape[:-1] == ((len(recipe.stems),) if recipe.stems else ())
        assert 0.9 * chain.SAMPLE_RATE <= sound.shape[-1] <= 12.1 * chain.SAMPLE_RATE
    for plan, sound in reversed(list(zip(chosen, first, strict=True))):
        np.testing.assert_array_equal(make(plan), sound)


def test_source_and_target_share_no_score():
    source, target = (
        {plan.group for plan in RECIPES[name].plan(1.0) if plan.labels["class"] == "music"}
        for name in ("speech-music-noise", "scheirer-slaney")
    )
    assert source
    assert target
    assert not source & target


def test_files_are_16_bit_mono_flac(words):
    info = soundfile.info(words.parent / rows(words)[0]["path"])
    assert (info.format, info.subtype, info.channels, info.samplerate) == ("FLAC", "PCM_16", 1, 22050)


def test_unknown_recipe_lists_the_known_ones(tmp_path):
    with pytest.raises(UserError, match="spoken-words"):
        render("words", tmp_path)


def test_speech_does_not_depend_on_what_was_said_before():
    alone = speak("one two three", "en+m1")
    speak("Etwas anderes.", "de+f2", rate_wpm=220, pitch=80)
    np.testing.assert_array_equal(speak("one two three", "en+m1"), alone)


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_physical_models_sound_and_one_scene_differs_from_another(event):
    def make(scene, clip):
        return EVENTS[event](np.random.default_rng(scene), np.random.default_rng(clip), 1.5)

    sound = make(1, 2)
    assert np.isfinite(sound).all()
    assert np.std(sound) > 0
    np.testing.assert_array_equal(make(1, 2), sound)
    assert not np.array_equal(make(3, 2), sound)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_degraded_sound_keeps_its_length_and_stays_below_full_scale(seed):
    rng = np.random.default_rng(seed)
    sound = np.sin(2 * np.pi * 440 * np.arange(11025) / chain.SAMPLE_RATE)
    everything = chain.Chain(room=1, tilt=1, band=1, noise=1, codec=1, clipping=1)
    degraded = chain.degrade(sound, rng, everything)
    assert degraded.shape == sound.shape
    assert np.isfinite(degraded).all()
    assert 10 ** (-18.1 / 20) < np.abs(degraded).max() <= 10 ** (-0.4 / 20)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 30.0])
def test_noise_lies_where_it_should(snr_db):
    sound = np.sin(2 * np.pi * 440 * np.arange(44100) / chain.SAMPLE_RATE)
    noise = chain.add_noise(sound, np.random.default_rng(0), snr_db) - sound
    assert 10 * np.log10(np.mean(sound**2) / np.mean(noise**2)) == pytest.approx(snr_db, abs=0.1)
