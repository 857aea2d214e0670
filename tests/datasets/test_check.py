import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.config.load import parse
from benchmark.config.schema_dataset import DatasetConfig
from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.check import DatasetReport, check_dataset
from benchmark.datasets.read import read_dataset
from benchmark.engine.items import task_items
from benchmark.engine.splits import task_splits
from tests.datasets.sounds import tone, write


def check(root: Path, **keys: Any) -> DatasetReport:
    config = parse({"name": "mine", **keys}, DatasetConfig, "mine.yaml")
    return check_dataset(read_dataset(config, root / "data"), config, root / "data")


def test_counts(tmp_path):
    for i in range(4):
        write(tmp_path / f"s/a/{i}.wav", tone(0.5, hz=200 + i))
        write(tmp_path / f"s/b/{i}.flac", np.stack([tone(1.0, 16_000, 300 + i)] * 2, axis=1), 16_000)
    report = check(tmp_path, folder=str(tmp_path / "s"))
    assert (report.clips, report.files) == (8, 8)
    assert report.hours == pytest.approx(6 / 3600)
    assert (report.shortest_s, report.longest_s) == (0.5, 1.0)
    assert report.fields == {"label": {"a": 4, "b": 4}}
    assert report.rates == {8_000: 4, 16_000: 4}
    assert report.channels == {1: 4, 2: 4}
    assert report.groups is None
    assert (report.warnings, report.problems, report.lost, report.duplicates) == ([], [], {}, [])


def test_parts_groups_and_clips_of_one_file(tmp_path):
    write(tmp_path / "a.wav", tone(2.0))
    rows = ["a.wav,0,1,x,train", "a.wav,1,2,y,train", "a.wav,1.5,2.5,y,test", "a.wav,3,4,x,test"]
    (tmp_path / "t.csv").write_text("path,start,end,label,split\n" + "\n".join(rows))
    report = check(tmp_path, csv=str(tmp_path / "t.csv"), group="label")
    assert report.files == 1
    assert report.hours == pytest.approx(2.5 / 3600)
    assert (report.groups, report.parts) == (2, {"test": 2, "train": 2})
    assert list(report.lost) == ["a.wav@3"]
    assert "nothing from 3 s on" in report.problems[0]
    assert any("2 clips end behind their file" in text for text in report.warnings)


def test_bad_sound_is_listed_and_counted(tmp_path):
    for i in range(8):
        write(tmp_path / f"s/a/{i}.wav", tone(hz=200 + i))
        write(tmp_path / f"s/b/{i}.wav", tone(hz=300 + i))
    write(tmp_path / "s/a/silent.wav", np.zeros(800))
    write(tmp_path / "s/a/short.wav", tone(0.01))
    write(tmp_path / "s/a/nan.wav", np.full(800, np.nan), subtype="FLOAT")
    (tmp_path / "s/a/empty.wav").touch()
    (tmp_path / "s/a/text.wav").write_text("not found")
    cut = write(tmp_path / "s/a/cut.flac", np.random.default_rng(0).uniform(-1, 1, 8000))
    cut.write_bytes(cut.read_bytes()[:3000])
    report = check(tmp_path, folder=str(tmp_path / "s"))
    assert {name: reason.rpartition("/")[2].partition(":")[0] for name, reason in report.lost.items()} == {
        f"a/{name}": name for name in ("cut.flac", "empty.wav", "nan.wav", "text.wav")
    }
    assert "4 of 22 clips cannot be read" in report.problems[0]
    assert report.warnings == [
        "mine: 1 clips are silent (first: a/silent.wav)",
        "mine: 1 clips are shorter than 25 ms (first: a/short.wav)",
    ]


def test_duplicates_and_contradictions(tmp_path):
    for name in ("a/1", "a/2", "b/3"):
        write(tmp_path / f"s/{name}.wav", tone(hz=500))
    write(tmp_path / "s/b/4.wav", tone(hz=600))
    report = check(tmp_path, folder=str(tmp_path / "s"))
    assert report.duplicates == [["a/1.wav", "a/2.wav", "b/3.wav"]]
    assert [text.partition(" (")[0] for text in report.warnings] == [
        "mine: 1 sets of clips hold the same bytes",
        "mine: 1 sets of the same bytes have different values of 'label'",
        "mine: 1 sets of the same bytes are in different groups, so folds may share them",
    ]


def test_without_a_data_folder_nothing_is_written(tmp_path):
    for name in ("a/1", "b/2"):
        write(tmp_path / f"s/{name}.wav", tone(hz=500))
    config = parse({"name": "mine", "folder": str(tmp_path / "s")}, DatasetConfig, "mine.yaml")
    report = check_dataset(read_dataset(config, tmp_path), config)
    assert report.duplicates == [["a/1.wav", "b/2.wav"]]
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_expectations_of_an_unverified_description_are_warnings(tmp_path):
    for name in ("a/1", "b/2"):
        write(tmp_path / f"s/{name}.wav", tone(hz=500 + ord(name[0])))
    report = check(tmp_path, folder=str(tmp_path / "s"), expect={"clips": 3}, verified=False)
    assert report.warnings == ["mine: not as the description expects: 2 clips instead of 3"]
    assert report.problems == []


def test_memory_does_not_grow_with_the_length_of_files(tmp_path):
    for name in ("a/1", "b/2"):
        write(tmp_path / f"s/{name}.wav", np.zeros(1200 * 8000))
    tracemalloc.start()
    check(tmp_path, folder=str(tmp_path / "s"))
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


@pytest.mark.slow
def test_twenty_thousand_clips_take_seconds(tmp_path):
    sound = write(tmp_path / "one.wav", tone(0.2)).read_bytes()
    (tmp_path / "wav").mkdir()
    for i in range(20_000):
        # Other bytes in each: the last sample tells the number.
        (tmp_path / f"wav/{i}.wav").write_bytes(sound[:-2] + i.to_bytes(2, "little"))
    rows = "".join(f"wav/{i}.wav,{i % 5},{i % 300}\n" for i in range(20_000))
    (tmp_path / "t.csv").write_text("path,label,group\n" + rows)
    start = time.process_time()
    table = {"csv": str(tmp_path / "t.csv")}
    task = parse({"name": "mine", "domain": "environment", "dataset": table}, TaskConfig, "mine.yaml")
    clips = read_dataset(task.dataset, tmp_path / "data")
    splits = task_splits(task, task_items(task, clips, "mine.yaml"), "mine.yaml")
    report = check_dataset(clips, task.dataset, tmp_path / "data")
    assert time.process_time() - start < 20
    assert (report.clips, report.groups, report.duplicates, report.lost) == (20_000, 300, [], {})
    assert sorted(len(split.test) for split in splits) == pytest.approx([4000] * 5, rel=0.05)
