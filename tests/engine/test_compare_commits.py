"""`leveret compare` on commits of a project whose sounds, weights and code of its own change."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from benchmark.audio.cepstra import Standardizer
from benchmark.embeddings.checkpoint import Checkpoint
from benchmark.engine.duel import duel
from benchmark.engine.extract import extract
from benchmark.engine.plan import Project
from benchmark.engine.probe import probe
from benchmark.engine.reporting import report
from benchmark.engine.runs import project_items
from benchmark.models.dnn import Dnn
from benchmark.report.records import RunRecord, read_record, record_path
from benchmark.report.revisions import compare_revisions
from tests.engine.project import ROOT, edit, make_project, write

pytestmark = pytest.mark.slow


def leveret(root: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmark.cli", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=120)


def commit(root: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["add", "results/leaderboard.csv"], ["commit", "-q", "-m", "scores"]):
        subprocess.run([*git, *arguments], cwd=root, check=True, capture_output=True)


def compute(root: Path) -> None:
    for stage in (extract, probe):
        assert not stage(Project.read(root)).failures


def checkpoint(path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    statistics = Standardizer(torch.zeros(128), torch.ones(128))
    Checkpoint.of(Dnn(2, bands=128), "dnn", "mel128", ("a", "b"), statistics).write(path)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Three commits: the scores; other weights, not yet computed again; computed again."""
    root = make_project(tmp_path_factory.mktemp("compare") / "project", tasks=1, embeddings=1)
    edit(root / "tasks" / "tones0.yaml", control=False, levels=["file"], metrics=["accuracy"])
    edit(root / "params.yaml", engine={"workers": 1})
    described = {
        "name": "dnn",
        "family": "pretrained-here",
        "model": "dnn",
        "weights": {"file": str(root / "dnn.safetensors")},
    }
    write(root / "embeddings" / "dnn.yaml", described)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    for seed in (0, 1):
        checkpoint(root / "dnn.safetensors", seed)
        if seed:
            outcome, _ = report(Project.read(root))
            assert [failure.reason.split(";")[0] for failure in outcome.failures] == [
                "its result is stale (weights changed) and left out"
            ]
            commit(root)
        compute(root)
        report(Project.read(root))
        commit(root)
    return root


def test_changed_weights_are_named_as_the_cause_of_a_stale_row(project):
    comparison = compare_revisions(project, "HEAD~2", "HEAD~1")
    (change,) = comparison.stale
    assert change.row[:2] == ("tones0", "dnn") and change.causes == ("weights",)
    assert not comparison.moved and not comparison.is_loss()
    done = leveret(project, "compare", "HEAD~2", "HEAD~1", "--fail-on-regression")
    assert done.returncode == 0, done.stderr
    assert "Stale: tones0 dnn frozen logistic file accuracy: weights changed" in done.stdout


def test_what_was_computed_again_says_why(project):
    comparison = compare_revisions(project, "HEAD~2", "HEAD")
    assert [(change.row[1], change.causes) for change in comparison.changes if change.causes] == [("dnn", ("weights",))]
    assert comparison.stale == [] and comparison.causes == {"weights": 1}
    assert compare_revisions(project, "HEAD~1", "HEAD").new[0][:2] == ("tones0", "dnn")


def test_two_embeddings_are_compared_on_their_answers(project):
    pytest.importorskip("pyarrow")
    opened = Project.read(project)
    ids = project_items(opened, opened.tasks[0]).ids
    for name, right in (("mfcc0", 28), ("dnn", 10)):
        record = read_record(record_path(project / "results" / "runs" / "probe", "tones0", name, "frozen", "logistic"))
        answers = [[0.9, 0.1, 0.0]] * right + [[0.1, 0.9, 0.0]] * (len(ids) - right)
        _answer(project, record, ids, answers, record.key)
    (found,), _ = duel(Project.read(project), "mfcc0", "dnn")
    assert found.p_groups < 0.001 and found.ways == 10_000 and found.gain >= 0
    done = leveret(project, "compare", "-e", "mfcc0", "-e", "dnn")
    assert done.returncode == 0 and "Bayesian signed-rank test" in done.stdout, done.stderr
    # Answers of an earlier result are none.
    _answer(project, record, ids, answers, "0" * 16)
    (found,), _ = duel(Project.read(project), "mfcc0", "dnn")
    assert found.p_groups is None and found.p_folds is not None


def _answer(root: Path, record: RunRecord, ids: list[str], answers: list, key: str) -> None:
    """The file of a run's answers, in which every clip is of class 0."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "level": ["file"] * len(ids), "fold": [i % 5 for i in range(len(ids))], "draw": [0] * len(ids), "clip": ids,
        "frame": [0] * len(ids), "target": [0] * len(ids), "answer": answers,
    }  # fmt: skip
    path = record_path(root / "results" / "predictions", *record.identity).with_suffix(".parquet")
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata({b"leveret": json.dumps({"key": key}).encode()}), path)


@pytest.mark.parametrize(("names", "said"), [(["mfcc0", "mfcc0"], "give two"), (["mfcc0", "nothing"], "nothing")])
def test_what_cannot_be_compared_is_one_line(project, names, said):
    done = leveret(project, "compare", *(word for name in names for word in ("-e", name)))
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1


def test_a_planted_regression_fails_and_noise_does_not(project):
    rng = np.random.default_rng(0)
    sounds = sorted((project / "sounds" / "set0").glob("*/*.wav"))
    before = {path: soundfile.read(path) for path in sounds}
    for path, (sound, rate) in before.items():
        soundfile.write(path, sound + 0.001 * rng.standard_normal(len(sound)), rate, subtype="PCM_16")
    compute(project)
    report(Project.read(project))
    noise = leveret(project, "compare", "HEAD", "--fail-on-regression")
    assert noise.returncode == 0, noise.stdout
    assert "audio of 2" in noise.stdout
    for path, (sound, rate) in before.items():
        soundfile.write(path, 0.1 * rng.standard_normal(len(sound)), rate, subtype="PCM_16")
    compute(project)
    report(Project.read(project))
    commit(project)
    done = leveret(project, "compare", "HEAD~1", "HEAD", "--markdown", "--fail-on-regression")
    assert done.returncode == 1, done.stdout + done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("| tones0 | mfcc0"))
    assert "audio |" in line and "\\*" in line
    assert leveret(project, "compare", "HEAD~1", "HEAD").returncode == 0
