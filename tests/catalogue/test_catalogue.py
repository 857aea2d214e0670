"""Every real dataset of the catalogue, by its own YAML, on a miniature: downloaded, read, divided, and probed."""

import random
from dataclasses import replace

import pytest

from benchmark.datasets.read import read_dataset
from benchmark.engine.extract import extract
from benchmark.engine.probe import probe, records_folder
from benchmark.engine.splits import task_splits
from benchmark.metrics.folds import Split
from benchmark.report.records import read_record
from tests.catalogue.miniature import makers
from tests.catalogue.stage import catalogue, real_datasets, tasks_of

DATASETS = real_datasets()
TASKS = [task.name for name in DATASETS for task in tasks_of(name)]
# Kinds that the probe stage is asked about.
PROBED = {"multiclass", "multilabel"}


def test_every_real_dataset_has_a_miniature():
    assert list(makers()) == DATASETS


def test_every_real_dataset_has_a_task_and_stays_out_of_the_smoke_profile():
    for name in DATASETS:
        tasks = tasks_of(name)
        assert tasks, name
        assert all(task.profiles is not None and "smoke" not in task.profiles for task in tasks), name


@pytest.mark.parametrize("name", DATASETS)
def test_is_downloaded_and_read(staged, name):
    stage = staged(name)
    # What the miniature expects was compared when it was read.
    assert stage.config.expect.clips == len(stage.clips)
    assert all(clip.path.is_file() for clip in stage.clips)
    assert [clip.id for clip in read_dataset(stage.config, stage.project.data_root)] == [c.id for c in stage.clips]


@pytest.mark.parametrize("name", TASKS)
def test_folds(staged, name):
    task = catalogue().tasks[name]
    stage = staged(task.dataset)
    items = stage.items(task)
    splits = task_splits(task, items, name)
    for split in splits:
        parts = {part: getattr(split, part) for part in ("train", "valid", "test")}
        groups = {part: {items.groups[i] for i in indices} for part, indices in parts.items()}
        for first, second in (("train", "valid"), ("train", "test"), ("valid", "test")):
            assert not set(parts[first]) & set(parts[second])
            assert not groups[first] & groups[second], f"{first} and {second} share a group"
        if task.kind == "multiclass":
            assert set(items.labels[split.train]) == set(range(len(items.classes)))
        elif task.kind in ("multilabel", "events", "slots"):
            assert (items.strata[split.train] == 1).any(0).all()
    shuffled = [replace(clip) for clip in stage.clips]
    random.Random(0).shuffle(shuffled)
    again = stage.items(task, shuffled)
    assert _ids(again, task_splits(task, again, name)) == _ids(items, splits)


def _ids(items, splits: list[Split]) -> list[list[list[str]]]:
    return [[[items.ids[i] for i in part] for part in (s.train, s.valid, s.test)] for s in splits]


@pytest.mark.parametrize("name", DATASETS)
def test_is_probed(staged, name):
    stage = staged(name)
    tasks = [task for task in tasks_of(name) if task.kind in PROBED]
    if not tasks:
        return
    stage.project.tasks[:] = [
        tasks[0].model_copy(
            update={"levels": ["file"], "probes": ["logistic"], "control": False, "metrics": tasks[0].metrics[:1]}
        )
    ]
    for outcome in (extract(stage.project), probe(stage.project)):
        assert not outcome.failures, outcome.failures
    (path,) = records_folder(stage.project).glob("*.json")
    record = read_record(path)
    assert (record.task, record.embedding) == (tasks[0].name, "mfcc-stats")
    assert record.clips.lost == []
    assert 0 <= record.scores["file"][tasks[0].metrics[0]].mean <= 1
