"""Logistic regression agrees with scikit-learn, and never sees the test part."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmark.config.schema_probe import LogisticSettings
from benchmark.metrics.folds import Split, make_splits
from benchmark.probes import design
from benchmark.probes.logistic import fit_logistic

EXACT = {"dtype": "float64", "tol": 1e-13, "max_iter": 2000}


def _accuracy(labels, splits):
    return lambda fold, posterior: float((posterior.argmax(1) == labels[splits[fold].valid]).mean())


def _scikit_learn(data, fold, c, **kwargs):
    train = data.splits[fold].train
    scaler = StandardScaler().fit(data.vectors[train].astype(np.float64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=c, tol=1e-10, max_iter=20_000, **kwargs)
        model.fit(scaler.transform(data.vectors[train].astype(np.float64)), data.labels[train])
    return scaler, model


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("dim", [5, 300])
@pytest.mark.parametrize("c", [1e-3, 1.0, 100.0])
def test_coefficients_agree_with_scikit_learn(made, classes, dim, c):
    data = made(clips=150, dim=dim, classes=classes, gap=0.8)
    settings = LogisticSettings(C=[c], **EXACT)
    features = torch.from_numpy(data.vectors)
    fit = fit_logistic(features, data.labels, data.splits, classes, settings, _accuracy(data.labels, data.splits))
    for fold in range(5):
        scaler, model = _scikit_learn(data, fold, c)
        np.testing.assert_allclose(fit.weights[fold].numpy(), model.coef_, atol=1e-4)
        if classes == 2:
            np.testing.assert_allclose(fit.bias[fold].numpy(), model.intercept_, atol=1e-3)
        else:
            # A constant added to every class changes nothing; scikit-learn leaves flat directions a little early.
            bias = fit.bias[fold].numpy()
            np.testing.assert_allclose(bias - bias.mean(), model.intercept_ - model.intercept_.mean(), atol=1e-3)
        test = data.splits[fold].test
        expected = model.predict_proba(scaler.transform(data.vectors[test].astype(np.float64)))
        np.testing.assert_allclose(fit.posterior(fold, features[test]), expected, atol=1e-4)


@pytest.mark.parametrize("classes", [2, 4])
def test_class_weights_agree_with_scikit_learn(made, classes):
    data = made(clips=200, dim=6, classes=classes, gap=0.7)
    keep = np.flatnonzero((data.labels > 0) | (np.arange(200) % 5 == 0))
    data.vectors, data.labels = data.vectors[keep], data.labels[keep]
    data.splits = make_splits([f"{i:03}" for i in range(len(keep))], data.labels, None, "stratified", k=3)
    settings = LogisticSettings(C=[1.0], class_weight=True, **EXACT)
    features = torch.from_numpy(data.vectors)
    fit = fit_logistic(features, data.labels, data.splits, classes, settings, _accuracy(data.labels, data.splits))
    _, model = _scikit_learn(data, 1, 1.0, class_weight="balanced")
    np.testing.assert_allclose(fit.weights[1].numpy(), model.coef_, atol=1e-4)


def test_single_precision_path_scores_like_scikit_learn(made):
    data = made(clips=400, dim=64, classes=5, gap=0.35)
    path = [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0]
    features = torch.from_numpy(data.vectors)
    fit = fit_logistic(
        features, data.labels, data.splits, 5, LogisticSettings(C=path), _accuracy(data.labels, data.splits)
    )
    ours, theirs = [], []
    for fold, split in enumerate(data.splits):
        valid, test = [], []
        for c in path:
            scaler, model = _scikit_learn(data, fold, c)
            valid.append(model.score(scaler.transform(data.vectors[split.valid]), data.labels[split.valid]))
            test.append(model.score(scaler.transform(data.vectors[split.test]), data.labels[split.test]))
        np.testing.assert_allclose(fit.valid_scores[fold], valid, atol=0.051)
        theirs.append(test[int(np.argmax(valid))])
        ours.append((fit.posterior(fold, features[split.test]).argmax(1) == data.labels[split.test]).mean())
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=0.02)


def test_warm_start_and_other_members_do_not_matter(made):
    data = made(clips=150, dim=20, classes=3, gap=0.5)
    features, score = torch.from_numpy(data.vectors), _accuracy(data.labels, data.splits)
    whole = fit_logistic(features, data.labels, data.splits, 3, LogisticSettings(C=[1e-3, 0.1, 10], **EXACT), score)
    for fold in range(5):
        split = [data.splits[fold]]
        settings = LogisticSettings(C=[whole.chosen[fold]], **EXACT)
        alone = fit_logistic(features, data.labels, split, 3, settings, _accuracy(data.labels, split))
        torch.testing.assert_close(alone.weights[0], whole.weights[fold], atol=2e-5, rtol=0)


def test_ties_go_to_the_stronger_penalty(made):
    data = made(gap=20.0)
    fit = fit_logistic(
        torch.from_numpy(data.vectors), data.labels, data.splits, 3, LogisticSettings(C=[10, 0.1, 1]), lambda f, p: 0.5
    )
    assert fit.chosen.tolist() == [0.1] * 5


def test_each_fold_chooses_its_own_c(made):
    data = made()

    def score(fold, posterior):
        # Folds disagree: even ones like confident answers, odd ones like cautious answers.
        return float(posterior.max()) * (1 if fold % 2 == 0 else -1)

    settings = LogisticSettings(C=[1e-3, 10.0])
    fit = fit_logistic(torch.from_numpy(data.vectors), data.labels, data.splits, 3, settings, score)
    assert fit.chosen.tolist() == [10.0, 1e-3, 10.0, 1e-3, 10.0]


@pytest.mark.parametrize("dim", [12, 200])
def test_test_labels_change_nothing(made, dim):
    data = made(dim=dim)
    features, split = torch.from_numpy(data.vectors), data.splits[2]
    other = data.labels.copy()
    other[split.test] = (other[split.test] + 1) % 3
    fits = [
        fit_logistic(features, labels, [split], 3, LogisticSettings(), _accuracy(labels, [split]))
        for labels in (data.labels, other)
    ]
    assert torch.equal(fits[0].weights, fits[1].weights)
    assert fits[0].chosen == fits[1].chosen
    other[split.valid] = (other[split.valid] + 1) % 3
    planted = fit_logistic(features, other, [split], 3, LogisticSettings(), _accuracy(other, [split]))
    assert not np.array_equal(planted.valid_scores, fits[0].valid_scores)


@pytest.mark.parametrize("dim", [12, 200])
def test_test_features_change_nothing(made, dim):
    data = made(dim=dim)
    features, split = torch.from_numpy(data.vectors), data.splits[0]
    other = features.clone()
    other[split.test] = other[split.test].flip(0) * 100
    settings = LogisticSettings(C=[0.01, 1.0], **EXACT)
    fits = [
        fit_logistic(x, data.labels, data.splits, 3, settings, _accuracy(data.labels, data.splits))
        for x in (features, other)
    ]
    assert fits[0].chosen[0] == fits[1].chosen[0]
    torch.testing.assert_close(fits[0].weights[0], fits[1].weights[0], atol=1e-6, rtol=0)


def test_a_class_missing_from_training_gets_no_posterior(made):
    data = made(classes=4)
    features = torch.from_numpy(data.vectors)
    train = np.flatnonzero(data.labels[:80] != 2)
    split = Split(train, np.arange(80, 100), np.arange(100, 120))
    fit = fit_logistic(features, data.labels, [split], 4, LogisticSettings(), _accuracy(data.labels, [split]))
    posterior = fit.posterior(0, features[split.test])
    assert posterior[:, 2].max() == 0
    np.testing.assert_allclose(posterior.sum(1), 1)
    known = data.labels[split.test] != 2
    assert (posterior.argmax(1) == data.labels[split.test])[known].mean() > 0.9


@pytest.mark.parametrize("classes", [2, 3])
def test_a_single_class_in_training_is_always_answered(made, classes):
    data = made(classes=classes)
    features = torch.from_numpy(data.vectors)
    split = Split(np.flatnonzero(data.labels == 1)[:30], np.arange(80, 100), np.arange(100, 120))
    fit = fit_logistic(features, data.labels, [split], classes, LogisticSettings(), _accuracy(data.labels, [split]))
    assert (fit.posterior(0, features[split.test]).argmax(1) == 1).all()


def test_constant_huge_and_tiny_features_are_harmless(made):
    data = made(dim=8)
    features = torch.from_numpy(data.vectors)
    extra = torch.cat([features * 1e-6, features * 1e6 + 1e8, torch.full((120, 1), 3.0)], 1)
    extra[:, 4:16] = 0
    extra[:, 8:16] = features * 100 + 10_000
    fit = fit_logistic(extra, data.labels, data.splits, 3, LogisticSettings(), _accuracy(data.labels, data.splits))
    assert torch.isfinite(fit.weights).all()
    assert fit.valid_scores.max(1).mean() > 0.9


def test_a_hundred_classes():
    rng = np.random.default_rng(0)
    labels = np.arange(1000) % 100
    features = torch.from_numpy((np.eye(100)[labels] * 6 + rng.normal(size=(1000, 100))).astype(np.float32))
    splits = make_splits([f"{i:04}" for i in range(1000)], labels, None, "stratified", k=5)
    fit = fit_logistic(features, labels, splits, 100, LogisticSettings(), _accuracy(labels, splits))
    test = [(fit.posterior(f, features[s.test]).argmax(1) == labels[s.test]).mean() for f, s in enumerate(splits)]
    assert np.mean(test) > 0.9


def test_multilabel_columns_agree_with_scikit_learn(made):
    data = made(clips=150, dim=6, gap=0.7)
    labels = np.stack([data.labels == 0, data.labels != 1, np.arange(150) % 2 == 0, np.zeros(150)], 1).astype(int)
    features = torch.from_numpy(data.vectors)
    settings = LogisticSettings(C=[1.0], **EXACT)
    fit = fit_logistic(features, labels, data.splits, 4, settings, lambda f, p: 0.0, multilabel=True)
    for column in range(3):
        data.labels = labels[:, column]
        scaler, model = _scikit_learn(data, 3, 1.0)
        np.testing.assert_allclose(fit.weights[3, column].numpy(), model.coef_[0], atol=1e-4)
        test = data.splits[3].test
        expected = model.predict_proba(scaler.transform(data.vectors[test].astype(np.float64)))[:, 1]
        np.testing.assert_allclose(fit.posterior(3, features[test])[:, column], expected, atol=1e-4)
    assert fit.posterior(3, features)[:, 3].max() < 1e-6


def test_two_runs_give_the_same_bits(made):
    data = made(dim=40)
    features, score = torch.from_numpy(data.vectors), _accuracy(data.labels, data.splits)
    fits = [fit_logistic(features, data.labels, data.splits, 3, LogisticSettings(), score) for _ in range(2)]
    assert torch.equal(fits[0].weights, fits[1].weights)


def test_overwriting_spares_memory_and_changes_nothing_else(made, monkeypatch):
    data = made()
    features, score = torch.from_numpy(data.vectors), _accuracy(data.labels, data.splits)
    kept = features.clone()
    plain = fit_logistic(features, data.labels, data.splits, 3, LogisticSettings(), score)
    assert torch.equal(kept, features)
    monkeypatch.setattr(design, "_COPIED", 0)
    spared = fit_logistic(kept, data.labels, data.splits, 3, LogisticSettings(), score, overwrite=True)
    assert not torch.equal(kept, features)
    for fold, split in enumerate(data.splits):
        ours, theirs = plain.posterior(fold, features[split.test]), spared.posterior(fold, kept[split.test])
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_empty_parts_and_bad_grids_are_refused(made):
    data = made()
    features = torch.from_numpy(data.vectors)
    empty = Split(data.splits[0].train, np.array([], dtype=np.int64), data.splits[0].test)
    with pytest.raises(ValueError, match="no validation"):
        fit_logistic(features, data.labels, [empty], 3, LogisticSettings(), lambda f, p: 0.0)
    with pytest.raises(ValueError, match="greater than 0"):
        LogisticSettings(C=[0.0])
