import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import conv2d

from benchmark.kernels.tile_filter import TileFilter, best_tile


@pytest.mark.parametrize(
    ("outputs", "tile"), [(1, 4), (4, 4), (5, 5), (7, 4), (10, 5), (24, 4), (30, 5), (49, 5), (199, 4)]
)
def test_tile_with_the_fewer_products(outputs, tile):
    assert best_tile(outputs) == tile


@settings(max_examples=25, deadline=None)
@given(
    images=st.integers(1, 3),
    inputs=st.sampled_from([16, 48]),
    outputs=st.sampled_from([16, 32]),
    height=st.integers(1, 17),
    width=st.integers(1, 13),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    with_bias=st.booleans(),
)
def test_is_the_convolution(images, inputs, outputs, height, width, padding, with_bias):
    if height + 2 * padding[0] < 3 or width + 2 * padding[1] < 3:
        with pytest.raises(ValueError, match="smaller than the kernel"):
            TileFilter(height, width, padding)
        return
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(images, inputs, height, width, generator=generator)
    weight = torch.randn(outputs, inputs, 3, 3, generator=generator)
    bias = torch.randn(outputs, generator=generator) if with_bias else None
    expected = conv2d(x.double(), weight.double(), None if bias is None else bias.double(), padding=padding)
    found = TileFilter(height, width, padding)
    image = x.permute(0, 2, 3, 1).contiguous()
    actual = found.forward(image, found.kernels(weight), bias).permute(0, 3, 1, 2)
    assert_near(actual, expected)


def test_what_is_large_goes_in_chunks_and_neighbours_do_not_matter():
    torch.manual_seed(0)
    x, weight = torch.randn(3, 61, 90, 16), torch.randn(16, 16, 3, 3)
    found = TileFilter(61, 90, (1, 1))
    kernels = found.kernels(weight)
    actual = found.forward(x, kernels)
    assert_near(actual.permute(0, 3, 1, 2), conv2d(x.permute(0, 3, 1, 2).double(), weight.double(), padding=1))
    x[1] = torch.nan
    other = found.forward(x, kernels)
    assert torch.isnan(other[1]).all()
    assert_near(other[[0, 2]], actual[[0, 2]])


def assert_near(actual, expected):
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 3e-5 * expected.abs().max().clamp(min=1)
