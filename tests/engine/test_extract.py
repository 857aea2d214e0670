"""The extract stage: resume, what it removes, and what it shows."""

import re

import numpy as np
import pytest

from benchmark.engine import extract as stage
from benchmark.engine.extract import extract
from benchmark.engine.plan import Project
from benchmark.errors import UserError
from benchmark.store.shards import read_shard
from tests.engine.project import ROOT, edit, make_project


def inline(function, jobs, workers, backend):
    for job in jobs:
        yield job, function(job), None


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "run_jobs", inline)
    return make_project(tmp_path / "project", tasks=1)


def shards(root):
    return sorted(str(path.relative_to(root)) for path in (root / "data" / "embeddings").rglob("*.safetensors"))


def test_what_was_interrupted_goes_on_at_the_next_shard(project, monkeypatch):
    def killed(function, jobs, workers, backend):
        for job in jobs[:2]:
            yield job, function(job), None
        raise KeyboardInterrupt

    monkeypatch.setattr(stage, "run_jobs", killed)
    with pytest.raises(KeyboardInterrupt):
        extract(Project.read(project))
    assert len(shards(project)) == 4
    monkeypatch.setattr(stage, "run_jobs", inline)
    outcome = extract(Project.read(project))
    assert (outcome.computed, outcome.reused, outcome.failures) == (8, 4, [])
    assert len(shards(project)) == 12


def test_embeddings_and_datasets_that_are_gone_leave_the_store(project):
    extract(Project.read(project))
    (project / "embeddings" / "mfcc0.yaml").unlink()
    # What is not selected is not gone.
    assert len(shards(project)) == 12
    extract(Project.read(project, embeddings=["no*"]))
    assert {path.split("/")[2] for path in shards(project)} == {"mfcc1"}
    edit(project / "tasks" / "tones0.yaml", name="others")
    (project / "tasks" / "tones0.yaml").rename(project / "tasks" / "others.yaml")
    extract(Project.read(project))
    assert {path.split("/")[3] for path in shards(project)} == {"others"}


def test_a_store_that_lies_elsewhere_is_not_cleared_of_what_is_unknown_here(project, tmp_path):
    edit(project / "params.yaml", data={"root": str(tmp_path / "shared")})
    extract(Project.read(project))
    (project / "embeddings" / "mfcc0.yaml").unlink()
    extract(Project.read(project))
    assert (tmp_path / "shared" / "embeddings" / "mfcc0").exists()


def test_progress_is_in_seconds_of_audio(project, capsys):
    extract(Project.read(project))
    # 30 clips of 0.6 s under two embeddings.
    assert re.search(
        r"extract: 100% 36/36 s of audio, +[0-9.?]+ audio-s/s, [0-9:]+, [0-9:?]+ left", capsys.readouterr().err
    )


def test_shards_take_turns_on_the_devices(project, monkeypatch):
    used = []

    def noted(function, jobs, workers, backend):
        used.extend(job.device for job in jobs)
        return iter(())

    monkeypatch.setattr(stage, "run_jobs", noted)
    edit(project / "params.yaml", extract={"shard_clips": 5, "devices": ["cuda:0", "cuda:1"]})
    extract(Project.read(project))
    assert used == ["cuda:0", "cuda:1"] * 3


@pytest.mark.parametrize("wrong", [{"devices": ["gpu"]}, {"batch_s": 0}, {"precision": "int8"}, {"batch_s": "big"}])
def test_wrong_settings_are_named(project, wrong):
    edit(project / "params.yaml", extract=wrong)
    with pytest.raises(UserError, match=f"extract.{next(iter(wrong))}"):
        Project.read(project)


def test_half_precision_reaches_the_network(project):
    """Over the whole stage: other frames of a network, the same of features."""
    (project / "embeddings" / "mfcc1.yaml").write_text((ROOT / "embeddings" / "ge2e.yaml").read_text())
    (project / "embeddings" / "mfcc1.yaml").rename(project / "embeddings" / "ge2e.yaml")
    found = []
    for precision in ("float32", "bfloat16"):
        edit(project / "params.yaml", extract={"shard_clips": 30, "precision": precision, "batch_s": 5})
        assert not extract(Project.read(project)).failures
        views = [read_shard(project / name) for name in shards(project)]
        found.append([view.frames.copy() for view in views])
    (vectors, statistics), (coarse, same) = found
    assert 1e-4 < np.abs(vectors - coarse).max() < 3e-2
    np.testing.assert_array_equal(statistics, same)
