"""The table of separators says what was measured: spreads over folds and over tracks, packages, and windows left out."""

import csv
import statistics

import pytest

from benchmark.report.leaderboard import write_leaderboard
from benchmark.report.separator_blocks import separator_blocks
from tests.report.conftest import make_record, score

FOLDS = [[1.0, 2.0, 3.0], [5.0, 7.0, 9.0]]


def separated(name, strategy="trained", shift=0.0, parameters=1234, **changes):
    """A record over two folds of three tracks with two sources each."""
    values = [[value + shift for value in fold] for fold in FOLDS]
    means = [statistics.mean(fold) for fold in values]
    tracks = [
        {
            "id": f"{number}-{i}", "fold": number, "windows": 4, "silent_windows": 1,
            "scores": {"si_sdr_improvement": [value - 1, value + 1]},
        }
        for number, fold in enumerate(values)
        for i, value in enumerate(fold)
    ]  # fmt: skip
    made = {
        "kind": "separation", "primary": "si_sdr_improvement", "shuffled": None, "chance": None, "majority": None,
        "scores": {
            "track": {"si_sdr_improvement": score(means), "pesq_wb": score([2.0, 2.5])},
            "vocals": {"si_sdr_improvement": score([mean + 1 for mean in means])},
        },
        "tracks": tracks, "provenance": {"versions": {"pesq": "0.0.4"}},
        "folds": [{"train": 6, "valid": 1, "test": 3, "chosen": {"parameters": parameters} if parameters else {}}] * 2,
    }  # fmt: skip
    return make_record("pairs", name, strategy, "separator", **{**made, **changes})


def test_a_block_has_both_spreads_and_marks_what_knows_no_stem():
    records = [separated("weak", shift=-3.0), separated("good"), separated("ceiling", "oracle", 9.0, None)]
    (block,) = separator_blocks({"pairs": records, "other": [make_record()]})
    assert block.columns == [
        "si sdr improvement (dB)", "over tracks", "vocals", "pesq wb", "parameters",
    ]  # fmt: skip
    assert [row.name for row in block.rows] == ["CEILING", "GOOD", "WEAK"]
    tracks = statistics.stdev([value for fold in FOLDS for value in fold])
    texts = [[entry.text for entry in row.entries] for row in block.rows]
    assert texts[1] == ["4.5 ± 3.5", f"± {tracks:.1f} (6)", "5.5 ± 3.5", "2.250 ± 0.354", "1,234"]
    assert [row.entries[0].mark for row in block.rows] == ["", "best", "near"]
    assert texts[0][-1] == ""
    assert "pesq wb: package pesq 0.0.4 (wide band, ITU-T P.862.2, MOS-LQO)." in block.notes
    assert any("18 of 72 windows" in note for note in block.notes)


def test_the_leaderboard_has_the_spread_over_tracks(tmp_path):
    write_leaderboard([separated("good"), make_record()], tmp_path / "leaderboard.csv")
    rows = list(csv.DictReader((tmp_path / "leaderboard.csv").open()))
    found = {(row["task"], row["level"]): row for row in rows if not row["task"].startswith("(")}
    row = found["pairs", "track"]
    assert float(row["std"]) == pytest.approx(statistics.stdev([2.0, 7.0]), abs=1e-4)
    assert float(row["std_tracks"]) == pytest.approx(statistics.stdev([1.0, 2, 3, 5, 7, 9]), abs=1e-4)
    assert found["pairs", "vocals"]["std_tracks"] == found["speakers", "file"]["std_tracks"] == ""


def test_one_track_has_no_spread_and_what_is_not_defined_comes_last():
    nothing = {"track": {"si_sdr_improvement": {"folds": [None], "mean": None, "std": None}}}
    alone = separated("alone")
    records = [
        separated("silent", scores=nothing, tracks=[]),
        separated("alone", tracks=[track.model_dump() for track in alone.tracks[:1]]),
    ]
    (block,) = separator_blocks({"pairs": records})
    assert [row.name for row in block.rows] == ["ALONE", "SILENT"]
    assert [row.entries[1].text for row in block.rows] == ["", ""]
    assert block.rows[1].entries[0].text == "–"
