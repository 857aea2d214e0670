"""`leveret check` on separation, on data of another version, and on separators; paths are relative to the project."""

import csv
import json

import numpy as np
import pytest
import soundfile

from benchmark.config.schema_separator import FAMILIES
from benchmark.datasets.places import MARKER
from benchmark.engine.checking import check_project
from benchmark.engine.contents import unlearnt_classes
from benchmark.engine.items import TaskItems
from benchmark.metrics.folds import Split
from tests.engine.project import edit, make_project, write


@pytest.fixture
def root(tmp_path):
    """A project with one task that separates twelve mixtures of six groups."""
    root = make_project(tmp_path / "project", tasks=0, embeddings=1)
    rng = np.random.default_rng(0)
    rows = []
    for i in range(12):
        soundfile.write(root / f"{i}.wav", rng.uniform(-0.5, 0.5, (8000, 2)), 8000)
        rows.append(
            {
                "path": f"{i}.wav",
                "group": f"g{i % 6}",
                "stem_low": f"{i}.wav#channel=0",
                "stem_high": f"{i}.wav#channel=1",
            }
        )
    with (root / "clips.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    write(
        root / "tasks/pairs.yaml",
        {
            "name": "pairs",
            "domain": "music",
            "kind": "separation",
            "dataset": {"csv": "clips.csv", "mixture": "sum"},
            "sources": ["low", "high"],
            "folds": {"kind": "grouped", "k": 3},
            "metrics": ["si_sdr"],
        },
    )
    return root


def test_separation_shows_its_folds(root, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    report = check_project(root, data=True)
    assert report.problems == report.warnings == []
    (task,) = report.tasks
    assert (task.clips, task.groups, task.hours, task.classes) == (12, 6, "0.00", {"low": 12, "high": 12})
    assert [fold["test"] for fold in task.folds] == [4, 4, 4]
    edit(root / "tasks/pairs.yaml", sources=["low", "drums"])
    (problem,) = check_project(root).problems
    assert problem.startswith(f"{root}/tasks/pairs.yaml: the data have no field 'stem_drums'")


def test_separation_whose_official_parts_share_a_group_is_refused(root):
    text = (root / "clips.csv").read_text().splitlines()
    parts = ["split", *(["train"] * 7 + ["test"] * 5)]
    (root / "clips.csv").write_text("".join(f"{line},{part}\n" for line, part in zip(text, parts, strict=True)))
    edit(root / "tasks/pairs.yaml", folds={"kind": "official"})
    (problem,) = check_project(root).problems
    assert "is in the" in problem and "keep what belongs together in one part" in problem


SEPARATOR = {"name": "mine", "family": "unet", "sample_rate": 8000, "stft": {"size": 128, "hop": 64}}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"family": "unnet"}, "family: 'unnet' is unknown; known: oracle, "),
        ({"stft": None}, "stft: missing; unet needs it"),
        ({"tasks": ["pear*"]}, "tasks: 'pear*' fits no separation task; separation tasks: pairs"),
        ({"train_on": "other"}, "train_on: 'other' is no separation task"),
        ({"seen": ["musdb81"]}, "seen: 'musdb81' is no dataset"),
        ({"smoke": {"steps": 3}}, "smoke: 'steps' is no key of a separator"),
        ({"smoke": {"sample_rate": -1}}, "smoke: "),
        ({"name": "yours"}, "name: 'yours' differs from the file's name"),
    ],
)
def test_a_wrong_separator_is_said_in_a_line(root, keys, words):
    write(root / "separators/mine.yaml", SEPARATOR)
    report = check_project(root)
    assert report.problems == [] and report.counts["separators"] == 1
    edit(root / "separators/mine.yaml", **keys)
    (problem,) = check_project(root).problems
    assert problem.startswith(f"{root}/separators/mine.yaml: {words}") and "\n" not in problem


def test_every_family_of_separators_is_known():
    from benchmark.separation.families import FAMILIES as built
    from benchmark.separation.families import ORACLE

    assert set(FAMILIES) == {ORACLE, *built}


def test_rendered_data_of_another_version_are_said_to_be_so(root):
    """A table from before the field that the task asks for."""
    (root / "datasets").mkdir(exist_ok=True)
    write(root / "datasets/tones.yaml", {"name": "tones", "rendered": "notes"})
    task = {
        "name": "notes",
        "domain": "music",
        "dataset": "tones",
        "label": "note",
        "folds": {"kind": "stratified", "k": 2, "valid": 0.2},
    }
    write(root / "tasks/notes.yaml", task)
    place = root / "data/audio/tones"
    (place / "audio").mkdir(parents=True)
    rows = ["id,path,group,split,pitch\n"]
    for i in range(8):
        soundfile.write(place / f"audio/{i}.flac", np.full(800, 0.1 * i), 8000)
        rows.append(f"{i},audio/{i}.flac,,,{i % 2}\n")
    (place / "clips.csv").write_text("".join(rows))
    (place / MARKER).write_text(json.dumps({"recipe": "notes", "seed": 0, "scale": 1.0, "code": "0" * 16}))
    report = check_project(root, ["notes"])
    (problem,) = report.problems
    assert problem == (
        f"{root}/tasks/notes.yaml: the files of tones are of another version of it; run `leveret download` (with them: "
        "the data have no field 'note'; fields that they have: group, id, pitch, split)"
    )
    assert report.warnings == ["tones: files of another version; `leveret download` makes them anew"]
    edit(root / "tasks/notes.yaml", label="pitch")
    report = check_project(root, ["notes"])
    assert report.problems == [] and len(report.warnings) == 1


def test_a_class_that_is_tested_and_not_taught_is_named():
    items = TaskItems([], np.array([0, 0, 1, 1, 2]), [], ["a", "b", "c"], [])
    folds = [
        Split(np.array([0, 2]), np.array([1]), np.array([3, 4])),
        Split(np.array([0, 2, 4]), np.array([1]), np.array([3])),
    ]
    assert unlearnt_classes(folds, items) == ["fold 0: the test part has classes that the training part lacks (c)"]
