"""The benchmark of training steps runs ours in a process of its own."""

from pathlib import Path

import pytest

from benchmark.bench.steps import run
from benchmark.errors import UserError


def test_ours_is_timed_at_the_size_of_the_paper():
    (row,) = run(batch=1, seconds=0.1, steps=1, threads=1, rounds=1, clock="cpu").rows
    assert row["parameters"] == pytest.approx(5.05e6, rel=0.02)
    assert row["audio-s a second"] == pytest.approx(0.1 * row["steps a second"])
    assert row["ratio"] == 1


def test_wrong_options_are_one_line():
    with pytest.raises(UserError, match="--clock stop: use wall or cpu"):
        run(clock="stop")
    with pytest.raises(UserError, match="--peers"):
        run(batch=1, seconds=0.1, steps=1, threads=1, rounds=1, peers=Path("/nowhere/python"))
