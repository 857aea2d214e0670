"""`leveret check --data` finds what was leaked on purpose."""

import csv
import shutil

import pytest

from benchmark.engine.checking import check_project
from tests.engine.project import make_project, write


@pytest.fixture
def project(tmp_path):
    """Thirty clips of six speakers in a table; nothing leaks."""
    root = make_project(tmp_path / "project", tasks=1, embeddings=1)
    (root / "tasks" / "tones0.yaml").unlink()
    rows = [
        {
            "file": f"set0/class{c}/{i:02}.wav",
            "digit": f"d{c}",
            "speaker": f"s{i % 6}",
            "split": "test" if i % 6 > 3 else "train",
        }
        for c in range(3)
        for i in range(10)
    ]
    describe(root, rows)
    return root, rows


def describe(root, rows, **folds):
    with (root / "sounds" / "digits.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    described = {
        "name": "digits", "domain": "speech", "dataset": {"csv": str(root / "sounds" / "digits.csv"), "path": "file"},
        "label": "digit", "group": "speaker", "folds": {"kind": "grouped", "k": 3, **folds},
    }  # fmt: skip
    write(root / "tasks" / "digits.yaml", described)


def test_clean_data_have_no_leak(project):
    report = check_project(project[0], data=True)
    assert (report.problems, report.warnings) == ([], [])


def test_a_speaker_under_two_names_is_caught_by_the_bytes(project):
    root, rows = project
    copies = root / "sounds" / "set0" / "copies"
    copies.mkdir()
    for row in [row for row in rows if row["speaker"] == "s0"]:
        name = row["file"].replace("/", "-")
        shutil.copy(root / "sounds" / row["file"], copies / name)
        rows.append({**row, "file": f"set0/copies/{name}", "speaker": "somebody else"})
    describe(root, rows)
    assert check_project(root).problems == []
    (problem,) = check_project(root, data=True).problems
    assert "digits.yaml: folds: 12 test clips have the same audio as a clip that the probe learns from" in problem
    assert "of group somebody else" in problem and "give both the same group" in problem and "\n" not in problem


def test_a_group_that_crosses_official_parts_is_caught_without_reading_a_sound(project):
    root, rows = project
    describe(root, rows, kind="official")
    assert check_project(root).problems == []
    next(row for row in rows if row["speaker"] == "s0")["split"] = "test"
    describe(root, rows, kind="official")
    (problem,) = check_project(root).problems
    assert "s0" in problem and "test" in problem


def test_the_same_sound_in_official_parts_is_a_warning(project):
    root, rows = project
    train, test = (next(row for row in rows if row["split"] == part) for part in ("train", "test"))
    shutil.copy(root / "sounds" / train["file"], root / "sounds" / test["file"])
    describe(root, rows, kind="official")
    report = check_project(root, data=True)
    assert report.problems == []
    assert "1 test clips have the same audio" in report.warnings[0]


def test_files_without_sound_are_lost_and_no_leak(project):
    root, rows = project
    for row in (rows[0], rows[3]):
        (root / "sounds" / row["file"]).write_bytes(b"")
    report = check_project(root, data=True)
    assert not [problem for problem in report.problems if "same audio" in problem]
