"""The benchmark of separation metrics: equal scores in processes of their own."""

import sys
from pathlib import Path

import pytest

from benchmark.bench.separation import run
from benchmark.errors import UserError


def test_it_compares_with_mir_eval_at_equal_scores():
    report = run(sources=2, seconds=0.3, threads=1, rounds=1)
    rows = {row["side"]: row for row in report.rows}
    assert rows["mir_eval"]["difference (dB)"] < 1e-6
    assert rows["mir_eval"]["ratio"] > 0
    assert all(row["seconds"] > 0 for row in report.rows)


def test_some_sides_alone():
    report = run(sources=2, seconds=0.3, threads=1, rounds=1, permutations=True, only=["*permutations"])
    assert [row["side"] for row in report.rows] == ["ours, permutations", "mir_eval, permutations"]
    with pytest.raises(UserError, match="--only nonsense: no such side here; sides are ours, "):
        run(sources=2, seconds=0.3, threads=1, rounds=1, only=["nonsense"])


def test_an_interpreter_that_is_none_is_named():
    with pytest.raises(UserError, match="--peers"):
        run(sources=2, seconds=0.3, threads=1, rounds=1, peers=Path("/nowhere/python"))


def test_an_interpreter_without_the_packages_says_what_is_missing():
    if __import__("importlib").util.find_spec("museval"):
        pytest.skip("museval is installed here")
    with pytest.raises(UserError, match="pip install museval"):
        run(sources=2, seconds=0.3, threads=1, rounds=1, peers=Path(sys.executable))
