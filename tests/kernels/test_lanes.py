import numba
import numpy as np
import pytest

from benchmark.kernels.lanes import LANES, rowwise


def turned(x):
    return [2.0 * x[0] - x[1] * 0.5, x[1] + x[2] + 1.0]


_turned = rowwise(turned, 3)


@numba.njit
def apply(target, source, size):
    _turned(target.ctypes.data, target.shape[1], source.ctypes.data, source.shape[1], size)


@pytest.mark.parametrize("size", [LANES, 3 * LANES])
def test_is_the_map_of_arrays_and_leaves_the_rest(size):
    source = np.random.default_rng(0).standard_normal((3, 70)).astype(np.float32)
    target = np.full((2, 65), 7, np.float32)
    apply(target, source, size)
    np.testing.assert_allclose(target[:, :size], turned(source[:, :size].astype(np.float64)), atol=1e-6)
    assert (target[:, size:] == 7).all()
