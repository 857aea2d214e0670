"""Losses: cheap forms equal long ones, and none of them breaks where its terms cancel or vanish."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.separation.losses import (
    active_bins,
    affinity_loss,
    complex_loss,
    dissimilarity_loss,
    loudest,
    magnitude_weights,
    permutation_invariant,
    si_sdr_loss,
)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 4))
def test_the_cheap_affinity_loss_is_the_long_one(seed, dim, sources):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(2, 30, dim, dtype=torch.float64, generator=generator)
    labels = torch.nn.functional.one_hot(torch.randint(sources, (2, 30), generator=generator), sources).double()
    weights = torch.rand(2, 30, dtype=torch.float64, generator=generator)
    v, y = vectors * weights[..., None], labels * weights[..., None]
    long = (v @ v.mT - y @ y.mT).square().sum((1, 2)) / weights.square().sum(1).square().clamp(min=1)
    assert float(affinity_loss(vectors, labels, weights)) == pytest.approx(float(long.mean()), abs=1e-9)


def test_the_affinity_loss_is_not_negative_near_convergence():
    """In float32 its terms, of the order of the squared number of bins, would cancel to a large negative number."""
    generator = torch.Generator().manual_seed(0)
    count, dim = 51_600, 20
    labels = torch.nn.functional.one_hot(torch.randint(2, (1, count), generator=generator), 2).float()
    directions = torch.linalg.qr(torch.randn(dim, 2, generator=generator))[0].T
    vectors = torch.nn.functional.normalize(
        labels @ directions + 1e-3 * torch.randn(1, count, dim, generator=generator), dim=-1
    )
    loss = float(affinity_loss(vectors, labels, torch.ones(1, count)))
    assert 0 <= loss < 1e-4


def test_a_source_that_is_not_heard_still_has_its_column():
    stems = torch.zeros(1, 3, 4, 5)
    stems[:, 1] = 1.0
    assert loudest(stems).shape == (1, 4, 5, 3)
    assert loudest(stems)[..., 1].all()


def test_active_bins_are_those_within_40_db_of_the_loudest():
    magnitudes = torch.tensor([[1.0, 0.0101, 0.0099, 0.0], [100.0, 1.01, 0.99, 0.0]])
    assert active_bins(magnitudes).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0]]


def test_weights_by_magnitude_keep_the_number_of_bins():
    weights = magnitude_weights(torch.rand(2, 100))
    torch.testing.assert_close(weights.square().sum(1), torch.full((2,), 100.0))


def test_the_best_order_has_the_least_loss():
    pairs = torch.tensor([[[3.0, 1.0], [1.0, 2.0]]])
    loss, order = permutation_invariant(pairs)
    assert (float(loss), order.tolist()) == (1.0, [[1, 0]])


def test_dissimilarity_is_the_formula():
    generator = torch.Generator().manual_seed(0)
    found, true = torch.rand(2, 1, 4, 3, 5, generator=generator)

    def d(j, k):
        return float((found[:, j] - true[:, k]).square().sum())

    main = (0, 1, 2)
    expected = sum(d(j, j) for j in main) - 0.001 * sum(d(j, k) for j in main for k in main if j != k)
    expected -= 0.03 * d(0, 3) + 0.01 * (d(1, 3) + d(2, 3))
    assert float(dissimilarity_loss(found, true, 0, 3)) == pytest.approx(abs(expected) / 15, rel=1e-5)


def test_si_sdr_loss_is_finite_with_a_gradient_for_silence_and_perfection():
    stems = torch.randn(2, 2, 1, 400, generator=torch.Generator().manual_seed(0))[:, :, 0]
    stems[1, 1] = 0
    for start in (stems.clone(), torch.zeros_like(stems)):
        estimates = start.requires_grad_()
        loss = si_sdr_loss(estimates, stems)
        loss.backward()
        assert math.isfinite(float(loss.detach()))
        assert bool(torch.isfinite(estimates.grad).all())


def test_complex_loss_is_zero_for_the_truth_alone():
    stems = torch.randn(1, 2, 4, 5, dtype=torch.complex64)
    assert float(complex_loss(stems, stems)) == 0
    assert float(complex_loss(stems + 1j, stems)) == pytest.approx(2.0)
