"""What is odd about the real datasets, as the miniatures have it, and what becomes of it."""

import shutil

import numpy as np
import pytest

from benchmark.audio.stems import read_mixture, read_stem
from benchmark.datasets.check import check_dataset
from benchmark.datasets.read import read_dataset, unmet_expectations
from benchmark.datasets.sources import prepare
from benchmark.engine.extract import extract
from benchmark.engine.items import task_items
from benchmark.engine.probe import probe, records_folder
from benchmark.engine.splits import task_splits
from benchmark.errors import UserError
from benchmark.report.records import read_record
from tests.catalogue.stage import Stage, catalogue, real_datasets, tasks_of

SEPARATED = [name for name in real_datasets() if any(task.kind == "separation" for task in tasks_of(name))]


@pytest.mark.parametrize("name", SEPARATED)
def test_stems_can_be_read_and_fit_their_mixture(staged, name):
    stage = staged(name)
    if any(clip.path.suffix == ".mp4" for clip in stage.clips):
        pytest.importorskip("av")
    root = stage.project.data_root / "audio" / name
    for task in (task for task in tasks_of(name) if task.kind == "separation"):
        clip = task_items(task, stage.clips, name).clips[0]
        mixture, rate = read_mixture(root, clip.path, clip.labels, stage.config.mixture)
        for source in task.sources:
            stem, other = read_stem(root, clip.labels[f"stem_{source}"])
            assert (stem.shape[1], other) == (mixture.shape[1], rate)
            assert np.abs(stem).max() > 0.01


def by_id(staged, name):
    return {clip.id: clip for clip in staged(name).clips}


def test_irmas_has_no_clip_under_two_labels_and_several_labels_in_its_test_part(staged):
    clips = by_id(staged, "irmas")
    assert not any(recording in id for id in clips for recording in ("0672", "0759"))
    assert clips["IRMAS-TrainingData/cel/000__[cel][dru][cou_fol]0000__3.wav"].labels["instruments"] == ["cel"]
    tested = clips["IRMAS-TestingData-Part2/IRTestingData-Part2/(1990) Some Band - A Song-2.wav"]
    assert tested.labels["instruments"] == ["cel", "cla"]
    assert tested.group == "(1990) Some Band - A Song"
    task = catalogue().tasks["irmas-train"]
    assert {clip.split for clip in task_items(task, list(clips.values()), "").clips} == {"train"}


def test_what_nobody_judged_in_openmic_is_unknown(staged):
    items = task_items(catalogue().tasks["openmic-2018"], staged("openmic-2018").clips, "")
    assert ((items.labels == 1).sum(1) == 1).all()
    assert ((items.labels == -1).sum(1) == 2).all()


def test_shifted_notes_of_tinysol_are_left_out(staged):
    items = task_items(catalogue().tasks["tinysol-instrument"], staged("tinysol").clips, "")
    assert len(items.clips) == 42
    assert len(task_splits(catalogue().tasks["tinysol-instrument"], items, "")) == 5


def test_validation_songs_of_musdb18_are_those_of_everybody(staged):
    for name in ("musdb18", "musdb18-hq", "musdb18-7s"):
        parts = {clip.group: clip.split for clip in staged(name).clips}
        assert parts["ANiMAL - Rockshow"] == parts["Johnny Lokke - Promises & Lies"] == "valid"
        assert parts["PR - Oh No"] == "test"


def test_a_track_without_one_of_the_instruments_is_left_out(staged):
    clips = by_id(staged, "slakh2100")
    assert "stem_piano" not in clips["Track00003"].labels
    assert clips["Track00001"].labels["stem_guitar"] == ["slakh2100_flac_redux/train/Track00001/stems/S04.flac"]
    assert clips["Track00001"].group == clips["Track00000"].group
    assert len(task_items(catalogue().tasks["slakh2100"], list(clips.values()), "").clips) == 10


def test_official_parts_that_share_what_they_say_they_do_not(staged):
    """As the real files are: ESC-50 has recordings in two folds under two classes, NSynth instruments in two parts."""
    folds = {(clip.labels["src_file"], clip.split) for clip in staged("esc-50").clips}
    assert {fold for source, fold in folds if source == "134049"} == {"2", "3"}
    parts = {(clip.group, clip.split) for clip in staged("nsynth").clips}
    shared = {group for group, part in parts if part == "valid"} & {group for group, part in parts if part == "test"}
    assert len(shared) == 10
    task = catalogue().tasks["hares-nsynth-pitch"]
    (split,) = task_splits(task, staged("nsynth").items(task), "")
    items = staged("nsynth").items(task)
    assert {items.parts[i] for i in split.valid} == {"train"}


def test_takes_of_spoken_digits(staged):
    parts = {clip.path.stem: clip.split for clip in staged("fsdd").clips}
    assert (parts["3_theo_4"], parts["3_theo_14"], parts["3_george_24"]) == ("test", "train", "train")


def test_events_of_hear_are_in_seconds(staged):
    (first, *_) = staged("hear-dcase2016-task2").clips
    assert first.labels["label"][0]["start"] == 0.1


def test_folds_of_hear_are_its_own(staged):
    for name, count in (("hear-esc-50", 5), ("hear-gunshot-triangulation", 7), ("hear-nsynth-pitch-5h", 1)):
        task = catalogue().tasks[name]
        items = task_items(task, staged(name).clips, "")
        splits = task_splits(task, items, "")
        assert len(splits) == count
        assert all(len({items.parts[i] for i in split.test}) == 1 for split in splits)


def test_a_hear_user_points_at_the_folder_that_is_there(staged, tmp_path):
    there = staged("hear-esc-50").project.data_root / "audio/hear-esc-50/hear-2021.0.6/tasks/esc50-v2.0.0-full"
    shutil.copytree(there, tmp_path / "tasks/esc50-v2.0.0-full")
    inline = (
        catalogue()
        .datasets["rendered-notes"]
        .model_copy(update={"name": "mine", "rendered": None, "folder": str(tmp_path / "tasks/esc50-v2.0.0-full")})
    )
    clips = read_dataset(inline, tmp_path)
    assert [(clip.labels["label"], clip.split) for clip in clips] == [
        (clip.labels["label"], clip.split) for clip in staged("hear-esc-50").clips
    ]


@pytest.mark.parametrize("name", ["irmas", "medley-solos-db", "wsj0-2mix", "hear-esc-50", "hear-maestro"])
def test_what_is_unpacked_already_is_taken_from_where_it_is(staged, name):
    stage = staged(name)
    folder = stage.project.data_root / "audio" / name
    if name == "hear-maestro":
        # The folder of the task itself, instead of one above it.
        folder = folder / "maestro-v3.0.0-5h"
    config = catalogue().with_folders({name: str(folder)}).datasets[name].model_copy(update={"verified": False})
    clips = read_dataset(config, folder / "nowhere")
    assert {clip.path.resolve() for clip in clips} == {clip.path.resolve() for clip in stage.clips}
    assert [clip.labels.get("label") for clip in clips] == [clip.labels.get("label") for clip in stage.clips]


def test_folders_of_what_is_not_fetched_are_refused():
    with pytest.raises(UserError, match=r"data\.folders: rendered-notes: is not fetched"):
        catalogue().with_folders({"rendered-notes": "/tmp"})
    with pytest.raises(UserError, match="'irmass' is unknown"):
        catalogue().with_folders({"irmass": "/tmp"})
    assert catalogue().with_folders({"hear-*": "/data/hear"}).datasets["hear-esc-50"].folder == "/data/hear"


def test_a_copy_of_gtzan_with_a_file_that_cannot_be_read(_server, tmp_path):
    stage = Stage("gtzan-genre", tmp_path, _server)
    stage.download()
    (bad,) = (clip for clip in stage.clips if clip.id == "genres/jazz/jazz.00001.wav")
    bad.path.write_bytes(b"RIFF" + bytes(2000))
    settings = stage.project.params
    stage.project.params = settings.model_copy(
        update={"extract": settings.extract.model_copy(update={"max_lost": 0.05})}
    )
    stage.project.tasks[:] = [stage.project.tasks[0].model_copy(update={"control": False})]
    for outcome in (extract(stage.project), probe(stage.project)):
        assert not outcome.failures, outcome.failures
    (path,) = records_folder(stage.project).glob("*.json")
    record = read_record(path)
    assert [clip.id for clip in record.clips.lost] == [bad.id]
    assert record.clips.used == 59


MANUAL = [name for name in real_datasets() if any(source.manual for source in catalogue().datasets[name].sources)]


@pytest.mark.parametrize("name", MANUAL)
def test_what_cannot_be_fetched_says_how_to_get_it_and_is_checked_when_it_is_there(staged, tmp_path, name):
    config = catalogue().datasets[name]
    with pytest.raises(UserError) as error:
        prepare(config.model_copy(update={"sources": [s for s in config.sources if s.manual]}), tmp_path)
    text = str(error.value)
    assert "\n" not in text and 40 < len(text) < 1500
    for source in config.sources:
        if source.manual:
            assert " ".join(source.manual.split()).rstrip(".") in text
            assert f"Put it at {tmp_path}/manual/{name}/{source.file}, then run `leveret download` again" in text
    stage = staged(name)
    there = check_dataset(stage.clips, stage.config)
    assert there.problems == [] and not any("not as the description expects" in text for text in there.warnings)
    # One that is missing is seen, by the counts of the real set too.
    assert unmet_expectations(stage.config, stage.clips[1:])
    warnings = check_dataset(stage.clips, config).warnings
    differs = bool(unmet_expectations(config, stage.clips))
    assert any("not as the description expects" in text for text in warnings) == differs
