import numpy as np
import pytest

from benchmark.metrics.bayes import signed_rank

# Of thirteen tasks; the probabilities are those of baycomp 1.0.3 over 200,000 draws.
DIFFERENCES = [
    0.04181, -0.001319685840734641, 0.008660628318530718, 0.01615094247779608, -0.007778743362938564,
    0.008041570796326796, 0.007981884955592154, -0.027087800885142486, 0.028352513274122873, 0.020012827433388232,
    -0.00450685840734641, 0.004573455751918949, 0.01811376991118431,
]  # fmt: skip


@pytest.mark.parametrize(
    ("rope", "expected"),
    [(0.0, (0.9795, 0.0, 0.0205)), (0.005, (0.9272, 0.0531, 0.0198)), (0.01, (0.3816, 0.6180, 0.0004))],
)
def test_probabilities_are_those_of_baycomp(rope, expected):
    found = signed_rank(DIFFERENCES, rope)
    assert (found.first, found.same, found.second) == pytest.approx(expected, abs=0.008)
    assert found.first + found.same + found.second == pytest.approx(1.0)


def test_sides_change_with_the_sign():
    one, other = signed_rank(DIFFERENCES, 0.005), signed_rank(-np.array(DIFFERENCES), 0.005)
    assert (one.first, one.same, one.second) == pytest.approx((other.second, other.same, other.first), abs=0.005)
    assert signed_rank(DIFFERENCES) == signed_rank(DIFFERENCES)


def test_ties_go_half_to_either_side():
    """Decimals whose sums are the rope exactly, up to rounding, must not be decided by that rounding."""
    edge = [0.1 + 0.2, 0.3, 0.7 - 0.4] * 3
    assert signed_rank(edge, rope=0.3) == signed_rank([0.3] * 9, rope=0.3)


def test_the_same_scores_are_the_same():
    assert signed_rank([0.0] * 10, rope=0.01).same == 1.0


@pytest.mark.parametrize("differences", [[], [0.1, np.nan]])
def test_what_cannot_be_tested_is_refused(differences):
    with pytest.raises(ValueError, match="task"):
        signed_rank(differences)
