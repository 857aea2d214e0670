import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import max_pool2d

from benchmark.kernels import norm


def _table(channels: int, seed: int = 0) -> np.ndarray:
    """A table of random channels, half of whose weights are negative."""
    r = np.random.default_rng(seed)
    mean, var, weight, bias = r.normal(size=channels), r.uniform(0.5, 2, channels), r.normal(size=channels), r.normal()
    return norm.table(mean, var, 1e-5, weight, np.full(channels, bias))


def _rectified(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    channels = x.shape[-1]
    return np.maximum(x * table[0, :channels] + table[1, :channels], np.float32(0))


def _pooled(x: np.ndarray, table: np.ndarray, down: int, across: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    batch, height, width, channels = x.shape
    pool = norm.Pool(batch, height, width, channels, down, across, height // down, width // across)
    out = np.empty((batch, pool.rows, pool.columns, channels), np.float32)
    kept, place = np.empty_like(out), np.empty(out.shape, np.uint8)
    norm.pooled(x.reshape(-1), table, pool, out.reshape(-1), kept.reshape(-1), place.reshape(-1))
    return out, kept, place


@settings(max_examples=30)
@given(st.integers(1, 300), st.integers(1, 70), st.sampled_from([0.0, -3.0, 1e4]), st.integers(0, 99))
def test_moments_are_those_of_float64(rows, channels, offset, seed):
    x = (np.random.default_rng(seed).normal(size=(rows, channels)) + offset).astype(np.float32)
    mean, var = norm.moments(x.reshape(-1), channels)
    np.testing.assert_allclose(mean, x.mean(0, dtype=np.float64), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(var, x.astype(np.float64).var(0), rtol=1e-6, atol=1e-14 * (1 + offset**2))


def test_a_constant_channel_has_no_variance():
    x = np.repeat(np.float32([[0.1, -7.3, 1e3]]), 4099, axis=0)
    _, var = norm.moments(x.reshape(-1), 3)
    assert (var >= 0).all()
    np.testing.assert_allclose(var, 0, atol=1e-8)


@pytest.mark.parametrize(("rows", "channels"), [(1, 1), (7, 3), (129, 17), (40, 64), (3, norm.WIDE)])
def test_every_position_is_rectified(rows, channels):
    x = np.random.default_rng(0).normal(size=(rows, channels)).astype(np.float32)
    table, out = _table(channels), np.full((rows, channels), np.nan, np.float32)
    norm.rectified(x.reshape(-1), table, channels, out.reshape(-1))
    np.testing.assert_allclose(out, _rectified(x, table), rtol=1e-6, atol=1e-6)
    assert (out == 0).any() or out.size == 1


def test_the_first_of_equals_is_pooled():
    x = np.random.default_rng(1).integers(-2, 3, (3, 7, 8, 5)).astype(np.float32)
    table = _table(5)
    out, kept, place = _pooled(x, table, 3, 2)
    maps = torch.from_numpy(_rectified(x, table)).permute(0, 3, 1, 2)
    expected, where = max_pool2d(maps, (3, 2), return_indices=True)
    np.testing.assert_allclose(out, expected.permute(0, 2, 3, 1), rtol=1e-6, atol=1e-6)
    row, column = where.permute(0, 2, 3, 1).numpy() // 8, where.permute(0, 2, 3, 1).numpy() % 8
    # Where nothing is positive, no gradient goes anywhere.
    alive = out > 0
    assert alive.mean() > 0.3
    assert (place == row % 3 * 2 + column % 2)[alive].all()
    batch, _, _, channel = np.indices(row.shape)
    assert (kept == x[batch, row, column, channel])[alive].all()


def test_what_is_not_a_number_stays_that():
    x = np.random.default_rng(2).normal(size=(1, 4, 4, 3)).astype(np.float32)
    x[0, 1, 1, 0] = x[0, 2, 2, 1] = np.nan
    table, out = _table(3), np.empty(x.shape, np.float32)
    norm.rectified(x.reshape(-1), table, 3, out.reshape(-1))
    assert (np.isnan(out) == np.isnan(x)).all()
    pooled, _, _ = _pooled(x, table, 2, 2)
    assert np.argwhere(np.isnan(pooled)).tolist() == [[0, 0, 0, 0], [0, 1, 1, 1]]


def test_sums_of_long_maps_are_exact():
    r = np.random.default_rng(3)
    x, gradient = (r.normal(size=(50_000, 5)).astype(np.float32) for _ in range(2))
    table = _table(5)
    total, product = norm.gradient_sums(x.reshape(-1), gradient.reshape(-1), table, 5)
    passed = np.where(_rectified(x, table) > 0, gradient, 0).astype(np.float64)
    np.testing.assert_allclose(total, passed.sum(0), rtol=0, atol=1e-4)
    np.testing.assert_allclose(product, (passed * (x - table[2, :5])).sum(0), rtol=0, atol=1e-4)
