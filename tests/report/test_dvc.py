"""`dvc metrics diff` and `dvc plots diff` on two commits of a report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmark.report import build_report
from tests.report.conftest import make_record

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("dvc")
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["report"]
    kept = {"cmd": "true", **{name: stage[name] for name in ("metrics", "plots")}}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"report": kept}}))
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["git", "add", "."]):
        run(root, *command)
    for values in ([0.5, 0.6], [0.8, 0.9]):
        records = [make_record(task, values=values) for task in ("a", "b")]
        build_report([*records, make_record("a", "mfcc", values=[0.4, 0.4])], root / "results")
        run(root, "git", "add", "results/metrics.json", "results/standings.csv")
        run(root, "git", "commit", "-q", "-m", "scores")
    return root


def run(root, *command):
    environment = {
        **os.environ, "DVC_NO_ANALYTICS": "1", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **{f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }  # fmt: skip
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_metrics_of_two_commits(repository):
    found = json.loads(run(repository, "dvc", "metrics", "diff", "HEAD~1", "HEAD", "--json"))
    changes = found["results/metrics.json"]
    moved = changes["tasks.a.ge2e.frozen/logistic/file.accuracy"]
    assert moved == {"old": 0.55, "new": 0.85, "diff": pytest.approx(0.3)}
    assert changes["summary.ge2e.overall"]["diff"] == pytest.approx(0.3)
    assert not [name for name in changes if "mfcc" in name and name.startswith("tasks")]


@pytest.mark.slow
def test_plots_of_two_commits(repository):
    run(repository, "dvc", "plots", "diff", "HEAD~1", "HEAD", "-o", "plots")
    page = (repository / "plots" / "index.html").read_text()
    for text in ("HEAD~1", '"ge2e"', "0.5500", "0.8500", "Mean over tasks", "bar"):
        assert text in page, text
