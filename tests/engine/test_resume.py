"""A pretraining that is interrupted: the checkpoints are those of an undisturbed one, byte for byte."""

import pytest

from benchmark.engine.plan import Project
from benchmark.engine.pretrain import _jobs
from benchmark.engine.pretrain_job import pretrain_job
from benchmark.engine.pretrain_plan import plan_pretraining
from benchmark.training.state import StateFile
from tests.engine.project import edit, make_project, write
from tests.engine.test_pretrain import NET


class Killed(BaseException):
    """In place of a signal."""


@pytest.mark.parametrize("model", ["dnn", "swishnet-slim"])
def test_a_pretraining_that_is_killed_comes_to_the_same_checkpoint(tmp_path, monkeypatch, model):
    root = make_project(tmp_path / "project", tasks=1, embeddings=0)
    write(root / "embeddings" / "net.yaml", {**NET, "model": model, "pretrain": {"tasks": ["tones0"], "folds": 1}})
    edit(root / "params.yaml", training={"max_epochs": 4, "patience": 4, "batch": 8})
    # Every chance to write is taken.
    monkeypatch.setattr(StateFile, "is_due", lambda self: True)
    project = Project.read(root)
    plan = plan_pretraining(project, project.embeddings[0])
    plan.folder.mkdir(parents=True)
    (job,) = _jobs(project, plan, "cpu")
    pretrain_job(job)
    undisturbed = job.outs[0].read_bytes()
    job.outs[0].unlink()

    def kill(number: int, epoch: int, score: float) -> None:
        if epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        pretrain_job(job, kill)
    assert job.state.is_file() and not job.outs[0].exists()
    went: list[int] = []
    pretrain_job(job, lambda number, epoch, score: went.append(epoch))
    assert went == [3, 4]
    assert job.outs[0].read_bytes() == undisturbed
    assert not job.state.exists()
