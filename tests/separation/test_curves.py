"""Learning curves are where the user's viewer reads them, and augmented stems keep their loudness."""

import sys

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.separation.curves import curve_writer
from benchmark.separation.training import coloured


def test_tensorboard_reads_what_was_written(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with curve_writer("tensorboard", tmp_path / "curves") as curves:
        curves(10, {"loss/train": 2.0})
        curves(20, {"loss/train": 1.0})
    events = EventAccumulator(str(tmp_path / "curves"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss/train")] == [(10, 2.0), (20, 1.0)]


def test_dvclive_writes_tables_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for steps in ((10, 20), (30,)):
        with curve_writer("dvclive", tmp_path / "curves") as curves:
            for step in steps:
                curves(step, {"loss/train": 1.0 / step})
    table = (tmp_path / "curves" / "plots" / "metrics" / "loss" / "train.tsv").read_text().split()
    assert table == ["step", "train", "10", "0.1", "20", "0.05", "30", str(1 / 30)]
    assert [path.name for path in tmp_path.iterdir()] == ["curves"]


def test_none_writes_nothing_and_a_missing_package_is_named(tmp_path, monkeypatch):
    with curve_writer("none", tmp_path / "curves") as curves:
        assert curves is None
    monkeypatch.setitem(sys.modules, "dvclive", None)
    missing = pytest.raises(UserError, match=r"dvclive is not installed; pip install 'leveret\[curves\]'")
    with missing, curve_writer("dvclive", tmp_path / "curves"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_coloured_stem_is_another_sound_as_loud_as_before():
    rng = np.random.default_rng(0)
    stem = rng.standard_normal((2, 4000)).astype(np.float32)
    for _ in range(50):
        found = coloured(stem, rng)
        assert found.dtype == np.float32
        assert np.square(found).sum() == pytest.approx(np.square(stem).sum(), rel=1e-4)
        assert np.abs(found - stem).max() > 0.01
    assert not coloured(np.zeros((1, 100), np.float32), rng).any()
