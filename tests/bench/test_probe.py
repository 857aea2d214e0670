"""The comparison of probes: the same table and folds for every side, ratios and scores in one report."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.bench import probe, probe_side
from benchmark.errors import UserError


def test_folds_are_even_and_the_table_can_be_told():
    features, labels = probe.table(400, 32, 4)
    fold = probe.fold_of(labels, 5)
    assert features.shape == (400, 32) and features.dtype == np.float32
    counts = np.array([np.bincount(labels[fold == number], minlength=4) for number in range(5)])
    assert (counts == 20).all()


def test_ours_and_scikit_learn_side_by_side(monkeypatch):
    only = ["ours, logistic", "scikit-learn, logistic, 1 thread"]
    monkeypatch.setattr(probe, "_ROWS", {name: replace(probe._ROWS[name], repeat=2) for name in only})
    report = probe.run(rows=240, dim=16, classes=3, only=only)
    ours, theirs = report.rows
    assert ours["side"] == "ours, logistic" and theirs["beside"] == "ours, logistic"
    assert theirs["ratio"] == pytest.approx(theirs["wall s"] / ours["wall s"])
    assert ours["accuracy"] > 0.5
    assert theirs["lead"] == pytest.approx(100 * (ours["accuracy"] - theirs["accuracy"]))
    assert abs(theirs["lead"]) < 2
    assert json.loads(report.to_json())["rows"] == report.rows


def test_what_cannot_run_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no such row; rows are ours, logistic"):
        probe.run(only=["nonsense"])
    with pytest.raises(UserError, match="cannot be run"):
        probe.run(rows=60, dim=4, classes=2, only=["hear-eval-kit*"], peers=tmp_path)
    (tmp_path / "table.npz").write_text("no table")
    with pytest.raises(UserError, match=r"not an \.npz"):
        probe.run(source=tmp_path / "table.npz", only=["ours, ridge"])


def test_rows_are_compared_with_rows_that_there_are():
    for name, row in probe._ROWS.items():
        assert row.side in {*probe_side.SIDES, probe_side.FRAMES}
        for other in row.beside:
            assert probe._ROWS[other].table == row.table and name.startswith("many") == (row.table == "many")


def test_many_rows_have_a_table_of_their_own(monkeypatch):
    only = ["ours, logistic", "many rows: ours, logistic", "mapped frames: ours, logistic"]
    monkeypatch.setattr(probe, "_ROWS", {name: replace(probe._ROWS[name], repeat=1) for name in only})
    report = probe.run(rows=100, many=400, frames=3000, dim=8, classes=2, only=only)
    assert [row["side"] for row in report.rows] == only
    assert "100 x 8, 400 x 8 (many), 3,000 x 768 (frames)" in report.notes[0]
    assert all(0.1 < row["peak GB"] < 2 and row["accuracy"] > 0.5 for row in report.rows)


def test_the_script_of_the_peers_refuses_what_it_does_not_know(tmp_path):
    script = Path(probe.__file__).with_name("peers") / "probing.sh"
    for arguments, said in (([], "usage"), ([str(tmp_path), "nobody"], "nobody: unknown; heareval, xares")):
        done = subprocess.run(["sh", str(script), *arguments], capture_output=True, text=True, env={**os.environ})
        assert done.returncode == 2 and said in done.stderr
    assert not list(tmp_path.iterdir())
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0
