import json

import pytest
from pydantic import ValidationError

from benchmark.errors import UserError
from benchmark.report.records import Score, read_record, read_records, record_path, write_record


def test_a_record_comes_back_as_it_was_written(record, tmp_path):
    made = record(classes=12, clips={"used": 3, "lost": [{"id": "ä [1,\n 2]", "reason": "empty"}]})
    path = write_record(made, tmp_path)
    assert path == record_path(tmp_path, "speakers", "ge2e", "frozen", "logistic")
    assert path.name == "speakers--ge2e--frozen--logistic.json"
    assert read_record(path) == made
    assert json.loads(path.read_text())["schema"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_record_gives_the_same_bytes_and_floats_are_exact(record, tmp_path):
    made = record(values=[0.1, 1 / 3, 0.30000000000000004, 1e-17, 1.0])
    first = write_record(made, tmp_path / "a").read_bytes()
    assert first == write_record(read_record(write_record(made, tmp_path / "b")), tmp_path / "c").read_bytes()
    assert b"[0.1, 0.3333333333333333, 0.30000000000000004, 1e-17, 1.0]" in first
    keys = list(json.loads(first))
    assert keys == sorted(keys)


def test_records_are_found_in_folders_sorted_and_half_written_ones_are_not_seen(record, tmp_path):
    write_record(record("b"), tmp_path / "probe")
    write_record(record("a"), tmp_path / "separate")
    (tmp_path / "probe" / ".c--d--frozen--mlp.json.77.tmp").write_text('{"sch')
    assert [found.task for found in read_records(tmp_path)] == ["a", "b"]
    assert read_records(tmp_path / "nowhere") == []


def test_a_kill_while_writing_leaves_the_old_record(record, tmp_path, monkeypatch):
    path = write_record(record(), tmp_path)
    before = path.read_bytes()

    def killed(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_record(record(values=[0.5, 0.5]), tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[: len(text) // 2], "not JSON"),
        (lambda text: "", "line 1, column 1"),
        (lambda text: text.replace("0.5", "NaN", 1), "NaN is no JSON number"),
        (lambda text: text.replace("0.5", "Infinity", 1), "Infinity is no JSON number"),
        (lambda text: text.replace('"primary"', '"primari"'), "primar"),
        (lambda text: text.replace('"frozen"', '"molten"'), "holds the record of speakers--ge2e--molten"),
        (lambda text: "[" * 100_000, "not"),
    ],
)
def test_a_damaged_record_is_one_line_that_names_the_file_and_the_mend(record, tmp_path, damage, said):
    path = write_record(record(), tmp_path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(UserError) as caught:
        read_records(tmp_path)
    message = str(caught.value)
    assert str(path) in message and said in message and "dvc repro" in message and "\n" not in message


def test_bytes_that_are_no_text_are_a_damaged_record(record, tmp_path):
    path = write_record(record(), tmp_path)
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UserError, match="delete the file"):
        read_record(path)


def test_the_same_run_twice_is_refused(record, tmp_path):
    write_record(record(), tmp_path / "a")
    write_record(record(), tmp_path / "b")
    with pytest.raises(UserError, match="the same run"):
        read_records(tmp_path)


def test_a_record_that_is_not_there_is_no_user_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "a--b--c--d.json")


@pytest.mark.parametrize("name", ["../a", "a/b", "A", "", ".a", "a--b", "ä"])
def test_names_that_are_unsafe_or_ambiguous_in_a_file_name_are_refused(record, name):
    with pytest.raises(ValidationError):
        record(task=name)


@pytest.mark.parametrize(
    "changes",
    [
        {"primary": "mrr"},
        {"confusion": {"file": [[1, 2]]}},
        {"scores": {}},
        {"chance": float("nan")},
        {"folds": [{"train": -1, "valid": 0, "test": 0}]},
        {"schema": 2},
        {"surprise": 1},
    ],
)
def test_records_that_contradict_themselves_are_refused(record, changes):
    with pytest.raises(ValidationError):
        record(**changes)


def test_what_is_missing_has_a_reason():
    assert Score(folds=[0.5, None, 0.5, None], mean=None, std=None).reason == "not defined on fold 2, 4"
    assert Score(folds=[0.5], mean=0.5, std=None).reason == "one fold has no spread"
    assert Score(folds=[0.5, 0.6], mean=0.55, std=0.07).reason is None
    assert Score(folds=[], mean=None, std=None, reason="the set has one speaker").reason == "the set has one speaker"
    with pytest.raises(ValidationError):
        Score(folds=[float("nan")], mean=None, std=None)
