"""Which strategies of which task are planned, and with which settings."""

import pytest

from benchmark.engine.plan import Project
from benchmark.engine.runs import plan_runs
from benchmark.errors import UserError
from tests.engine.project import edit, make_project, write

SCRATCH = {"name": "net", "family": "pretrained-here", "model": "dnn", "trainable": True, "strategies": ["scratch"]}


@pytest.fixture
def root(tmp_path):
    root = make_project(tmp_path / "project", tasks=1, embeddings=1)
    write(root / "embeddings" / "net.yaml", SCRATCH)
    return root


def planned(root) -> set[tuple[str, str, str]]:
    plans, failures = plan_runs(Project.read(root))
    assert not failures
    return {(plan.embedding.config.name, plan.strategy, plan.probe) for plan in plans}


def test_a_task_has_frozen_runs_alone_unless_it_says_more(root):
    assert planned(root) == {("mfcc0", "frozen", "logistic")}
    edit(root / "tasks" / "tones0.yaml", strategies=["frozen", "partial", "full", "scratch"])
    assert planned(root) == {("mfcc0", "frozen", "logistic"), ("net", "scratch", "mlp")}
    edit(root / "tasks" / "tones0.yaml", strategies=["scratch"])
    assert planned(root) == {("net", "scratch", "mlp")}


def test_a_shrunk_task_may_have_fewer_strategies(root):
    edit(root / "tasks" / "tones0.yaml", strategies=["frozen", "scratch"], smoke={"strategies": ["frozen"]})
    assert len(planned(root)) == 2
    edit(root / "params.yaml", profiles={"smoke": {"shrink": True}})
    assert planned(root) == {("mfcc0", "frozen", "logistic")}


def test_embeddings_whose_weights_are_not_here_may_be_left_out(root, tmp_path):
    edit(root / "embeddings" / "mfcc0.yaml", weights={"file": str(tmp_path / "weights.bin")})
    edit(root / "params.yaml", profiles={"smoke": {"if_here": ["mfcc*"]}})
    assert [config.name for config in Project.read(root).embeddings] == ["net"]
    assert [config.name for config in Project.read(root, (), ["mfcc0"]).embeddings] == ["mfcc0"]
    (tmp_path / "weights.bin").write_bytes(b"here")
    assert [config.name for config in Project.read(root).embeddings] == ["mfcc0", "net"]


def test_an_embedding_may_be_scaled_in_its_own_way_by_the_perceptron_alone(root):
    edit(root / "tasks" / "tones0.yaml", probes=["logistic", "mlp", "kehling"])
    keys = {plan.probe: plan.key for plan in plan_runs(Project.read(root))[0]}
    edit(root / "embeddings" / "mfcc0.yaml", scaling="minmax")
    plans = {plan.probe: plan for plan in plan_runs(Project.read(root))[0]}
    assert {probe for probe, plan in plans.items() if plan.key != keys[probe]} == {"mlp", "kehling"}
    assert plans["mlp"].settings["scaling"] == plans["kehling"].settings["scaling"] == "minmax"


def test_settings_of_the_training_may_be_set_by_a_profile(root):
    edit(root / "tasks" / "tones0.yaml", strategies=["scratch"])
    before = plan_runs(Project.read(root))[0][0]
    edit(root / "params.yaml", profiles={"smoke": {"training": {"max_epochs": 3}}})
    after = plan_runs(Project.read(root))[0][0]
    assert (before.settings["max_epochs"], after.settings["max_epochs"]) == (200, 3)
    assert before.key != after.key
    edit(root / "params.yaml", profiles={"smoke": {"training": {"epochs": 3}}})
    with pytest.raises(UserError, match=r"profiles.*smoke.*training.*epochs"):
        Project.read(root)


@pytest.mark.parametrize(
    ("what", "change", "message"),
    [
        ("embeddings/net", {"trainable": False}, "trainable: true"),
        ("embeddings/mfcc0", {"pretrain": {"tasks": ["tones0"]}}, "pretrained-here"),
        ("embeddings/net", {"pretrain": {"tasks": ["tones0", "tones0"]}}, "twice"),
        ("embeddings/net", {"pretrain": {"tasks": ["tones0"], "folds": 2, "use": 2}}, "no fold 2"),
        ("tasks/tones0", {"strategies": ["frozen", "frozen"]}, "twice"),
        ("tasks/tones0", {"strategies": ["half"]}, "strategies"),
        (
            "tasks/tones0",
            {"kind": "regression", "metrics": ["r2"], "strategies": ["full"], "levels": ["file"]},
            "multiclass",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(root, what, change, message):
    edit(root / f"{what}.yaml", **change)
    with pytest.raises(UserError, match=message):
        Project.read(root)
