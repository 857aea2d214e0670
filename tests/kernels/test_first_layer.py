import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, pad, unfold

from benchmark.kernels import first_layer
from benchmark.kernels.first_layer import FirstLayer, Shape
from benchmark.kernels.norm import Pool


def _images(batch: int, height: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(batch, height, width, generator=torch.Generator().manual_seed(seed))


def _layer(images: Tensor, size: tuple[int, int], channels: int, window: tuple[int, int] | None) -> FirstLayer:
    """A layer whose images have a row of zeros above and below, and two columns on either side."""
    batch, height, width = images.shape
    shape = Shape(*size, height + 3 - size[0], width + 5 - size[1], 1, 2)
    pool = None
    if window is not None:
        found = shape.rows // window[0], -(-shape.columns // window[1])
        pool = Pool(batch, shape.rows, shape.columns, channels, *window, *found)
    return FirstLayer(images, shape, channels, pool)


def _plain(images: Tensor, size: tuple[int, int], weight: Tensor, window: tuple[int, int] | None) -> Tensor:
    """The same of a weight (K + 1, C) of patches less the images' mean."""
    padded = pad(images - images.mean(dtype=torch.float64).float(), (2, 2, 1, 1), value=-float(images.mean()))
    kernels = weight[:-1].T.reshape(-1, 1, *size)
    maps = conv2d(padded.to(weight.dtype)[:, None], kernels, weight[-1]).relu()
    if window is not None:
        # Windows go over the right edge, but not below.
        maps = max_pool2d(maps[:, :, : maps.shape[2] // window[0] * window[0]], window, ceil_mode=True)
    return maps.permute(0, 2, 3, 1)


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.sampled_from([0.0, -40.0]), st.integers(0, 99))
def test_moments_are_those_of_all_patches(batch, down, across, offset, seed):
    images = _images(batch, 9, 7, seed) + offset
    found = _layer(images, (down, across), 3, None).moments()
    patches = unfold(pad(images.double(), (2, 2, 1, 1))[:, None], (down, across)).transpose(0, 1).flatten(1).numpy()
    assert found.count == patches.shape[1]
    np.testing.assert_allclose(found.mean + found.centre, patches.mean(1), rtol=1e-6, atol=1e-6)
    expected = np.cov(patches, bias=True).reshape(len(patches), -1)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-6, atol=1e-6 * (1 + offset**2))


def test_alike_images_have_no_covariance():
    layer = FirstLayer(torch.full((5, 8, 9), -7.3), Shape(3, 2, 6, 8), 2, None)
    found = layer.moments()
    np.testing.assert_allclose(found.covariance, 0, atol=1e-20)
    np.testing.assert_allclose(found.mean + found.centre, -7.3, rtol=1e-7)


@pytest.mark.parametrize("window", [None, (2, 2), (3, 2), (1, 5)])
@pytest.mark.parametrize(("size", "channels"), [((5, 4), 64), ((3, 3), 7), ((1, 1), 1), ((2, 5), 33)])
def test_maps_and_gradients_are_pytorchs(size, channels, window, monkeypatch):
    # Chunks of two images, and one of one.
    monkeypatch.setattr(first_layer, "_CHUNK", 2 * 13 * 14 * channels)
    images = _images(5, 11, 10) + 2
    weight = torch.randn(size[0] * size[1] + 1, channels, generator=torch.Generator().manual_seed(1))
    layer = _layer(images, size, channels, window)
    y, kept = layer.forward(weight)
    exact = weight.double().requires_grad_(True)
    expected = _plain(images, size, exact, window)
    assert y.shape == expected.shape
    torch.testing.assert_close(y.double(), expected.detach(), rtol=1e-5, atol=1e-5)
    gradient = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
    expected.backward(gradient.double())
    found = layer.backward(kept, gradient)
    np.testing.assert_allclose(found, exact.grad.numpy(), rtol=0, atol=1e-5 * float(exact.grad.abs().max()))
    again = layer.forward(weight)
    assert torch.equal(again[0], y) and torch.equal(again[1], kept)
    assert np.array_equal(layer.backward(kept, gradient), found)


def test_the_first_of_equals_is_pooled():
    images = _images(3, 12, 9).round()
    layer = FirstLayer(images, Shape(1, 1, 12, 9), 2, Pool(3, 12, 9, 2, 3, 2, 4, 4))
    y, place = layer.forward(torch.tensor([[1.0, -2.0], [3.0, 3.0]]))
    maps = torch.stack([images, -2 * images], 1) - images.mean() * torch.tensor([1.0, -2.0])[:, None, None] + 3
    expected, where = max_pool2d(maps.relu(), (3, 2), return_indices=True)
    torch.testing.assert_close(y, expected.permute(0, 2, 3, 1))
    where = where.permute(0, 2, 3, 1)
    alive = y > 0
    assert alive.double().mean() > 0.9
    assert torch.equal(place[alive].long(), (where // 9 % 3 * 2 + where % 9 % 2)[alive])
    assert (place[~alive] == first_layer.NOWHERE).all()


@pytest.mark.parametrize("window", [None, (2, 2)])
def test_what_is_not_a_number_stays_that(window):
    images = _images(2, 6, 6)
    images[1, 2, 3] = torch.nan
    y, _ = _layer(images, (3, 3), 4, window).forward(torch.ones(10, 4))
    assert torch.isnan(y).all()
