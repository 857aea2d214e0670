import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.metrics.additive import ADDITIVE, score_clips
from benchmark.metrics.classification import METRICS
from benchmark.metrics.intervals import _scorers, bootstrap_interval

MULTICLASS = [name for name in METRICS if METRICS[name].kinds == ("multiclass",)]
MULTILABEL = ["map", "auroc", "d_prime"]


def answers(n=120, classes=4, groups=20, folds=3, seed=0, skill=1.0, multilabel=False):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    if multilabel:
        truth = (rng.random((n, classes)) < 0.3).astype(int)
        posterior = rng.random((n, classes)).round(1) + skill * 0.3 * truth
    else:
        truth = rng.integers(0, classes, n)
        posterior = rng.random((n, classes)) + skill * np.eye(classes)[truth] * 0.5
    return truth, posterior, group % folds, np.array([f"g{i}" for i in group])


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(MULTICLASS + MULTILABEL),
    st.integers(0, 10**6),
    st.integers(1, 12),
    st.integers(2, 5),
    st.booleans(),
)
def test_weights_of_groups_are_repeated_clips(metric, seed, n, classes, is_coarse):
    """The fast ways agree with the metric itself on clips that are repeated, whatever occurs and whatever is equal."""
    multilabel = metric in MULTILABEL and (metric == "d_prime" or seed % 2 == 0)
    truth, posterior, _, _ = answers(n, classes, seed=seed, multilabel=multilabel)
    posterior = posterior.round(0) if is_coarse else posterior
    rng = np.random.default_rng(seed)
    number = rng.integers(0, 4, n)
    weights = rng.integers(0, 3, (5, 4)).astype(float)
    (score,), _ = _scorers(metric, truth, posterior, [np.arange(n)], number)
    expected = [score_clips(metric, truth, posterior, row[number].astype(int)) for row in weights]
    np.testing.assert_allclose(score(weights), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("metric", sorted(ADDITIVE))
def test_sums_of_all_clips_are_the_score(metric):
    truth, posterior, _, _ = answers(classes=8)
    total = ADDITIVE[metric].counts(truth, posterior).sum(0)
    assert ADDITIVE[metric].score(total) == pytest.approx(METRICS[metric].function(truth, posterior), abs=1e-12)


@pytest.mark.parametrize("metric", MULTICLASS + MULTILABEL)
def test_the_score_lies_within(metric):
    truth, posterior, fold, group = answers(classes=6, multilabel=metric in MULTILABEL)
    low, high = bootstrap_interval(metric, truth, posterior, fold, group)
    mean = np.mean([METRICS[metric].function(truth[fold == f], posterior[fold == f]) for f in range(3)])
    assert low < mean < high
    assert bootstrap_interval(metric, truth, posterior, fold, group) == (low, high)
    assert bootstrap_interval(metric, truth, posterior, fold, group, seed=1) != (low, high)


def test_an_interval_without_groups_is_the_binomial_one():
    """1,000 clips that are their own groups, 80 % right: the half width is 1.96 sqrt(0.8 * 0.2 / 1000)."""
    right = np.arange(1000) % 5 > 0
    posterior = np.stack([right, ~right], axis=1).astype(float)
    low, high = bootstrap_interval(
        "accuracy", np.zeros(1000, int), posterior, np.zeros(1000), np.arange(1000), draws=4000
    )
    assert (low + high) / 2 == pytest.approx(0.8, abs=0.003)
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(0.8 * 0.2 / 1000), rel=0.07)


def test_clips_of_a_group_are_one_witness():
    right = np.repeat(np.random.default_rng(0).random(40) < 0.7, 25)
    posterior = np.stack([right, ~right], axis=1).astype(float)
    truth, fold, group = np.zeros(1000, int), np.arange(1000) // 200, np.arange(1000) // 25

    def width(names):
        low, high = bootstrap_interval("accuracy", truth, posterior, fold, names)
        return high - low

    assert 4 < width(group) / width(np.arange(1000)) < 6


def test_the_interval_covers_what_it_says():
    """19 of 20 times, over 400 experiments of 25 speakers, of whom each has his own rate."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        rate = np.repeat(rng.beta(7, 3, 25), 8)
        right = rng.random(200) < rate
        posterior = np.stack([right, ~right], axis=1).astype(float)
        ends = bootstrap_interval(
            "accuracy", np.zeros(200, int), posterior, np.arange(200) // 40, np.arange(200) // 8, draws=400
        )
        inside += ends[0] <= 0.7 <= ends[1]
    assert 0.92 <= inside / 400 <= 0.98


def test_folds_of_one_group_are_no_obstacle():
    right = np.repeat([1, 1, 0, 1, 0], 10) > 0
    posterior = np.stack([right, ~right], axis=1).astype(float)
    low, high = bootstrap_interval("accuracy", np.zeros(50, int), posterior, np.arange(50) // 10, np.arange(50) // 10)
    assert low < 0.4 and high > 0.8


def test_where_draws_say_nothing_there_is_no_interval():
    truth, fold = np.zeros(10, int), np.zeros(10)
    perfect = np.tile([1.0, 0.0], (10, 1))
    assert bootstrap_interval("accuracy", truth, perfect, fold, np.arange(10)) is None
    assert bootstrap_interval("accuracy", truth, perfect, fold, np.zeros(10)) is None


def test_a_large_task_takes_a_second():
    truth, posterior, fold, group = answers(20_000, 50, 4_000, 5)
    started = time.process_time()
    assert bootstrap_interval("macro_f1", truth, posterior, fold, group) is not None
    assert time.process_time() - started < 10
