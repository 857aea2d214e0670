"""Every solver against scikit-learn or its closed form, and what all of them have in common."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier, RidgeCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from benchmark.config.schema_probe import (
    CentroidSettings,
    FewshotSettings,
    KnnSettings,
    LogisticSettings,
    RidgeSettings,
    SvmSettings,
    protocol_settings,
)
from benchmark.metrics.classification import METRICS
from benchmark.metrics.folds import Split
from benchmark.probes.data import FrameTable
from benchmark.probes.registry import Question, solver
from benchmark.probes.run import run_probe

EXACT = {"dtype": "float64", "tol": 1e-14, "max_iter": 5000}


def _question(data, kind="multiclass", labels=None, n_classes=None):
    labels = data.labels if labels is None else labels

    def score(fold, answer):
        truth = labels[data.splits[fold].valid]
        if kind == "regression":
            return -float(np.mean((truth - answer[:, 0]) ** 2))
        return METRICS["accuracy" if kind == "multiclass" else "auroc"].function(truth, answer)

    classes = n_classes or (int(labels.max()) + 1 if labels.ndim == 1 else labels.shape[1])
    return Question(kind, labels, data.splits, classes, score, np.arange(len(labels)))


def _scaled(data, fold):
    train = data.splits[fold].train
    scaler = StandardScaler().fit(data.vectors[train].astype(np.float64))
    return scaler.transform(data.vectors.astype(np.float64))


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(("dim", "penalised"), [(6, True), (200, True), (6, False)])
@pytest.mark.parametrize("c", [1e-3, 0.1])
def test_svm_agrees_with_scikit_learn(made, classes, dim, c, penalised):
    data = made(clips=150, dim=dim, classes=classes, gap=0.7)
    chosen = SvmSettings(C=[c], penalise_bias=penalised, **EXACT)
    fit = solver("svm")(torch.from_numpy(data.vectors.copy()), _question(data), chosen)
    x, train = _scaled(data, 2), data.splits[2].train
    # A great intercept scaling makes liblinear's penalty of the bias vanish.
    model = LinearSVC(C=c, tol=1e-10, max_iter=200_000, intercept_scaling=1.0 if penalised else 1e3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x[train], data.labels[train])
    np.testing.assert_allclose(fit.weights[2].numpy(), model.coef_, atol=1e-4)
    np.testing.assert_allclose(fit.bias[2].numpy(), model.intercept_, atol=1e-3)


def test_one_vs_rest_agrees_with_scikit_learn(made):
    data = made(clips=150, dim=8, classes=4, gap=0.7)
    chosen = LogisticSettings(C=[1.0], form="one_vs_rest", **EXACT)
    kept = torch.from_numpy(data.vectors.copy())
    fit = solver("logistic")(kept, _question(data), chosen)
    x, split = _scaled(data, 1), data.splits[1]
    model = OneVsRestClassifier(LogisticRegression(tol=1e-10, max_iter=10_000)).fit(
        x[split.train], data.labels[split.train]
    )
    expected = np.concatenate([each.coef_ for each in model.estimators_])
    np.testing.assert_allclose(fit.weights[1].numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(fit.posterior(1, kept[split.test]), model.predict_proba(x[split.test]), atol=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("dim", [6, 200])
@pytest.mark.parametrize("alpha", [0.1, 100.0])
def test_ridge_agrees_with_scikit_learn(made, classes, dim, alpha):
    data = made(clips=150, dim=dim, classes=classes, gap=0.7)
    features = torch.from_numpy(data.vectors)
    fit = solver("ridge")(features, _question(data), RidgeSettings(alpha=[alpha]))
    x, train = _scaled(data, 3), data.splits[3].train
    model = RidgeClassifier(alpha=alpha, solver="cholesky").fit(x[train], data.labels[train])
    ours = fit.weights[3].numpy()
    np.testing.assert_allclose(ours[-1] if classes == 2 else ours, model.coef_, atol=1e-6)
    weighted = solver("ridge")(features, _question(data), RidgeSettings(alpha=[alpha], class_weight=True))
    model = RidgeClassifier(alpha=alpha, solver="cholesky", class_weight="balanced").fit(x[train], data.labels[train])
    ours = weighted.weights[3].numpy()
    np.testing.assert_allclose(ours[-1] if classes == 2 else ours, model.coef_, atol=1e-6)


def test_ridge_regresses_numbers_and_chooses_by_validation_or_gcv(made):
    data = made(clips=150, dim=30)
    rng = np.random.default_rng(0)
    values = data.vectors.astype(np.float64) @ rng.normal(size=30) + rng.normal(size=150) * 3
    path = [1e-2, 1.0, 30.0, 1e3]
    question = _question(data, "regression", values, 1)
    features, x = torch.from_numpy(data.vectors), _scaled(data, 0)
    train, valid, test = data.splits[0].train, data.splits[0].valid, data.splits[0].test
    fit = solver("ridge")(features, question, RidgeSettings(alpha=path))
    errors = [np.mean((Ridge(a).fit(x[train], values[train]).predict(x[valid]) - values[valid]) ** 2) for a in path]
    np.testing.assert_allclose(-fit.scores[0], errors, rtol=1e-6)
    assert fit.chosen[0] == path[int(np.argmin(errors))]
    expected = Ridge(fit.chosen[0]).fit(x[train], values[train]).predict(x[test])
    np.testing.assert_allclose(fit.posterior(0, features[test])[:, 0], expected, atol=1e-6)
    gcv = solver("ridge")(features, question, RidgeSettings(alpha=path, select="gcv"))
    model = RidgeCV(path, store_cv_results=True).fit(x[train], values[train])
    assert gcv.chosen[0] == model.alpha_
    assert gcv.choices()[0]["alpha"] == model.alpha_


@pytest.mark.parametrize("dim", [6, 200])
def test_generalised_cross_validation_is_its_formula(made, dim):
    data = made(clips=120, dim=dim)
    fit = solver("ridge")(torch.from_numpy(data.vectors), _question(data), RidgeSettings(alpha=[5.0], select="gcv"))
    x, train = _scaled(data, 0), data.splits[0].train
    x, y = x[train], np.where(data.labels[train][:, None] == np.arange(3), 1.0, -1.0)
    n = len(train)
    centring = np.eye(n) - 1 / n
    hat = centring @ x @ np.linalg.solve(x.T @ centring @ x + 5 * np.eye(dim), x.T @ centring) + 1 / n
    error = n * ((y - hat @ y) ** 2).sum(0).mean() / (n - np.trace(hat)) ** 2
    assert -fit.scores[0, 0] == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_agree_with_scikit_learn(made, metric, k):
    data = made(clips=150, dim=8, gap=0.6)
    features, split = torch.from_numpy(data.vectors), data.splits[4]
    fit = solver("knn")(features, _question(data), KnnSettings(k=[k], metric=[metric]))
    x = _scaled(data, 4)
    model = KNeighborsClassifier(k, metric=metric, algorithm="brute").fit(x[split.train], data.labels[split.train])
    np.testing.assert_allclose(fit.posterior(4, features[split.test]), model.predict_proba(x[split.test]), atol=1e-6)


def test_neighbours_vote_by_similarity_and_skip_what_is_unknown(made):
    data = made(clips=60, dim=4)
    features = torch.from_numpy(data.vectors)
    x = data.vectors / np.linalg.norm(data.vectors, axis=1, keepdims=True)
    train, test = data.splits[0].train, data.splits[0].test
    similarity = x[test] @ x[train].T
    order = np.argsort(-similarity, axis=1)[:, :10]
    say = np.exp(np.take_along_axis(similarity, order, 1) / 0.07)
    say /= say.sum(1, keepdims=True)
    chosen = KnnSettings(k=[10], metric=["cosine"], temperature=0.07, scaling="none")
    expected = (say[..., None] * np.eye(3)[data.labels[train][order]]).sum(1)
    fit = solver("knn")(features, _question(data), chosen)
    np.testing.assert_allclose(fit.posterior(0, features[test]), expected, atol=1e-5)
    labels = np.stack([data.labels == 0, np.where(np.arange(60) % 2, -1, data.labels == 1)], 1).astype(int)
    fit = solver("knn")(features, _question(data, "multilabel", labels), chosen)
    known = labels[train][order] >= 0
    expected = (say[..., None] * known * labels[train][order]).sum(1) / (say[..., None] * known).sum(1)
    np.testing.assert_allclose(fit.posterior(0, features[test]), expected, atol=1e-5)


def test_neighbours_in_blocks_are_exact(monkeypatch, made):
    from benchmark.probes import neighbours

    rng = np.random.default_rng(0)
    queries, references = (torch.from_numpy(rng.normal(size=(n, 5)).astype(np.float32)) for n in (50, 300))
    whole = next(neighbours.nearest(queries, references, 7, "euclidean"))[1:]
    monkeypatch.setattr(neighbours, "_BLOCK", 400)
    monkeypatch.setattr(neighbours, "_CHUNK", 40)
    parts = list(neighbours.nearest(queries, references, 7, "euclidean"))
    assert len(parts) > 1
    assert torch.equal(torch.cat([part[2] for part in parts]), whole[1])
    distance = torch.cdist(queries.double(), references.double()).topk(7, largest=False).values
    torch.testing.assert_close((-2 * whole[0].double()).sqrt(), distance, rtol=1e-4, atol=1e-4)


def test_nearest_centroid_agrees_with_scikit_learn(made):
    data = made(clips=150, dim=8, gap=0.5)
    features, split = torch.from_numpy(data.vectors), data.splits[0]
    fit = solver("centroid")(features, _question(data), CentroidSettings(metric=["euclidean"]))
    x = _scaled(data, 0)
    model = NearestCentroid().fit(x[split.train], data.labels[split.train])
    assert np.array_equal(fit.posterior(0, features[split.test]).argmax(1), model.predict(x[split.test]))
    train = split.train[data.labels[split.train] != 1]
    data.splits = [Split(train, split.valid, split.test)]
    fit = solver("centroid")(features, _question(data), CentroidSettings())
    assert fit.posterior(0, features)[:, 1].max() == 0


@pytest.mark.parametrize("kind", ["centroid", "logistic"])
def test_few_shots_see_that_many_clips_and_rise(made, kind):
    data = made(clips=180, gap=0.8)
    table = FrameTable(data.frames, data.offsets, data.vectors)
    scores = {}
    for shots in (1, 10):
        chosen = FewshotSettings(shots=shots, draws=6, solver=kind)
        result = run_probe(table, data.labels, data.splits, "fewshot", chosen, ("file", "frame"))
        assert result.folds[0].chosen == {"clips": 3 * shots, "draws": 6}
        assert len(result.scores["file"]["accuracy"]) == 5
        assert result.confusion["file"].sum() == 6 * 180
        assert result.predictions.posterior.shape == (180, 3)
        scores[shots] = np.mean(result.scores["file"]["accuracy"])
    assert 0.4 < scores[1] < scores[10]
    again = run_probe(table, data.labels, data.splits, "fewshot", chosen, ("file", "frame"))
    assert again.scores == result.scores
    other = run_probe(table, data.labels, data.splits, "fewshot", chosen, ("file", "frame"), seed=1)
    assert other.scores != result.scores


SMALL = {
    "logistic": LogisticSettings(C=[0.1, 1.0]),
    "svm": SvmSettings(C=[1e-3, 1e-1]),
    "ridge": RidgeSettings(alpha=[1.0, 100.0]),
    "knn": KnnSettings(k=[1, 5]),
    "centroid": CentroidSettings(),
    "fewshot": FewshotSettings(draws=2),
}


@pytest.mark.parametrize("name", SMALL)
def test_test_labels_change_neither_choice_nor_answers(made, name):
    data = made(gap=0.6)
    split = data.splits[:1]
    other = data.labels.copy()
    other[split[0].test] = (other[split[0].test] + 1) % 3
    table = FrameTable(data.frames, data.offsets, data.vectors)
    one, two = (run_probe(table, labels, split, name, SMALL[name], n_classes=3) for labels in (data.labels, other))
    assert one.folds == two.folds
    assert np.array_equal(one.predictions.posterior, two.predictions.posterior)
    assert one.scores != two.scores


QUICK = {"kehling": {"hidden": [16], "lr": 1e-2, "max_epochs": 15}, "5-shot-logistic": {"draws": 2}}


@pytest.mark.parametrize("name", [*SMALL, "xares-knn", "1-shot", "5-shot-logistic", "kehling"])
def test_shuffled_labels_score_at_chance(made, name):
    data = made(clips=240, groups=120, gap=2.0, seed=3)
    arguments = {"levels": ("file", "frame"), "groups": data.groups, "seed": 1}
    table = FrameTable(data.frames, data.offsets, data.vectors)
    chosen = SMALL[name] if name in SMALL else protocol_settings(name).model_copy(update=QUICK.get(name, {}))
    real = run_probe(table, data.labels, data.splits, name, chosen, **arguments)
    control = run_probe(table, data.labels, data.splits, name, chosen, shuffle_labels=True, **arguments)
    score = np.mean(real.scores["file"]["accuracy"])
    assert score > 0.8
    for level in ("file", "frame"):
        assert control.null[level].agrees(np.mean(control.scores[level]["accuracy"]))
    assert not control.null["file"].agrees(score)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_degenerate_tables_give_finite_answers(data):
    name = data.draw(st.sampled_from(list(SMALL)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    clips, dim = data.draw(st.integers(9, 30)), data.draw(st.integers(1, 40))
    vectors = rng.normal(size=(clips, dim)) * 10 ** rng.uniform(-6, 6, size=dim)
    for harm in data.draw(st.sets(st.sampled_from(["constant", "zero", "copies", "shift"]))):
        column = rng.integers(dim)
        if harm == "constant":
            vectors[:, column] = 7.0
        elif harm == "zero":
            vectors[rng.integers(clips, size=3)] = 0
        elif harm == "copies":
            vectors[:] = vectors[rng.integers(clips, size=clips)]
        else:
            vectors[:, column] += 1e6
    labels = np.arange(clips) % data.draw(st.integers(2, 3))
    rng.shuffle(labels)
    order = rng.permutation(clips)
    split = Split(np.sort(order[6:]), np.sort(order[:3]), np.sort(order[3:6]))
    table = FrameTable(None, vectors=vectors.astype(np.float32))
    result = run_probe(table, labels, [split], name, SMALL[name], n_classes=3)
    posterior = result.predictions.posterior
    assert np.isfinite(posterior).all()
    np.testing.assert_allclose(posterior.sum(1), 1, atol=1e-5)
    assert 0 <= result.scores["file"]["accuracy"][0] <= 1


def test_questions_that_a_solver_cannot_answer_are_refused(made):
    data = made()
    features = torch.from_numpy(data.vectors)
    numbers = _question(data, "regression", data.vectors[:, 0].astype(np.float64), 1)
    for name in ("logistic", "svm", "centroid", "fewshot", "mlp"):
        with pytest.raises(ValueError, match=r"numbers|multiclass"):
            solver(name)(features, numbers, SMALL.get(name))
    with pytest.raises(ValueError, match="not a probe"):
        solver("nonsense")
