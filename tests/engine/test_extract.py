"""The extract stage: resume, what it removes, and what it shows."""

import pytest

from benchmark.engine import extract as stage
from benchmark.engine.extract import extract
from benchmark.engine.plan import Project
from tests.engine.project import edit, make_project


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
    assert "extract: 100% 36/36 s of audio, " in capsys.readouterr().err
