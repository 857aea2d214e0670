import numba
import numpy as np
import pytest

from benchmark.kernels.lanes import LANES
from benchmark.kernels.patterns import product, rowwise


def turned(x):
    return [2.0 * x[0] - x[1] * 0.5, x[1] + x[2] + 1.0]


_turned = rowwise(turned, 3, 2)
_product = product(3, 2, a_row=7, a_column=1, b_row=40, c_row=33)


@numba.njit
def apply(target, source, size):
    _turned(target.ctypes.data, target.shape[1], source.ctypes.data, source.shape[1], size)


@numba.njit
def multiply(c, a, b, depth):
    _product(c.ctypes.data, a.ctypes.data, b.ctypes.data, depth)


@pytest.mark.parametrize("size", [LANES, 3 * LANES])
def test_is_the_map_of_arrays_and_leaves_the_rest(size):
    source = np.random.default_rng(0).standard_normal((3, 70)).astype(np.float32)
    target = np.full((2, 65), 7, np.float32)
    apply(target, source, size)
    np.testing.assert_allclose(target[:, :size], turned(source[:, :size].astype(np.float64)), atol=1e-6)
    assert (target[:, size:] == 7).all()


@pytest.mark.parametrize("depth", [1, 7])
def test_is_the_matrix_product_and_leaves_the_rest(depth):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 7), (7, 40)))
    c = np.full((3, 33), 7, np.float32)
    multiply(c, a, b, depth)
    np.testing.assert_allclose(c[:, : 2 * LANES], a[:, :depth] @ b[:depth, : 2 * LANES], atol=1e-5)
    assert (c[:, 2 * LANES :] == 7).all()
