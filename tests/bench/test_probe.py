"""The comparison of probes: the same table and folds for every side, ratios and scores in one report."""

import json

import numpy as np
import pytest

from benchmark.bench import probe
from benchmark.errors import UserError


def test_folds_are_even_and_the_table_can_be_told():
    features, labels = probe.table(400, 32, 4)
    fold = probe.fold_of(labels, 5)
    assert features.shape == (400, 32) and features.dtype == np.float32
    counts = np.array([np.bincount(labels[fold == number], minlength=4) for number in range(5)])
    assert (counts == 20).all()


def test_ours_and_scikit_learn_side_by_side(monkeypatch):
    only = ["ours, logistic", "scikit-learn, logistic, 1 thread"]
    monkeypatch.setattr(probe, "_ROWS", {name: (*probe._ROWS[name][:2], 2, probe._ROWS[name][3]) for name in only})
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
        probe.run(rows=60, dim=4, classes=2, only=["hear-eval-kit"], peers=tmp_path)
    (tmp_path / "table.npz").write_text("no table")
    with pytest.raises(UserError, match=r"not an \.npz"):
        probe.run(source=tmp_path / "table.npz", only=["ours, ridge"])
