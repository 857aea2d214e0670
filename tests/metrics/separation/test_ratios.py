"""Ratios without filters, and the order of estimates."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.metrics.separation.permutations import best_permutation, pairwise, reorder
from benchmark.metrics.separation.ratios import mdx_sdr, sd_sdr, si_sdr, si_sir_sar, snr
from tests.metrics.separation.signals import golden


def tensors():
    references, estimates = golden()
    return torch.from_numpy(estimates), torch.from_numpy(references)


def test_golden_values():
    estimates, references = tensors()
    assert si_sdr(estimates, references).tolist() == pytest.approx([17.9330, 12.0539], abs=6e-5)
    assert si_sdr(estimates, references, zero_mean=True).tolist() == pytest.approx([17.9329, 12.0542], abs=6e-5)
    sir, sar = si_sir_sar(estimates, references)
    assert sir.tolist() == pytest.approx([19.0224, 12.0981], abs=6e-5)
    assert sar.tolist() == pytest.approx([24.5264, 32.2554], abs=6e-5)
    assert snr(estimates, references).tolist() == pytest.approx([16.4245, 10.9306], abs=6e-5)
    mixture = references.sum(0, keepdim=True).expand(2, -1)
    assert si_sdr(mixture, references).tolist() == pytest.approx([0.0227, 0.1991], abs=6e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
def test_scale_matters_where_it_should(seed, gain):
    generator = torch.Generator().manual_seed(seed)
    reference, noise = torch.randn(2, 500, dtype=torch.float64, generator=generator)
    estimate = reference + 0.3 * noise
    assert si_sdr(gain * estimate, reference) == pytest.approx(float(si_sdr(estimate, reference)), abs=1e-9)
    assert (
        float(sd_sdr(gain * estimate, reference))
        <= float(si_sdr(estimate, reference)) + 20 * math.log10(max(gain, 1)) + 1e-9
    )
    assert float(snr(estimate, reference)) == pytest.approx(
        10 * math.log10(float(reference.square().sum() / (0.3 * noise).square().sum())), abs=1e-9
    )


def test_silence_is_no_number_and_no_exception():
    one, nothing = torch.ones(100, dtype=torch.float64), torch.zeros(100, dtype=torch.float64)
    for metric in (si_sdr, sd_sdr, snr):
        assert math.isnan(metric(one, nothing))
    assert si_sdr(nothing, one) == -math.inf
    assert si_sdr(one, one) == math.inf
    assert mdx_sdr(nothing[None], nothing[None]) == 0


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_best_order_is_the_best_of_all(count):
    generator = torch.Generator().manual_seed(count)
    scores = torch.randn(4, count, count, generator=generator)
    found = best_permutation(scores)
    for table, order in zip(scores, found, strict=True):
        best = max(itertools.permutations(range(count)), key=lambda p: sum(table[k, j] for k, j in enumerate(p)))
        assert order.tolist() == list(best)


def test_a_silent_reference_does_not_spoil_the_order():
    scores = torch.tensor([[[math.nan, math.nan], [30.0, -2.9]]])
    assert best_permutation(scores).tolist() == [[1, 0]]


def test_estimates_are_put_in_the_order_of_the_references():
    estimates, references = tensors()
    swapped = estimates.flip(0)[None]
    order = best_permutation(pairwise(si_sdr, swapped, references[None]))
    np.testing.assert_array_equal(reorder(swapped, order)[0], estimates)
