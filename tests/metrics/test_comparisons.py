from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.metrics.classification import METRICS
from benchmark.metrics.comparisons import corrected_t_test, holm, permutation_test


def test_the_corrected_t_test_is_that_of_baycomp():
    """baycomp 1.0.3 takes 0.0001215 as the variance of these five differences' mean, with four degrees of freedom."""
    found = corrected_t_test(np.array([0.85, 0.82, 0.88, 0.84, 0.86]) - [0.81, 0.80, 0.83, 0.83, 0.82], 1 / 4)
    assert found.difference == pytest.approx(0.032)
    assert found.standard_error**2 == pytest.approx(0.0001215)
    assert found.t == pytest.approx(0.032 / np.sqrt(0.0001215))
    assert found.p == pytest.approx(2 * 0.021990555134210554)


def test_without_overlap_it_is_the_paired_t_test():
    from scipy.stats import ttest_1samp

    differences = [0.01, -0.02, 0.04, 0.03]
    expected = ttest_1samp(differences, 0)
    found = corrected_t_test(differences, 0.0)
    assert (found.t, found.p) == pytest.approx((expected.statistic, expected.pvalue))


def test_folds_without_spread():
    assert corrected_t_test([0.1 + 0.2, 0.3], 0.25).p == 0.0
    assert corrected_t_test([0.0, 0.0], 0.25).p == 1.0
    with pytest.raises(ValueError, match="two folds"):
        corrected_t_test([0.1], 0.25)


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    assert holm([]).shape == (0,)


def answers(rng, n, classes):
    return rng.integers(0, classes, n), rng.random((n, classes)).round(1), rng.random((n, classes)).round(1)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([m for m in METRICS if METRICS[m].kinds == ("multiclass",)]), st.integers(0, 10**6))
def test_a_few_groups_are_swapped_in_every_way(metric, seed):
    rng = np.random.default_rng(seed)
    truth, first, second = answers(rng, 20, 3)
    fold, group = np.arange(20) % 2, rng.integers(0, 4, 20)
    found = permutation_test(metric, truth, first, second, fold, group)

    def score(answer):
        return np.mean([METRICS[metric].function(truth[fold == f], answer[fold == f]) for f in (0, 1)])

    names = np.unique(group)
    statistics = []
    for ways in product([False, True], repeat=len(names)):
        swap = np.isin(group, names[list(ways)])[:, None]
        statistics.append(score(np.where(swap, second, first)) - score(np.where(swap, first, second)))
    observed = score(first) - score(second)
    assert found.is_exact and found.difference == pytest.approx(observed, abs=1e-12)
    assert found.p == pytest.approx(np.mean(np.abs(statistics) >= abs(observed) - 1e-12))


def test_drawn_ways_agree_with_all_of_them():
    rng = np.random.default_rng(3)
    truth, first, second = answers(rng, 60, 3)
    common = truth, first, second, np.zeros(60), np.arange(60) % 14
    exact, drawn = permutation_test("accuracy", *common), permutation_test("accuracy", *common, draws=4000)
    assert exact.is_exact and not drawn.is_exact
    assert drawn.p == pytest.approx(exact.p, abs=0.03)
    assert permutation_test("accuracy", *common, draws=4000) == drawn


def test_several_labels_are_tested_too():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (60, 4))
    good, poor = truth + rng.random((60, 4)) * 0.5, rng.random((60, 4))
    common = {"fold": np.zeros(60), "group": np.arange(60) // 3, "draws": 300}
    better = permutation_test("map", truth, good, poor, **common)
    assert better.p < 0.01 and better.difference > 0.2
    assert permutation_test("map", truth, poor, poor, **common).p == 1.0


def test_a_difference_of_one_group_proves_nothing():
    truth, first, second = np.zeros(50, int), np.tile([1.0, 0.0], (50, 1)), np.tile([1.0, 0.0], (50, 1))
    second[:10] = [0.0, 1.0]
    found = permutation_test("accuracy", truth, first, second, np.zeros(50), np.arange(50) // 10)
    assert found.difference == pytest.approx(0.2) and found.p == 1.0


@pytest.mark.slow
def test_two_equals_differ_in_five_of_a_hundred_trials():
    """2,000 trials of two equally good embeddings, whose right answers depend on the speaker and on each other."""
    rng = np.random.default_rng(0)
    trials, groups, clips = 2000, 40, 6
    group = np.repeat(np.arange(groups), clips)
    fold, truth = group % 5, np.zeros(groups * clips, int)
    rejected = 0
    for trial in range(trials):
        rate = np.repeat(rng.beta(4, 2, groups), clips)
        own = np.repeat(rng.normal(0, 0.15, (2, groups)), clips, axis=1)
        right = rng.random((2, groups * clips)) < np.clip(rate + own, 0, 1)
        first, second = (np.stack([row, ~row], axis=1) for row in right)
        rejected += permutation_test("accuracy", truth, first, second, fold, group, seed=trial, draws=999).p <= 0.05
    assert 0.04 <= rejected / trials <= 0.06
