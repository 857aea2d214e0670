import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.metrics.ranking import (
    borda,
    complete,
    critical_difference,
    friedman,
    hear_score,
    indistinct,
    nemenyi,
    ranks,
)

# Demšar 2006, Table 5a: critical values of Nemenyi's test for 2 to 10 classifiers.
Q_05 = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
Q_10 = [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]


def table(seed, tasks, embeddings, decimals=1):
    return np.random.default_rng(seed).random((tasks, embeddings)).round(decimals)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(3, 8), st.integers(1, 3))
def test_friedman_is_scipys_whatever_is_equal(seed, tasks, embeddings, decimals):
    scores = table(seed, tasks, embeddings, decimals)
    found = friedman(scores)
    if np.ptp(scores, axis=1).any():
        expected = stats.friedmanchisquare(*scores.T)
        assert (found.chi2, found.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)
    else:
        assert (found.chi2, found.p) == (0.0, 1.0)


def test_f_is_iman_and_davenports():
    scores = table(5, 14, 4)
    found = friedman(scores)
    assert found.f == pytest.approx(13 * found.chi2 / (14 * 3 - found.chi2))
    assert found.p_f == pytest.approx(stats.f.sf(found.f, 3, 39))


def test_the_same_order_everywhere_is_certain():
    found = friedman(np.tile([0.1, 0.2, 0.3], (5, 1)))
    assert found.chi2 == pytest.approx(10.0) and found.f == np.inf and found.p_f == 0.0


@pytest.mark.parametrize("shape", [(1, 5), (5, 2)])
def test_too_little_for_friedman_is_refused(shape):
    with pytest.raises(ValueError, match="two tasks and three embeddings"):
        friedman(np.ones(shape))


@pytest.mark.parametrize(("alpha", "critical"), [(0.05, Q_05), (0.10, Q_10)])
def test_critical_differences_are_demsars(alpha, critical):
    for k, q in enumerate(critical, 2):
        assert critical_difference(k, 14, alpha) == pytest.approx(q * np.sqrt(k * (k + 1) / (6 * 14)), rel=5e-4)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


def test_nemenyi_is_that_of_scikit_posthocs():
    """scikit-posthocs 0.17.1 for mean ranks 44/14, 2, 41/14 and 27/14 of fourteen data sets."""
    found = nemenyi(np.array([44, 28, 41, 27]) / 14, 14)
    expected = [
        [1.0, 0.088673, 0.971686, 0.061683],
        [0.088673, 1.0, 0.226697, 0.998882],
        [0.971686, 0.226697, 1.0, 0.170052],
        [0.061683, 0.998882, 0.170052, 1.0],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_p_and_critical_difference_say_the_same():
    cd = critical_difference(6, 20)
    close, far = (
        nemenyi(np.array([1, 1 + 0.99 * cd, 3, 4, 5, 6]), 20),
        nemenyi(np.array([1, 1 + 1.01 * cd, 3, 4, 5, 6]), 20),
    )
    assert close[0, 1] > 0.05 > far[0, 1]


def test_bars_join_what_is_within_the_difference():
    assert indistinct([1.0, 1.5, 2.4, 4.0], 1.0) == [(0, 1), (1, 2)]
    assert indistinct([1.0, 1.5, 1.9, 4.0], 1.0) == [(0, 2)]
    assert indistinct([1.0, 3.0], 1.0) == []
    assert indistinct([1.0, 1.0, 1.0], 0.5) == [(0, 2)]


def test_ranks_leave_out_what_is_missing():
    np.testing.assert_array_equal(
        ranks(np.array([[0.3, np.nan, 0.9, 0.3], [0.1, 0.2, 0.3, 0.4]])), [[2.5, np.nan, 1, 2.5], [4, 3, 2, 1]]
    )


def test_borda_is_the_part_that_is_beaten():
    scores = np.array([[0.9, 0.5, 0.5], [0.9, 0.1, np.nan]])
    np.testing.assert_allclose(borda(scores), [1.0, (0.25 + 0.0) / 2, 0.25])
    assert np.isnan(borda(np.array([[0.5]]))).all()


def test_the_score_of_hear():
    """Worked by hand: 1, 2, 3 have mean 2 and deviation sqrt(2/3); 0, 0, 9 have mean 3 and deviation sqrt(18)."""
    scores = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 9.0], [0.5, 0.5, 0.5], [7.0, np.nan, np.nan]])
    low = -3 / np.sqrt(18)
    np.testing.assert_allclose(hear_score(scores), [(-1 + low) / 3, low / 3, 2 / 3])
    assert np.isnan(hear_score(np.array([[0.5]]))).all()


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 6))
def test_a_complete_part_has_no_gaps(seed, tasks, embeddings):
    rng = np.random.default_rng(seed)
    scores = np.where(rng.random((tasks, embeddings)) < 0.2, np.nan, 1.0)
    rows, columns = complete(scores)
    assert not np.isnan(scores[np.ix_(rows, columns)]).any()
    if not np.isnan(scores).any():
        assert len(rows) == tasks and len(columns) == embeddings


def test_an_embedding_on_few_tasks_does_not_cost_the_tasks():
    scores = np.ones((10, 4))
    scores[1:, 3] = np.nan
    rows, columns = complete(scores)
    assert len(rows) == 10 and columns.tolist() == [0, 1, 2]
