"""Verification, retrieval and numbers agree with scikit-learn, SciPy and mir_eval on random and degenerate inputs."""

import warnings

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn import metrics as sk

from benchmark.config import kinds
from benchmark.metrics import classification, events, regression, retrieval
from benchmark.metrics.folds import Split
from benchmark.metrics.registry import LISTS, METRICS, PAIRS, chance_level
from benchmark.metrics.retrieval import chance_at_k, map_at_k, ranked
from benchmark.metrics.verification import eer, min_dcf


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.sampled_from([1, 2, 5, 10**6]), st.floats(0.05, 0.95))
def test_pairs_agree_with_scikit_learn(seed, pairs, values, part):
    rng = np.random.default_rng(seed)
    same = rng.random(pairs) < part
    score = rng.integers(values, size=pairs) / 10 + same * rng.integers(2)
    if same.all() or not same.any():
        assert np.isnan(eer(same, score))
        assert np.isnan(min_dcf(same, score, 0.01))
        return
    alarms, hits, _ = sk.roc_curve(same, score, drop_intermediate=False)
    curve = interp1d(alarms, hits)
    steps = np.diff(alarms) > 0
    if steps.all():
        expected = brentq(lambda x: 1 - x - curve(x), 0, 1)
        assert eer(same, score) == pytest.approx(expected, abs=1e-9)
    else:
        # Where the curve rises straight up, the crossing is the point's false alarms.
        cross = np.argmax(alarms + hits >= 1)
        before = cross - 1
        weight = (1 - alarms[before] - hits[before]) / (alarms[cross] + hits[cross] - alarms[before] - hits[before])
        assert eer(same, score) == pytest.approx(alarms[before] + weight * (alarms[cross] - alarms[before]), abs=1e-9)
    for p in (0.01, 0.05, 0.5):
        expected = np.min(p * (1 - hits) + (1 - p) * alarms) / min(p, 1 - p)
        assert min_dcf(same, score, p) == pytest.approx(expected)


def test_pairs_of_known_rates():
    same = np.array([1, 1, 1, 1, 0, 0, 0, 0], dtype=bool)
    assert eer(same, np.arange(8)[::-1]) == 0
    assert eer(same, np.arange(8)) == 1
    assert eer(same, np.zeros(8)) == 0.5
    assert eer(same, np.array([9, 8, 7, 1, 6, 0, 0, 0])) == pytest.approx(0.25)
    assert min_dcf(same, np.zeros(8), 0.01) == 1
    # One target below one impostor: refusing it costs 0.01 * 0.25, of 0.01 for refusing all.
    assert min_dcf(same, np.array([9, 8, 7, 1, 6, 0, 0, 0]), 0.01) == pytest.approx(0.25)


def in_order(similarity):
    """Lists of the others, the most similar first."""
    similarity = similarity.copy()
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1, kind="stable")[:, :-1]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 25), st.integers(1, 5))
def test_lists_agree_with_scikit_learn(seed, clips, classes):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=clips)
    similarity = rng.random((clips, clips))
    expected = []
    for i in range(clips):
        others = np.arange(clips) != i
        relevant = labels[others] == labels[i]
        if relevant.any():
            expected.append(sk.average_precision_score(relevant, similarity[i, others]))
    found = map_at_k(labels, in_order(similarity), clips)
    assert found == pytest.approx(np.mean(expected)) if expected else np.isnan(found)


def test_short_lists_by_hand():
    labels = np.array([0, 0, 0, 1, 1])
    similarity = np.array([[0, 5, 1, 4, 3], [5, 0, 4, 1, 2], [1, 2, 0, 3, 4], [9, 8, 7, 0, 1], [0, 1, 2, 3, 0]], float)
    # Relevant at ranks 1; 1, 2; 3 and 4 (not in the list); 4 (not in the list); 1.
    assert map_at_k(labels, in_order(similarity), 2) == pytest.approx(np.mean([1 / 2, 1, 0, 0, 1]))
    assert map_at_k(labels, in_order(similarity), 1) == pytest.approx(np.mean([1, 1, 0, 0, 1]))
    assert np.isnan(map_at_k(np.arange(5), in_order(similarity), 2))


def test_the_nearest_come_first_whatever_the_blocks(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(20, 3))
    vectors[7] = vectors[3]
    expected = in_order(vectors @ vectors.T)
    assert np.array_equal(ranked(vectors, k=100), expected)
    monkeypatch.setattr(retrieval, "_BLOCK", 6)
    assert np.array_equal(ranked(vectors, k=4), expected[:, :4])


@pytest.mark.parametrize("k", [1, 3, 100])
def test_chance_of_lists_is_what_random_order_scores(k):
    rng = np.random.default_rng(0)
    labels = np.array([0] * 6 + [1] * 3 + [2])
    found = np.mean([map_at_k(labels, in_order(rng.random((10, 10))), k) for _ in range(3000)])
    assert chance_at_k(labels, k) == pytest.approx(found, abs=0.01)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from([1, 3, 1000]))
def test_numbers_agree_with_scikit_learn(seed, items, values):
    rng = np.random.default_rng(seed)
    truth, answers = (rng.integers(values, size=items) / 7 for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = sk.r2_score(truth, answers)
    assert regression.r2(truth, answers) == pytest.approx(expected, nan_ok=True)
    assert regression.mae(truth, answers) == pytest.approx(sk.mean_absolute_error(truth, answers))
    assert regression.rmse(truth, answers) == pytest.approx(sk.root_mean_squared_error(truth, answers))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_pitches_agree_with_mir_eval(seed, items):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(30, 90, items)
    answers = truth + rng.normal(0, 0.6, items) + 12 * rng.integers(-2, 3, items)
    voiced, cents = np.ones(items, dtype=bool), 100.0
    for metric, reference in (
        (regression.pitch_accuracy, mir_eval.melody.raw_pitch_accuracy),
        (regression.chroma_accuracy, mir_eval.melody.raw_chroma_accuracy),
    ):
        expected = reference(voiced, truth * cents, voiced, answers * cents)
        assert metric(truth, answers) == pytest.approx(expected)


def test_exactly_half_a_semitone_is_wrong():
    assert regression.pitch_accuracy(np.array([60.0, 60.0]), np.array([60.5, 60.25])) == 0.5
    assert regression.chroma_accuracy(np.array([60.0, 60.0]), np.array([47.5, 72.25])) == 0.5


@pytest.mark.parametrize("name", sorted(regression.METRICS))
def test_chance_of_numbers_is_that_of_draws_from_the_truth(name):
    rng = np.random.default_rng(3)
    truth = np.sort(rng.integers(48, 72, 200)).astype(float)
    found = chance_level(name, truth, [Split(truth[:0], truth[:0], np.arange(200))], 0)
    drawn = np.mean([METRICS[name].function(truth, rng.permutation(truth)) for _ in range(300)])
    if name == "r2":
        assert found == 0 > drawn
    elif METRICS[name].higher_is_better:
        assert found == pytest.approx(drawn, abs=0.02)
    else:
        # The best constant, which is no worse than a draw.
        assert found < drawn


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.integers(1, 4), st.sampled_from([2, 1000]))
def test_unknown_labels_count_neither_way(seed, items, classes, values):
    rng = np.random.default_rng(seed)
    truth = rng.integers(-1, 2, size=(items, classes))
    posterior = rng.integers(values, size=(items, classes)) / values
    each = {"map": [], "auroc": [], "macro_f1": []}
    right = total = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for c in range(classes):
            known = truth[:, c] >= 0
            t, p = truth[known, c], posterior[known, c]
            if t.any():
                each["map"].append(sk.average_precision_score(t, p))
            if t.any() and not t.all():
                each["auroc"].append(sk.roc_auc_score(t, p))
            if t.any() or (p > 0.5).any():
                each["macro_f1"].append(sk.f1_score(t, p > 0.5))
            right += 2 * np.sum(t * (p > 0.5))
            total += np.sum(t) + np.sum(p > 0.5)
    for name, scores in each.items():
        found = METRICS[name].function(truth, posterior)
        assert found == pytest.approx(np.mean(scores)) if scores else np.isnan(found)
    assert classification.micro_f1(truth, posterior) == pytest.approx(right / total if total else np.nan, nan_ok=True)


def test_slots_are_right_when_all_are():
    truth, answers = np.array([[0, 1], [1, 1], [2, 0]]), np.array([[0, 1], [1, 0], [2, 0]])
    assert classification.accuracy(truth, answers) == pytest.approx(2 / 3)


def test_what_a_task_may_name_is_what_there_is():
    probed = {kind: names for kind, names in kinds.METRICS.items() if kind != "separation"}
    named = {name for names in probed.values() for name in names} | set(kinds.RETRIEVAL)
    assert named == {*METRICS, *PAIRS, *LISTS, *events.METRICS}
    for kind, names in probed.items():
        assert all(kind in METRICS[name].kinds for name in names if name in METRICS)
