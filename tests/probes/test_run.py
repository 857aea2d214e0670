"""The whole probe: levels, balancing, controls, and what it must never do."""

import numpy as np
import pytest

from benchmark.config.schema_probe import LogisticSettings, MlpSettings
from benchmark.metrics.classification import accuracy
from benchmark.metrics.folds import make_splits
from benchmark.probes.control import shuffle
from benchmark.probes.data import FrameTable
from benchmark.probes.run import run_probe

QUICK = {
    "logistic": LogisticSettings(C=(1e-2, 1.0, 100.0)),
    "mlp": MlpSettings(hidden=(16,), lr=1e-2, max_epochs=15, patience=5),
}


def _table(data):
    return FrameTable(data.frames, data.offsets, data.vectors)


@pytest.mark.parametrize("probe", ["logistic", "mlp"])
def test_scores_both_levels(made, probe):
    data = made(gap=1.0)
    metrics = ["accuracy", "macro_f1"]
    result = run_probe(_table(data), data.labels, data.splits, probe, QUICK[probe], ("file", "frame"), metrics)
    for level in ("file", "frame"):
        for metric in metrics:
            assert len(result.scores[level][metric]) == 5
            assert np.mean(result.scores[level][metric]) > 0.6
    assert np.mean(result.scores["file"]["accuracy"]) > np.mean(result.scores["frame"]["accuracy"])
    assert result.confusion["file"].sum() == 120
    assert result.confusion["frame"].sum() == len(data.frames)
    assert [(f.train, f.valid, f.test) for f in result.folds] == [
        (len(s.train), len(s.valid), len(s.test)) for s in data.splits
    ]
    assert all("C" in f.chosen if probe == "logistic" else "epoch" in f.chosen for f in result.folds)


def test_predictions_rescore_to_the_same(made):
    data = made(gap=1.0)
    result = run_probe(_table(data), data.labels, data.splits, levels=("file", "frame"))
    answers = result.predictions
    assert np.array_equal(np.sort(answers.clip), np.arange(120))
    for fold, split in enumerate(data.splits):
        mine = answers.fold == fold
        assert np.array_equal(answers.clip[mine], split.test)
        score = accuracy(data.labels[answers.clip[mine]], answers.posterior[mine])
        assert score == result.scores["file"]["accuracy"][fold]
    np.testing.assert_allclose(answers.posterior.sum(1), 1)


def test_a_file_is_the_mean_of_its_frames(made):
    data = made()
    one = np.repeat(data.vectors, 3, axis=0)
    repeated = run_probe(FrameTable(one, np.arange(121) * 3), data.labels, data.splits, levels=("file", "frame"))
    assert repeated.scores["file"] == repeated.scores["frame"]


def test_files_alone_are_learnt_from_vectors(made):
    data = made(gap=1.0)
    noise = np.random.default_rng(0).normal(size=data.frames.shape).astype(np.float32)
    result = run_probe(FrameTable(noise, data.offsets, data.vectors), data.labels, data.splits)
    assert np.mean(result.scores["file"]["accuracy"]) > 0.7
    assert set(result.scores) == {"file"}


def test_subsample_of_frames(made):
    data = made(frames=10)
    settings = LogisticSettings(C=(1.0,), max_frames_per_clip=2)
    result = run_probe(_table(data), data.labels, data.splits, "logistic", settings, ("frame",))
    assert result.confusion["frame"].sum() == np.minimum(np.diff(data.offsets), 2).sum()


def test_downsampling_balances_training_parts(made):
    data = made(clips=180)
    keep = np.flatnonzero((data.labels < 2) | (np.arange(180) % 4 == 1))
    labels = data.labels[keep]
    ids = [data.ids[i] for i in keep]
    splits = make_splits(ids, labels, None, "stratified", k=5)
    table = FrameTable(None, vectors=data.vectors[keep])
    result = run_probe(table, labels, splits, ids=ids, balance="downsample")
    for fold, split in zip(result.folds, splits, strict=True):
        assert fold.train == 3 * np.bincount(labels[split.train]).min()
        assert fold.test == len(split.test)
    weighted = run_probe(table, labels, splits, ids=ids, balance="class_weight")
    plain = run_probe(table, labels, splits, ids=ids)
    assert not np.array_equal(weighted.predictions.posterior, plain.predictions.posterior)


@pytest.mark.parametrize("probe", ["logistic", "mlp"])
@pytest.mark.parametrize("kind", ["grouped", "stratified", "repeated_holdout"])
@pytest.mark.parametrize("classes", [2, 3])
def test_shuffled_labels_score_at_chance(made, probe, kind, classes):
    data = made(clips=240, groups=120, gap=2.0, classes=classes, seed=3)
    splits = make_splits(data.ids, data.labels, data.groups, kind, k=5)
    arguments = {"levels": ("file", "frame"), "groups": data.groups, "seed": 1}
    groups = data.groups if kind != "stratified" else None
    arguments["groups"] = groups
    real = run_probe(_table(data), data.labels, splits, probe, QUICK[probe], **arguments)
    control = run_probe(_table(data), data.labels, splits, probe, QUICK[probe], shuffle_labels=True, **arguments)
    assert np.mean(real.scores["file"]["accuracy"]) > 0.9
    for level in ("file", "frame"):
        null = control.null[level]
        assert null.expected == pytest.approx(1 / classes, abs=0.05)
        assert 0 < null.standard_error < 0.15
        assert null.agrees(np.mean(control.scores[level]["accuracy"]))
    assert not control.null["file"].agrees(np.mean(real.scores["file"]["accuracy"]))


def test_control_of_uneven_classes_is_compared_with_what_it_answers(made):
    data = made(clips=200, classes=2)
    labels = (np.arange(200) % 8 == 0).astype(int)
    splits = make_splits(data.ids, labels, None, "stratified", k=5)
    control = run_probe(_table(data), labels, splits, shuffle_labels=True)
    assert control.null["file"].expected > 0.7
    assert control.null["file"].agrees(np.mean(control.scores["file"]["accuracy"]))


def test_control_is_rarely_rejected(made):
    rejected = 0
    for seed in range(60):
        data = made(clips=90, groups=45, dim=6, gap=0.0, seed=seed)
        table = FrameTable(None, vectors=data.vectors)
        settings = LogisticSettings(C=(0.1,))
        control = run_probe(
            table, data.labels, data.splits, "logistic", settings, shuffle_labels=True, groups=data.groups, seed=seed
        )
        rejected += not control.null["file"].agrees(np.mean(control.scores["file"]["accuracy"]), errors=2)
    assert rejected <= 6


def test_a_leaking_group_shows_in_the_control(made):
    rng = np.random.default_rng(0)
    groups = [f"g{i // 6}" for i in range(240)]
    labels = (np.arange(240) // 6) % 2
    centres = rng.normal(size=(40, 100)) * 4
    vectors = (centres[np.arange(240) // 6] + rng.normal(size=(240, 100))).astype(np.float32)
    ids = [f"{i:03}" for i in range(240)]
    table = FrameTable(None, vectors=vectors)
    agrees = {}
    for kind in ("grouped", "stratified"):
        splits = make_splits(ids, labels, groups, kind, k=5)
        control = run_probe(table, labels, splits, groups=groups, shuffle_labels=True)
        agrees[kind] = control.null["file"].agrees(np.mean(control.scores["file"]["accuracy"]))
    assert agrees == {"grouped": True, "stratified": False}


def test_shuffle_keeps_groups_and_the_share_of_each_test_part(made):
    data = made(clips=120, groups=60)
    shuffled = shuffle(data.labels, data.splits, data.groups, seed=0)
    assert not np.array_equal(shuffled.labels, data.labels)
    for group in set(data.groups):
        assert len(set(shuffled.labels[np.array(data.groups) == group])) == 1
    for split in data.splits:
        assert np.array_equal(np.bincount(shuffled.labels[split.test]), np.bincount(data.labels[split.test]))


@pytest.mark.parametrize("probe", ["logistic", "mlp"])
def test_test_labels_change_neither_choice_nor_answers(made, probe):
    data = made(gap=0.6)
    split = data.splits[:1]
    other = data.labels.copy()
    other[split[0].test] = (other[split[0].test] + 1) % 3
    one, two = (
        run_probe(_table(data), labels, split, probe, QUICK[probe], ("file", "frame"), n_classes=3)
        for labels in (data.labels, other)
    )
    assert one.folds == two.folds
    assert np.array_equal(one.predictions.posterior, two.predictions.posterior)
    assert one.scores != two.scores


def test_multilabel(made):
    data = made(gap=2.0)
    labels = np.stack([data.labels == 0, data.labels != 1], 1).astype(int)
    for probe in ("logistic", "mlp"):
        result = run_probe(_table(data), labels, data.splits, probe, QUICK[probe], ("file", "frame"), ["map", "auroc"])
        assert np.mean(result.scores["file"]["map"]) > 0.9
        assert result.confusion == {}


def test_arguments_that_do_not_fit_are_refused(made):
    data = made()
    table = _table(data)
    with pytest.raises(ValueError, match="not a metric of multiclass"):
        run_probe(table, data.labels, data.splits, metrics=["eer"])
    with pytest.raises(ValueError, match="119 labels for 120"):
        run_probe(table, data.labels[:-1], data.splits)
    with pytest.raises(ValueError, match="frames cannot be scored"):
        run_probe(FrameTable(None, vectors=data.vectors), data.labels, data.splits, levels=("frame",))
    with pytest.raises(ValueError, match="not the settings"):
        run_probe(table, data.labels, data.splits, "mlp", LogisticSettings())
    with pytest.raises(ValueError, match="two classes"):
        run_probe(table, np.zeros(120, dtype=int), data.splits)
