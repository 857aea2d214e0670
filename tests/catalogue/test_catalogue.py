"""Every real dataset of the catalogue, by its own YAML, on a miniature: downloaded, read, divided, and probed."""

import random
from dataclasses import replace

import numpy as np
import pytest

from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.read import read_dataset
from benchmark.engine.extract import extract
from benchmark.engine.front_ends import make_front_ends
from benchmark.engine.items import TaskItems
from benchmark.engine.probe import probe
from benchmark.engine.separate import separate
from benchmark.engine.splits import task_splits
from benchmark.metrics.folds import Split
from benchmark.report.records import read_record
from tests.catalogue.miniature import makers
from tests.catalogue.stage import catalogue, planned_items, real_datasets, rendered_tasks, tasks_of

DATASETS = real_datasets()
TASKS = [task.name for name in DATASETS for task in tasks_of(name)]
# What costs nothing and needs no spectra.
_FLOOR = catalogue().separators["oracle-mixture"].model_copy(update={"sample_rate": 8000})


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
    splits = sound_splits(task, items)
    shuffled = [replace(clip) for clip in stage.clips]
    random.Random(0).shuffle(shuffled)
    again = stage.items(task, shuffled)
    assert _ids(again, task_splits(task, again, name)) == _ids(items, splits)


@pytest.mark.parametrize("name", [task.name for task in rendered_tasks()])
def test_folds_of_what_is_made_here(name, tmp_path):
    task = catalogue().tasks[name]
    items = planned_items(task, tmp_path)
    splits = sound_splits(task, items)
    order = np.random.default_rng(0).permutation(len(items.clips))
    again = items.take(order.tolist())
    assert _ids(again, task_splits(task, again, name)) == _ids(items, splits)


def test_every_task_is_in_one_of_these():
    assert sorted([*TASKS, *(task.name for task in rendered_tasks())]) == sorted(catalogue().tasks)


def sound_splits(task: TaskConfig, items: TaskItems) -> list[Split]:
    """The folds of a task, in which nothing is twice, no group crosses, and no class is new to the test part."""
    splits = task_splits(task, items, task.name)
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
    return splits


def _ids(items, splits: list[Split]) -> list[list[list[str]]]:
    return [[sorted(items.ids[i] for i in part) for part in (s.train, s.valid, s.test)] for s in splits]


def _light(task: TaskConfig) -> TaskConfig:
    """The task with little of everything: one probe and metric, no control, no frames beside files."""
    metrics = task.metrics[:1]
    if task.kind == "separation":
        # The miniatures' sounds are shorter than what BSS Eval and PESQ need.
        metrics = [metric for metric in task.metrics if metric.startswith("si_sdr")][:1]
    return task.model_copy(update={"levels": ["file"], "control": False, "probes": task.probes[:1], "metrics": metrics})


@pytest.mark.parametrize("name", DATASETS)
def test_every_task_is_probed_or_separated(staged, name):
    stage = staged(name)
    tasks = tasks_of(name)
    stage.project.tasks[:] = [_light(task) for task in tasks]
    stage.project.separators[:] = [_FLOOR] if any(task.kind == "separation" for task in tasks) else []
    for run in (make_front_ends, extract, probe, separate):
        outcome = run(stage.project)
        assert not outcome.failures, outcome.failures
    records = [read_record(path) for path in (stage.project.root / "results/runs").rglob("*.json")]
    assert sorted(record.task for record in records) == sorted(task.name for task in tasks)
    for record in records:
        assert record.clips.lost == []
        (level,) = {"file", "track", "pair"} & set(record.scores)
        assert np.isfinite(record.scores[level][record.primary].mean), record.task
