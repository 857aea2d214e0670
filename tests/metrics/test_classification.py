"""Every metric agrees with scikit-learn on random and degenerate inputs."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as sk

from benchmark.metrics import classification as ours
from benchmark.metrics.folds import Split
from benchmark.metrics.per_class import of_confusion
from benchmark.metrics.registry import chance_level


@st.composite
def _multiclass(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    items, classes = draw(st.integers(1, 30)), draw(st.integers(2, 7))
    truth = rng.integers(draw(st.integers(1, classes)), size=items)
    # Few distinct values make ties; a constant column makes one answer.
    posterior = rng.integers(draw(st.sampled_from([1, 2, 3, 1000])), size=(items, classes)) / 10
    return truth, posterior


@settings(max_examples=150, deadline=None)
@given(_multiclass())
def test_multiclass_metrics_agree_with_scikit_learn(case):
    truth, posterior = case
    classes = posterior.shape[1]
    predicted = posterior.argmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ours.accuracy(truth, posterior) == pytest.approx(sk.accuracy_score(truth, predicted))
        assert ours.balanced_accuracy(truth, posterior) == pytest.approx(sk.balanced_accuracy_score(truth, predicted))
        expected = sk.f1_score(truth, predicted, average="macro", zero_division=0)
        assert ours.macro_f1(truth, posterior) == pytest.approx(expected)
        matrix = sk.confusion_matrix(truth, predicted, labels=range(classes))
        assert np.array_equal(ours.confusion_matrix(truth, predicted, classes), matrix)
        if classes > 2:
            for k in range(1, classes + 1):
                # scikit-learn lets the last of equals win, so the classes are counted backwards.
                expected = sk.top_k_accuracy_score(classes - 1 - truth, posterior[:, ::-1], k=k, labels=range(classes))
                assert ours.top_k_accuracy(truth, posterior, k) == pytest.approx(expected)
    assert ours.top_k_accuracy(truth, posterior, 1) == ours.accuracy(truth, posterior)


@settings(max_examples=60, deadline=None)
@given(_multiclass())
def test_classes_against_the_rest_are_ranked_as_labels_are(case):
    """As HEAR does on beehives and vocal imitations."""
    truth, posterior = case
    classes = posterior.shape[1]
    onehot = np.eye(classes, dtype=int)[truth]
    occurring = np.flatnonzero(onehot.any(0))
    each = [sk.average_precision_score(onehot[:, c], posterior[:, c]) for c in occurring]
    assert ours.mean_average_precision(truth, posterior) == pytest.approx(np.mean(each))
    areas = [sk.roc_auc_score(onehot[:, c], posterior[:, c]) for c in occurring if not onehot[:, c].all()]
    area = ours.macro_auroc(truth, posterior)
    assert area == pytest.approx(np.mean(areas)) if areas else np.isnan(area)
    everything = Split(np.arange(len(truth)), np.arange(len(truth)), np.arange(len(truth)))
    assert chance_level("map", truth, [everything], classes) == pytest.approx(onehot.mean(0)[occurring].mean())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 5), st.sampled_from([1, 2, 5, 1000]))
def test_multilabel_metrics_agree_with_scikit_learn(seed, items, classes, values):
    rng = np.random.default_rng(seed)
    truth = (rng.random((items, classes)) < rng.random(classes)).astype(int)
    posterior = rng.integers(values, size=(items, classes)) / 10
    occurring = truth.sum(0) > 0
    both = occurring & (truth.sum(0) < items)
    precision, area = ours.mean_average_precision(truth, posterior), ours.macro_auroc(truth, posterior)
    if occurring.any():
        each = [sk.average_precision_score(truth[:, c], posterior[:, c]) for c in np.flatnonzero(occurring)]
        assert precision == pytest.approx(np.mean(each))
    else:
        assert np.isnan(precision)
    if both.any():
        expected = np.mean([sk.roc_auc_score(truth[:, c], posterior[:, c]) for c in np.flatnonzero(both)])
        assert area == pytest.approx(expected)
        # An area of 0 or 1 would be infinitely far from the middle.
        expected = np.sqrt(2) * norm.ppf(np.clip(expected, 1e-6, 1 - 1e-6))
        assert ours.d_prime(truth, posterior) == pytest.approx(expected, abs=1e-9)
    else:
        assert np.isnan(area) and np.isnan(ours.d_prime(truth, posterior))


@settings(max_examples=100, deadline=None)
@given(_multiclass())
def test_scores_of_each_class_agree_with_scikit_learn(case):
    truth, posterior = case
    classes = posterior.shape[1]
    found = of_confusion(ours.confusion_matrix(truth, posterior.argmax(1), classes), [str(c) for c in range(classes)])
    columns = sk.precision_recall_fscore_support(
        truth, posterior.argmax(1), labels=range(classes), zero_division=np.nan
    )
    for name, column in zip(("precision", "recall", "f1", "items"), columns, strict=True):
        for c in range(classes):
            # What is not defined is left out.
            assert found[str(c)].get(name, np.nan) == pytest.approx(column[c], nan_ok=True), name


def test_d_prime_of_known_area():
    truth = np.array([[0], [1], [0], [1]])
    posterior = np.array([[0.1], [0.4], [0.6], [0.8]])
    assert ours.macro_auroc(truth, posterior) == 0.75
    assert ours.d_prime(truth, posterior) == pytest.approx(0.953873, abs=1e-6)


def test_registry_is_complete_and_stateless():
    truth, posterior = np.array([0, 1, 2, 3, 4, 5]), np.eye(6)
    for metric in ours.METRICS.values():
        assert metric.higher_is_better
        if "multiclass" in metric.kinds:
            assert metric.function(truth, posterior) == metric.function(truth, posterior) == 1.0
            assert metric.function(truth, posterior) > metric.chance(truth, 6)
        else:
            assert metric.function(posterior.astype(int), posterior) > metric.chance(posterior, 6)


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "macro_f1", "top3"])
def test_chance_is_what_uniform_guesses_score(name):
    rng = np.random.default_rng(0)
    labels = rng.choice(5, 20_000, p=[0.4, 0.3, 0.2, 0.05, 0.05])
    split = Split(np.arange(0), np.arange(0), np.arange(len(labels)))
    score = ours.METRICS[name].function(labels, rng.random((len(labels), 5)))
    assert score == pytest.approx(chance_level(name, labels, [split], 5), abs=0.015)


def test_majority_rate_takes_the_training_part_and_scores_the_test_part():
    labels = np.array([0, 0, 1, 1, 1, 0])
    splits = [
        Split(np.array([0, 1, 2]), np.array([3]), np.array([4, 5])),
        Split(np.array([2, 3]), np.array([4]), np.array([0])),
    ]
    assert ours.majority_rate(labels, splits) == pytest.approx((0.5 + 0) / 2)
