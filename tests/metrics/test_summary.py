"""The one place where mean and spread are computed."""

import pytest

from benchmark.metrics.summary import summarise


def test_sample_standard_deviation():
    summary = summarise([0.8, 0.9, 1.0])
    assert (summary.mean, summary.std, summary.n) == (pytest.approx(0.9), pytest.approx(0.1), 3)


def test_what_is_not_defined_is_none():
    assert summarise([0.5]).std is None
    assert summarise([0.5]).mean == 0.5
    assert summarise([0.5, float("nan")]).mean is None
    assert summarise([]).n == 0
