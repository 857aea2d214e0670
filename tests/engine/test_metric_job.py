"""Encoders of identities in the pretrain stage: trained, checked, used, and never stale."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.checkpoint import Checkpoint
from benchmark.embeddings.registry import build_embedding, build_trainable
from benchmark.embeddings.seeded import build_seeded
from benchmark.engine import pretrain as pretrain_stage
from benchmark.engine.plan import Project
from benchmark.engine.pretrain import pretrain
from benchmark.engine.pretrain_plan import plan_pretraining
from benchmark.errors import UserError
from tests.embeddings.contract import check_contract
from tests.engine.project import edit, make_project, make_sounds, write

METRIC = {"loss": "ge2e", "identities": 4, "segments": 2, "epochs": 2}
ENCODER = {
    "name": "encoder",
    "family": "thin-resnet",
    "model": "thin-resnet34",
    "args": {"width": 2, "dim": 8, "frames": 40, "normalise": "level"},
    "weights": {"file": "data/models/encoder.safetensors"},
    "pretrain": {"tasks": ["voices"], "balance": "none", "folds": 1, "metric": METRIC},
}
VOICES = {
    "name": "voices",
    "domain": "music",
    "kind": "verification",
    "folds": {"kind": "grouped", "k": 3, "valid": 0.3},
}


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    def run(function, jobs, workers, backend):
        for job in jobs:
            yield job, function(job), None

    monkeypatch.setattr(pretrain_stage, "run_jobs", run)
    root = make_project(tmp_path / "project", tasks=0, embeddings=0)
    make_sounds(root / "sounds", classes=6, clips=4)
    write(root / "tasks" / "voices.yaml", {**VOICES, "dataset": {"folder": str(root / "sounds")}})
    write(root / "embeddings" / "encoder.yaml", ENCODER)
    return root


def test_an_encoder_is_trained_once_and_again_when_its_loss_changes(root):
    project = Project.read(root)
    outcome = pretrain(project)
    assert not outcome.failures and outcome.computed == 1
    plan = plan_pretraining(project, project.catalogue.embeddings["encoder"])
    checkpoint = Checkpoint.read(plan.path)
    assert checkpoint.provenance["settings"]["loss"] == "ge2e"
    assert 0 <= checkpoint.provenance["valid"] <= 1
    assert checkpoint.classes == tuple(f"class{i}" for i in range(6))
    embedding = build_embedding(project.catalogue.embeddings["encoder"], weights=plan.path, device="cpu")
    assert embedding.dim == 8
    check_contract(embedding)
    assert pretrain(Project.read(root)).reused == 1
    same = plan.path.read_bytes()
    plan.path.unlink()
    plan.fold_path(0).unlink()
    assert pretrain(Project.read(root)).computed == 1
    assert plan.path.read_bytes() == same
    for change in ({"loss": "triplet", "margin": 0.3}, {"segments": 3}, {"epochs": 1}, {"lr": 0.01}):
        edit(
            root / "embeddings" / "encoder.yaml",
            pretrain={**ENCODER["pretrain"], "metric": {**METRIC, **change}},
        )
        changed = Project.read(root)
        with pytest.raises(UserError, match="leveret pretrain -e encoder"):
            changed.plan_embedding(changed.catalogue.embeddings["encoder"])


def test_a_short_clip_is_repeated_and_a_long_one_heard_to_its_end(root):
    embedding = build_seeded(EmbeddingConfig.model_validate(ENCODER))
    rng = np.random.default_rng(0)
    clip = rng.normal(size=3000).astype(np.float32) * 0.1
    whole = embedding.embed([np.resize(clip, 39 * 160)])[0][0]
    np.testing.assert_allclose(embedding.embed([clip])[0][0], whole, rtol=1e-5)
    long = rng.normal(size=40_000).astype(np.float32) * 0.1
    _, times = embedding.embed([long])[0]
    assert times[-1] + 0.2 == pytest.approx(40_000 / 16_000, abs=0.02)
    trainable = build_trainable(EmbeddingConfig.model_validate(ENCODER), None)
    segments = trainable.inputs(long, None)
    assert segments.shape[1:] == (40, 64) and len(segments) == len(times)
    assert trainable.fresh(3, segments)(segments).shape == (len(times), 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pretrain": {"tasks": ["voices"]}}, "pretrain.metric"),
        ({"family": "ina"}, "pretrain"),
        ({"pretrain": {"tasks": ["voices"], "metric": {"loss": "hinge"}}}, "loss"),
        ({"pretrain": {"tasks": ["voices"], "metric": {"loss": "ge2e", "segments": 1}}}, "segments"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        EmbeddingConfig.model_validate({**ENCODER, **change})


@pytest.mark.parametrize(("args", "message"), [({"normalise": "song"}, "normalise"), ({"width": 0}, "width")])
def test_arguments_are_checked(args, message):
    with pytest.raises(UserError, match=message):
        build_seeded(EmbeddingConfig.model_validate({**ENCODER, "args": args}))


def test_ivectors_are_trained_and_embed(root):
    args = {"gaussians": 4, "rank": 3, "frames": 40, "iterations_background": 3}
    config = {
        "name": "ivector",
        "family": "i-vector",
        "args": args,
        "weights": {"file": "data/models/ivector.safetensors"},
        "pretrain": {"tasks": ["voices"], "balance": "none", "folds": 1},
    }
    (root / "embeddings" / "encoder.yaml").unlink()
    write(root / "embeddings" / "ivector.yaml", config)
    project = Project.read(root)
    outcome = pretrain(project)
    assert not outcome.failures and outcome.computed == 1
    plan = plan_pretraining(project, project.catalogue.embeddings["ivector"])
    embedding = build_embedding(project.catalogue.embeddings["ivector"], weights=plan.path, device="cpu")
    check_contract(embedding)
    frames, _ = embedding.embed([np.random.default_rng(0).normal(size=20_000).astype(np.float32) * 0.1])[0]
    np.testing.assert_allclose(np.linalg.norm(frames, axis=1), 1, rtol=1e-6)
    assert Checkpoint.read(plan.path).provenance["test"]["file"] is not None
    edit(root / "embeddings" / "ivector.yaml", args={**args, "iterations_background": 4})
    changed = Project.read(root)
    with pytest.raises(UserError, match="leveret pretrain -e ivector"):
        changed.plan_embedding(changed.catalogue.embeddings["ivector"])
    with pytest.raises(UserError, match="gaussians"):
        build_seeded(EmbeddingConfig.model_validate({**config, "args": {"gaussians": 0}}))
