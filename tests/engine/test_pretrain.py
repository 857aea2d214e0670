"""Networks trained in the pretrain stage and on tasks: what is made, what it depends on, what is shown."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.checkpoint import Checkpoint
from benchmark.engine import extract as extract_stage
from benchmark.engine import pretrain as pretrain_stage
from benchmark.engine import probe as probe_stage
from benchmark.engine.extract import extract
from benchmark.engine.plan import Project
from benchmark.engine.pretrain import pretrain
from benchmark.engine.pretrain_plan import plan_pretraining
from benchmark.engine.probe import probe
from benchmark.engine.reporting import report
from benchmark.errors import ClipError, UserError
from benchmark.report.records import read_record
from tests.engine.project import edit, make_project, make_sounds, write

NET = {
    "name": "net",
    "family": "pretrained-here",
    "model": "dnn",
    "trainable": True,
    "weights": {"file": "data/models/net.safetensors"},
    "pretrain": {"tasks": ["tones0"], "folds": 2},
}
STRATEGIES = ("partial", "full", "scratch")


class Stages:
    """A project whose stages run in this process, and what each of them ran last."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.ran: list[str] = []
        for stage in (pretrain_stage, extract_stage, probe_stage):
            monkeypatch.setattr(stage, "run_jobs", self._run)

    def _run(self, function, jobs, workers, backend):
        extract_stage._embedding.cache_clear()
        for job in jobs:
            self.ran.append(function.__name__)
            try:
                yield job, function(job), None
            except (ClipError, UserError) as error:
                yield job, None, str(error)

    @property
    def project(self) -> Project:
        return Project.read(self.root)

    def repro(self, without: str = "") -> list[str]:
        """Names of the jobs that the stages ran."""
        self.ran.clear()
        for stage in (pretrain, extract, probe):
            if stage.__name__ != without:
                outcome = stage(self.project)
                assert not outcome.failures, outcome.failures
        return list(self.ran)

    def net(self, **changes) -> None:
        edit(self.root / "embeddings" / "net.yaml", **changes)

    def record(self, strategy: str, embedding: str = "net", probe: str = "mlp"):
        folder = self.root / "results" / "runs" / "probe"
        return read_record(folder / f"tones1--{embedding}--{strategy}--{probe}.json")

    def checkpoint(self) -> Checkpoint:
        plan = self.project.plan_embedding(self.project.catalogue.embeddings["net"])
        return Checkpoint.read(Path(plan.config.weights.file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("finished") / "project", embeddings=0)
    for i in range(2):
        edit(root / "tasks" / f"tones{i}.yaml", folds={"kind": "stratified", "k": 3})
    edit(root / "tasks" / "tones1.yaml", strategies=["frozen", *STRATEGIES])
    edit(root / "params.yaml", training={"max_epochs": 15, "patience": 5, "batch": 16, "hidden": [16]})
    write(root / "embeddings" / "net.yaml", NET)
    with pytest.MonkeyPatch.context() as patch:
        ran = Stages(root, patch).repro()
        assert sorted(set(ran)) == ["extract_job", "finetune_job", "pretrain_job", "probe_job"]
        assert (ran.count("pretrain_job"), ran.count("finetune_job")) == (2, 3)
    return root


@pytest.fixture
def stages(finished, tmp_path, monkeypatch):
    """A copy of a finished project, at another place."""
    root = Path(shutil.copytree(finished, tmp_path / "copy", symlinks=True))
    for i in range(2):
        edit(root / "tasks" / f"tones{i}.yaml", dataset={"folder": str(root / "sounds" / f"set{i}")})
    return Stages(root, monkeypatch)


def test_nothing_is_trained_twice_and_a_moved_project_is_finished(stages):
    assert stages.repro() == []


def test_each_strategy_has_a_record_with_both_levels_and_the_control(stages):
    for strategy in STRATEGIES:
        record = stages.record(strategy)
        assert record.strategy == strategy
        assert set(record.scores) == set(record.shuffled) == {"file", "frame"}
        assert len(record.scores["frame"]["accuracy"].folds) == 3
        assert record.scores["file"]["accuracy"].mean > 0.6
        assert record.shuffled["frame"]["accuracy"].mean < 0.6
        assert [fold.test for fold in record.folds] == [10, 10, 10]
        assert record.ingredients["weights"] == (
            "none" if strategy == "scratch" else stages.record("full").ingredients["weights"]
        )
        assert np.sum(record.confusion["file"]) == 30
    _, records = report(stages.project, write=False)
    assert {record.strategy for record in records if record.task == "tones1"} == {"frozen", *STRATEGIES}


def test_a_checkpoint_tells_its_story_and_the_best_fold_is_used(stages):
    project = stages.project
    plan = plan_pretraining(project, project.catalogue.embeddings["net"])
    folds = [Checkpoint.read(plan.fold_path(fold)).provenance for fold in range(2)]
    used = stages.checkpoint().provenance
    assert used["valid"] == max(story["valid"] for story in folds)
    assert used["key"] == plan.key
    assert used["clips"] == {f"tones0: class{c}": 10 for c in range(3)}
    assert used["test"]["frame"] > 0.5
    assert (stages.root / "data" / "models" / "net.safetensors").read_bytes() == plan.path.read_bytes()


def test_another_fold_may_be_used(stages):
    worst = 1 - stages.checkpoint().provenance["fold"]
    stages.net(pretrain={**NET["pretrain"], "use": worst})
    stages.repro()
    assert stages.checkpoint().provenance["fold"] == worst


@pytest.mark.parametrize(
    "change",
    [
        {"pretrain": {"tasks": ["tones0"], "folds": 2, "max_frames_per_clip": 1}},
        {"pretrain": {"tasks": ["tones0"], "folds": 2, "version": 2}},
        {"pretrain": {"tasks": ["tones0"], "folds": 1}},
        {"version": 2},
    ],
    ids=str,
)
def test_a_network_trained_otherwise_is_not_used(stages, change):
    stages.net(**change)
    _stale(stages)


@pytest.mark.parametrize("change", [{"seed": 1}, {"training": {"max_epochs": 9, "batch": 16, "hidden": [16]}}], ids=str)
def test_a_network_trained_with_other_settings_is_not_used(stages, change):
    edit(stages.root / "params.yaml", **change)
    _stale(stages)


def test_a_network_trained_on_other_sounds_is_not_used(stages):
    folder = stages.root / "sounds" / "set0"
    shutil.copy(folder / "class0" / "01.wav", folder / "class0" / "02.wav")
    _stale(stages)


def test_a_network_trained_on_other_labels_is_not_used(stages):
    folder = stages.root / "sounds" / "set0"
    (folder / "class0" / "01.wav").rename(folder / "class1" / "zz.wav")
    _stale(stages)


def _stale(stages: Stages) -> None:
    """Without the pretrain stage nothing of the network is extracted, probed, tuned or shown; with it all is made again."""
    for stage in (extract, probe):
        assert any("leveret pretrain -e net" in failure.reason for failure in stage(stages.project).failures)
    _, records = report(stages.project, write=False)
    assert {record.strategy for record in records if record.embedding == "net"} <= {"scratch"}
    ran = stages.repro()
    assert "pretrain_job" in ran and "extract_job" in ran
    assert ran.count("finetune_job") >= 2


def test_a_tampered_checkpoint_costs_what_was_made_with_it(stages):
    plan = plan_pretraining(stages.project, stages.project.catalogue.embeddings["net"])
    other = plan.fold_path(1 - stages.checkpoint().provenance["fold"])
    shutil.copy(other, plan.path)
    assert set(stages.repro(without="pretrain")) == {"extract_job", "finetune_job", "probe_job"}


def test_settings_of_the_head_cost_what_has_a_head(stages):
    edit(stages.root / "params.yaml", training={"max_epochs": 15, "patience": 5, "batch": 16, "hidden": [8]})
    assert stages.repro() == ["finetune_job"] * 2


def test_dropping_a_strategy_costs_nothing(stages):
    edit(stages.root / "tasks" / "tones1.yaml", strategies=["frozen", "full"])
    assert stages.repro() == []
    _, records = report(stages.project, write=False)
    assert {r.strategy for r in records if r.task == "tones1"} == {"frozen", "full"}


def test_an_embedding_may_leave_strategies_out(stages):
    stages.net(strategies=["scratch"])
    shutil.rmtree(stages.root / "data" / "embeddings")
    assert stages.repro() == []
    _, records = report(stages.project, write=False)
    assert {(r.task, r.strategy) for r in records} == {("tones1", "scratch")}


def test_a_union_is_balanced_and_keeps_the_folds_of_its_tasks(stages):
    make_sounds(stages.root / "sounds" / "set1", clips=6, seed=9)
    for path in sorted((stages.root / "sounds" / "set1" / "class0").glob("*.wav"))[7:]:
        path.unlink()
    config = stages.project.catalogue.embeddings["net"]

    def plan(balance: str):
        pretrain = {"tasks": ["tones0", "tones1"], "balance": balance}
        project = stages.project
        return plan_pretraining(project, EmbeddingConfig.model_validate({**config.model_dump(), "pretrain": pretrain}))

    def counts(made) -> dict:
        return {
            (task, label): int(np.sum((np.array(made.tasks) == task) & (made.labels == label)))
            for task in ("tones0", "tones1")
            for label in range(3)
        }

    assert set(counts(plan("sets")).values()) == {7}
    union = counts(plan("classes"))
    assert {union["tones0", c] + union["tones1", c] for c in range(3)} == {17}
    whole = plan("none")
    assert len(whole.clips) == 30 + 27
    assert len(whole.splits) == 3
    for split in whole.splits:
        assert len(set(split.train) | set(split.valid) | set(split.test)) == 57
        assert {whole.tasks[i] for i in split.test} == {"tones0", "tones1"}


def test_what_does_not_fit_is_told(stages):
    for change, message in (
        ({"tasks": ["nowhere"]}, "nowhere"),
        ({"tasks": ["tones0"], "use": 7}, "fold 7"),
    ):
        stages.net(pretrain=change)
        failures = pretrain(stages.project).failures
        assert len(failures) == 1 and message in failures[0].reason
    edit(stages.root / "tasks" / "tones1.yaml", classes=["class0", "class1"])
    stages.net(pretrain={"tasks": ["tones0", "tones1"]})
    assert "class2" in pretrain(stages.project).failures[0].reason


def test_a_clip_that_cannot_be_read_is_counted(stages):
    (stages.root / "sounds" / "set1" / "class0" / "03.wav").write_bytes(b"nothing")
    assert sum("cannot be read" in failure.reason for failure in probe(stages.project).failures) == 3
    edit(stages.root / "params.yaml", extract={"shard_clips": 5, "max_lost": 0.1})
    stages.repro()
    assert [lost.id for lost in stages.record("full").clips.lost] == ["class0/03.wav"]
