import csv
import io
import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.report.leaderboard import COLUMNS, Pending, leaderboard, write_leaderboard
from benchmark.report.metrics_json import metrics, write_metrics
from tests.report.conftest import make_record, make_records

RECORDS = [
    *make_records(3, 2, levels=("file", "frame")),
    make_record("task-00", "emb-00", "full", "mlp", domain="speech"),
]


@settings(deadline=None, max_examples=40)
@given(st.permutations(RECORDS))
def test_order_of_records_does_not_change_a_byte(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("results")
    for write, name in ((write_leaderboard, "leaderboard.csv"), (write_metrics, "metrics.json")):
        write(records, folder / "shuffled" / name)
        write(RECORDS, folder / "sorted" / name)
        assert (folder / "shuffled" / name).read_bytes() == (folder / "sorted" / name).read_bytes()


def test_rows_columns_and_format(record, tmp_path):
    path = tmp_path / "leaderboard.csv"
    made = record(
        values=[0.5, 1.0], levels=("frame", "file"), clips={"used": 299, "lost": [{"id": "a", "reason": "b"}]},
        ingredients={"audio": "0123456789abcdef", "seed": "0"}, majority=None,
    )  # fmt: skip
    assert write_leaderboard([made], path) is True
    assert write_leaderboard([made], path) is False
    text = path.read_bytes().decode()
    assert "\r" not in text and text.endswith("\n")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == COLUMNS
    assert [row["task"] for row in rows] == ["(all)", "(all)", "(speech)", "(speech)", "speakers", "speakers"]
    rows = rows[4:]
    assert [row["level"] for row in rows] == ["file", "frame"]
    row = rows[0]
    assert (row["mean"], row["std"], row["folds"], row["chance"]) == ("0.7500", "0.3536", "2", "0.5000")
    assert (row["clips"], row["lost"], row["majority"]) == ("299", "1", "")
    assert (row["scores"], row["tasks"], row["ci_low"]) == ("0.5000 1.0000", "", "")
    assert row["key_audio"] == "01234567" and row["key_weights"] == ""
    assert len(row["key_seed"]) == 8 and row["key_seed"] != "0"


def test_no_record_is_a_header(tmp_path):
    write_leaderboard([], tmp_path / "leaderboard.csv")
    assert (tmp_path / "leaderboard.csv").read_text() == ",".join(COLUMNS) + "\n"
    write_metrics([], tmp_path / "metrics.json")
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"summary": {}, "tasks": {}}


def test_times_and_machines_leave_no_trace(record):
    here, there = (
        record(),
        record(provenance={"device": "cuda", "seconds": {"probe": 99.0}, "versions": {"torch": "9"}}),
    )
    pd.testing.assert_frame_equal(leaderboard([here]), leaderboard([there]))
    assert metrics([here]) == metrics([there])


@pytest.mark.parametrize(
    "name", ["audio", "annotation", "task", "embedding", "weights", "extract_code", "probe", "probe_code", "seed"]
)
def test_each_ingredient_of_the_key_is_seen(record, name):
    old = record()
    new = record(ingredients={**old.ingredients, name: "f" * 16})
    before, after = leaderboard([old]).iloc[-1], leaderboard([new]).iloc[-1]
    assert [column for column in COLUMNS if str(before[column]) != str(after[column])] == [f"key_{name}"]


def test_a_score_that_is_not_defined_is_empty(record, tmp_path):
    nothing = record(scores={"file": {"accuracy": {"folds": [None], "mean": None, "std": None}}}, shuffled=None)
    write_leaderboard([nothing], tmp_path / "leaderboard.csv")
    (row,) = csv.DictReader((tmp_path / "leaderboard.csv").open())
    assert row["scores"] == "-"
    assert row["mean"] == row["std"] == row["shuffled_mean"] == ""
    assert metrics([nothing])["tasks"]["speakers"]["ge2e"]["frozen/logistic/file"] == {}


def test_metrics_are_nested_rounded_and_strict(record, tmp_path):
    path = tmp_path / "metrics.json"
    records = [record("a", values=[0.5, 0.25001]), record("b", values=[0.75, 0.75], domain="music")]
    write_metrics(records, path)

    def refuse(constant):
        raise AssertionError(constant)

    found = json.loads(path.read_text(), parse_constant=refuse)
    assert found["tasks"]["a"]["ge2e"]["frozen/logistic/file"]["accuracy"] == 0.375
    assert found["summary"]["ge2e"] == {"speech": 0.375, "music": 0.75, "overall": 0.5625, "mean_rank": 1.0}


def test_the_ends_of_the_interval(record):
    scores = {"file": {"accuracy": {"folds": [0.5, 0.7], "mean": 0.6, "std": 0.1414, "interval": [0.51, 0.68]}}}
    row = leaderboard([record(scores=scores)]).iloc[-1]
    assert (row["ci_low"], row["ci_high"]) == (0.51, 0.68)


def test_rows_over_tasks():
    records = [
        make_record("a", "x", values=[0.8, 0.8]), make_record("a", "y", values=[0.6, 0.6]),
        make_record("b", "x", values=[0.5, 0.5], domain="music"), make_record("b", "y", values=[0.7, 0.7], domain="music"),
        make_record("c", "y", values=[0.9, 0.9], domain="music"),
    ]  # fmt: skip
    table = leaderboard(records)
    over = table[table["task"].str.startswith("(")].set_index(["task", "embedding", "metric"])
    assert (over["strategy"] == "").all() and over["folds"].isna().all()
    found = {name: row["mean"] for name, row in over.iterrows()}
    assert found["(all)", "x", "hares"] == 0.65 and found["(all)", "y", "hares"] == 0.7333
    assert found["(music)", "y", "hares"] == 0.8 and found["(speech)", "y", "hares"] == 0.6
    assert found["(all)", "x", "mean_rank"] == 1.5 and found["(speech)", "x", "mean_rank"] == 1.0
    assert found["(all)", "x", "borda"] == 0.5 and found["(speech)", "x", "borda"] == 1.0
    assert found["(all)", "x", "hear"] == 0.0 and found["(speech)", "x", "hear"] == 1.0
    assert over.loc[("(all)", "x", "hares"), "tasks"] == 2 and over.loc[("(all)", "y", "hares"), "tasks"] == 3


def test_what_was_heard_in_place_of_the_clips_is_in_the_row(record, tmp_path):
    heard = [
        record(task, front_end=end) for task, end in (("a", None), ("b", "vocals by unet"), ("c", "vocals, clean"))
    ]
    waiting = Pending("d", "music", "mfcc", "frozen", "mlp", ("file",), "accuracy", {}, "vocals by unet")
    write_leaderboard(heard, tmp_path / "leaderboard.csv", [waiting])
    rows = {row["task"]: row["front_end"] for row in csv.DictReader((tmp_path / "leaderboard.csv").open())}
    told = {"a": "", "b": "vocals by unet", "c": "vocals, clean", "d": "vocals by unet"}
    assert rows == {"(all)": "", "(speech)": ""} | told


def test_a_run_without_a_result_is_a_row_without_numbers(record, tmp_path):
    keys = {"weights": "f" * 16}
    pending = Pending("speakers", "speech", "mfcc", "frozen", "mlp", ("file", "frame"), "accuracy", keys)
    write_leaderboard([record()], tmp_path / "leaderboard.csv", [pending])
    rows = [row for row in csv.DictReader((tmp_path / "leaderboard.csv").open()) if row["embedding"] == "mfcc"]
    assert [(row["level"], row["mean"], row["folds"], row["clips"]) for row in rows] == [
        ("file", "", "0", ""), ("frame", "", "0", ""),
    ]  # fmt: skip
    assert rows[0]["key_weights"] == "f" * 8 and rows[0]["key_audio"] == ""
