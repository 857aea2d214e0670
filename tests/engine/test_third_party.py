"""A third party's embedding from the package index, by a YAML of six lines, as its user has it: in the leaderboard."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.project import edit, make_project

REQUIREMENT = "hearbaseline==2021.1.1"
YAML = """\
name: hear-naive
title: HEAR baseline
family: hear
module: hearbaseline.naive
weights: none
licence: Apache-2.0
"""
# In one process, which imports everything once.
STAGES = """
from benchmark.cli import app
for stage in ("download", "extract", "probe", "report"):
    app([stage], standalone_mode=False)
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def packages(tmp_path) -> Path:
    """A folder with the package alone: its own requirements are of 2021."""
    target = tmp_path / "packages"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), REQUIREMENT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode:
        pytest.skip(f"{REQUIREMENT} cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return target


def test_hearbaseline_lands_in_the_leaderboard(packages, tmp_path):
    root = make_project(tmp_path / "project", tasks=1, embeddings=0)
    edit(root / "tasks" / "tones0.yaml", levels=["file"], metrics=["accuracy"])
    (root / "embeddings" / "hear-naive.yaml").write_text(YAML)
    path = os.pathsep.join([str(packages), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    edit(root / "params.yaml", engine={"workers": 1})
    done = subprocess.run(
        [sys.executable, "-c", STAGES],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with (root / "results" / "leaderboard.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["embedding"] == "hear-naive"]
    scores = [row for row in rows if (row["level"], row["metric"]) == ("file", "accuracy")]
    assert scores
    # Tones of three pitches: a projection of mel bands tells them apart.
    assert all(float(row["mean"]) > float(row["chance"]) + 0.2 for row in scores)
