"""PESQ and STOI come from their packages; what is tested here is what stands around them."""

import importlib.util

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.metrics.separation.perceptual import pesq_score, stoi_score
from tests.metrics.separation.signals import golden

needs_pesq = pytest.mark.skipif(importlib.util.find_spec("pesq") is None, reason="needs leveret[separation]")


def test_rates_that_pesq_is_not_defined_at_are_refused():
    with pytest.raises(ValueError, match="not defined at 44100 Hz"):
        pesq_score(np.ones(100), np.ones(100), 44100)
    with pytest.raises(ValueError, match="wb is not defined at 8000 Hz"):
        pesq_score(np.ones(100), np.ones(100), 8000, "wb")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pystoi", None)
    with pytest.raises(UserError, match=r"pip install 'leveret\[separation\]'"):
        stoi_score(np.ones(100), np.ones(100), 16000)


def test_golden_values_of_stoi():
    references, estimates = golden()
    reference, estimate = np.tile(references[0], 5), np.tile(estimates[0], 5)
    assert stoi_score(reference, estimate, 10000).value == pytest.approx(0.98534, abs=5e-5)
    assert stoi_score(reference, estimate, 10000, extended=True).value == pytest.approx(0.98214, abs=5e-5)


@needs_pesq
def test_silence_is_nan_with_a_reason():
    score = pesq_score(np.zeros(16000), np.zeros(16000), 16000)
    assert np.isnan(score.value)
    assert score.reason
    assert "MOS-LQO" in score.name
