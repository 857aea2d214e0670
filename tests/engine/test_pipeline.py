"""The pipeline as users run it: `dvc repro`, undisturbed, killed, and run again."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
import yaml

from tests.engine.project import edit, make_project, make_sounds, write

KILLS = 10

pytestmark = pytest.mark.slow

_ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
}


def start(root, *command):
    """A command in a process group of its own, as a shell starts it."""
    return subprocess.Popen(
        command,
        cwd=root,
        env=_ENVIRONMENT,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def repro(root):
    """Output of `dvc repro`, which must succeed."""
    process = start(root, "dvc", "repro")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def new_project(root):
    make_project(root)
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run(command, cwd=root, env=_ENVIRONMENT, check=True)
    return root


def leaderboard(root):
    return (root / "results" / "leaderboard.csv").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = new_project(tmp_path_factory.mktemp("undisturbed") / "project")
    started = time.monotonic()
    repro(root)
    return root, time.monotonic() - started


@pytest.fixture
def another(undisturbed, tmp_path):
    """A copy of the finished project at another place, over the same sounds."""
    return Path(shutil.copytree(undisturbed[0], tmp_path / "another" / "place", symlinks=True))


def drop_what_dvc_tore(root):
    """DVC writes two small files in place; one that a kill has cut short is to be deleted, as its message says."""
    for path in (root / "dvc.lock", root / ".dvc" / "tmp" / "rwlock"):
        try:
            whole = not path.exists() or isinstance(yaml.safe_load(path.read_text()), dict)
        except yaml.YAMLError:
            whole = False
        if not whole:
            path.unlink()


def test_killed_ten_times_gives_the_same_leaderboard(undisturbed, tmp_path):
    whole, seconds = undisturbed
    root = new_project(tmp_path / "project")
    moments = random.Random(0)
    unfinished = 0
    for _ in range(KILLS):
        process = start(root, "dvc", "repro")
        try:
            process.communicate(timeout=moments.uniform(0.02, 0.15) * seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            unfinished += 1
        drop_what_dvc_tore(root)
    assert unfinished >= 3
    repro(root)
    assert leaderboard(root) == leaderboard(whole)
    assert (root / "results" / "metrics.json").read_bytes() == (whole / "results" / "metrics.json").read_bytes()
    left = [
        path
        for folder in ("data/embeddings", "data/manifests", "results")
        for path in (root / folder).rglob(".*")
        if path.is_file()
    ]
    assert left == []


def test_a_second_run_computes_nothing(undisturbed):
    root, _ = undisturbed
    before = leaderboard(root)
    output = repro(root)
    assert "download: 0 computed, 2 reused" in output
    for stage in ("extract", "probe", "report"):
        assert f"Stage '{stage}' didn't change, skipping" in output
    assert leaderboard(root) == before


def test_what_was_deleted_is_rebuilt_to_the_same_bytes_at_another_place(undisturbed, another):
    def content(root):
        files = [path for folder in ("data/embeddings", "results") for path in (root / folder).rglob("*")]
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in files
            # A run's record, and the page that shows it, say how long it took.
            if path.is_file() and "runs" not in path.parts and path.suffix != ".html"
        }

    for folder in ("data", "results"):
        shutil.rmtree(another / folder)
    output = repro(another)
    assert "extract: 24 computed, 0 reused" in output
    assert "probe: 4 computed, 0 reused" in output
    assert len(content(another)) > 24
    assert content(another) == content(undisturbed[0])


def test_what_a_user_changes_is_computed_and_nothing_else(another, tmp_path):
    """A new task over a folder of sounds in mixed formats; then one of its sounds is replaced, which DVC cannot see."""
    root = another
    folder = tmp_path / "my sounds"
    make_sounds(folder, seed=3)
    for wav in sorted(folder.rglob("0[0-4].wav")):
        samples, rate = soundfile.read(wav)
        soundfile.write(wav.with_suffix({0: ".flac", 1: ".ogg", 2: ".mp3"}[int(wav.stem) % 3]), samples, rate)
        wav.unlink()
    task = {"name": "mine", "domain": "environment", "kind": "multiclass", "dataset": {"folder": str(folder)}}
    write(root / "tasks" / "mine.yaml", {**task, "folds": {"kind": "stratified", "k": 5}, "metrics": ["accuracy"]})
    output = repro(root)
    assert "extract: 12 computed, 24 reused" in output
    assert "probe: 2 computed, 4 reused" in output
    before = leaderboard(root)
    assert before.count(b"\nmine,") == 2
    make_sounds(tmp_path / "other", seed=4)
    (tmp_path / "other" / "class0" / "07.wav").replace(folder / "class0" / "07.wav")
    output = repro(root)
    assert "extract: 2 computed, 34 reused" in output
    assert "probe: 2 computed, 4 reused" in output
    # The averages over tasks move with it, the other tasks do not.
    moving = (b"mine,", b"(")
    others = [line for line in before.splitlines() if not line.startswith(moving)]
    assert [line for line in leaderboard(root).splitlines() if not line.startswith(moving)] == others


def test_dvc_reads_the_metrics_and_their_difference(another):
    root = another
    shown = subprocess.run(
        ["dvc", "metrics", "show"], cwd=root, env=_ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert "tones0" in shown.stdout
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "add", "-f", "results/metrics.json", "dvc.yaml", "dvc.lock"], cwd=root, check=True)
    subprocess.run([*git, "commit", "-qm", "first"], cwd=root, check=True)
    metrics = root / "results" / "metrics.json"
    metrics.write_text(metrics.read_text().replace("0.", "0.1", 1))
    diff = subprocess.run(
        ["dvc", "metrics", "diff"], cwd=root, env=_ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert "results/metrics.json" in diff.stdout


def test_a_failure_is_told_and_does_not_stop_the_rest(tmp_path):
    root = new_project(tmp_path / "project")
    edit(root / "embeddings" / "mfcc1.yaml", weights={"file": str(tmp_path / "nowhere.bin")})
    process = start(root, "leveret", "extract")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "extract: 12 computed, 0 reused, 1 failed" in output
    assert "nowhere.bin" in output.replace("\n", "").replace("│", "").replace(" ", "")


def test_yaml_of_the_pipeline_has_the_six_stages():
    stages = yaml.safe_load((Path(__file__).resolve().parents[2] / "dvc.yaml").read_text())["stages"]
    assert list(stages) == ["download", "pretrain", "extract", "probe", "separate", "report"]
