from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d

from benchmark.kernels.row_filter import RowFilter, best_tile, filtering


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 6])
def test_filtering_is_the_correlation(m):
    rng = np.random.default_rng(0)
    inputs, kernel = rng.standard_normal(m + 2), rng.standard_normal(3)
    found = filtering(m)
    outputs = found.outputs.T @ ((found.kernel @ kernel) * (found.inputs @ inputs))
    np.testing.assert_allclose(outputs, np.correlate(inputs, kernel, "valid"), atol=1e-12)


def test_outputs_of_f_4_3_are_those_of_the_paper():
    """Lavin & Gray, section 4.1: rows of A^T for the points 0, 1, -1, 2, -2 and infinity."""
    expected = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
    np.testing.assert_array_equal(filtering(4).outputs.T, expected)


@pytest.mark.parametrize(("rows", "tile"), [(4, 4), (6, 6), (28, 4), (30, 6), (1, 4), (1001, 6)])
def test_tile_with_the_fewer_products(rows, tile):
    assert best_tile(rows) == tile
    products = {m: Fraction(-(-rows // m) * (m + 2)) for m in (4, 6)}
    assert products[tile] <= products[10 - tile] / Fraction(9, 10)


@settings(max_examples=25, deadline=None)
@given(
    images=st.integers(1, 3),
    inputs=st.integers(1, 5),
    outputs=st.integers(1, 5),
    height=st.integers(1, 17),
    width=st.integers(1, 9),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    tile=st.sampled_from([None, 4, 6]),
)
def test_is_the_convolution_and_its_gradients(images, inputs, outputs, height, width, padding, tile):
    if height + 2 * padding[0] < 3 or width + 2 * padding[1] < 3:
        with pytest.raises(ValueError, match="smaller than the kernel"):
            RowFilter(height, width, padding)
        return
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(images, inputs, height, width, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(outputs, inputs, 3, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    bias = torch.randn(outputs, dtype=torch.float64, generator=generator)
    expected = conv2d(x, weight, bias, padding=padding)
    slope = torch.randn(expected.shape, dtype=torch.float64, generator=generator)
    of_x, of_weight = torch.autograd.grad(expected, (x, weight), slope)

    found = RowFilter(height, width, padding, tile)
    image, kernels = x.detach().float().permute(0, 2, 3, 1).contiguous(), found.kernels(weight)
    actual = found.forward(image, kernels, bias.float()).permute(0, 3, 1, 2)
    assert_near(actual, expected)
    back = slope.float().permute(0, 2, 3, 1).contiguous()
    of_image, of_kernel = found.backward(image, back, kernels, (True, True))
    assert_near(of_image.permute(0, 3, 1, 2), of_x)
    assert_near(of_kernel, of_weight)
    assert found.backward(image, back, kernels, (False, False)) == (None, None)


def test_what_is_large_goes_in_chunks():
    torch.manual_seed(0)
    x, weight = torch.randn(5, 8, 61, 40), torch.randn(16, 8, 3, 3)
    found = RowFilter(61, 40, (1, 1))
    image = x.permute(0, 2, 3, 1).contiguous()
    actual = found.forward(image, found.kernels(weight)).permute(0, 3, 1, 2)
    assert_near(actual, conv2d(x.double(), weight.double(), padding=1))
    # What is beside an image does not matter, to the last bit.
    alone = found.forward(image[3:4].contiguous(), found.kernels(weight)).permute(0, 3, 1, 2)
    assert_near(alone, actual[3:4])
    image[1] = torch.nan
    other = found.forward(image, found.kernels(weight))
    assert torch.isnan(other[1]).all()
    assert torch.isfinite(other[[0, 2, 3, 4]]).all()


def assert_near(actual, expected):
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 2e-5 * expected.abs().max().clamp(min=1)
