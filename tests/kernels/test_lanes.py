import numba
import numpy as np

from benchmark.kernels.lanes import LANES
from benchmark.kernels.patterns import rowwise

_exp = rowwise(lambda x: [x[0].exp()], 1, 1)
_bounded = rowwise(lambda x: [x[0].bounded(x[1])], 2, 1)
_chosen = rowwise(lambda x: [x[0].where_negative(x[1], x[2] / x[1])], 3, 1)


@numba.njit
def exp(target, source):
    _exp(target.ctypes.data, target.size, source.ctypes.data, source.size, source.size)


@numba.njit
def bounded(target, source):
    _bounded(target.ctypes.data, target.size, source.ctypes.data, source.shape[1], source.shape[1])


@numba.njit
def chosen(target, source):
    _chosen(target.ctypes.data, target.size, source.ctypes.data, source.shape[1], source.shape[1])


def test_exponentials_of_what_is_not_positive():
    x = np.concatenate([np.linspace(-87, 0, 64_000 - 8), [0, -0.0, -np.inf, -1e30, -88, -104, np.nan, -1e-9]]).astype(
        np.float32
    )
    found = np.empty_like(x)
    exp(found, x)
    expected = np.exp(x.astype(np.float64))
    normal = x >= -87
    np.testing.assert_allclose(found[normal], expected[normal], rtol=3e-7)
    assert (found[x < -87] < 2e-38).all()
    assert np.isnan(found[-2])


def test_bounds_and_choices_keep_what_is_no_number():
    x = np.array([[-1, 2, np.nan, 0] * 4, [1, 1, 1, 1] * 4, [3, 3, 3, 3] * 4], np.float32)
    found = np.empty(LANES, np.float32)
    bounded(found, x[:2])
    np.testing.assert_array_equal(found, [1, 2, np.nan, 1] * 4)
    x[1] = 2
    chosen(found, x)
    np.testing.assert_array_equal(found, [2, 1.5, 1.5, 1.5] * 4)
