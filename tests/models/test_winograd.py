import pytest
import torch
from torch import nn

from benchmark.models.winograd import WinogradConv2d, use_winograd


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 7), (32, 24)])
@pytest.mark.parametrize("bias", [True, False])
def test_is_the_convolution(size, bias):
    torch.manual_seed(0)
    convolution = nn.Conv2d(48, 20, 3, padding=1, bias=bias)
    x = torch.randn(3, 48, *size)
    expected = convolution.double()(x.double())
    with torch.inference_mode():
        actual = WinogradConv2d(convolution.float())(x)
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() < 3e-5 * expected.abs().max()


@pytest.mark.parametrize(
    "settings",
    [{"stride": 2, "padding": 1}, {"padding": 0}, {"padding": 1, "groups": 2}, {"padding": 2, "dilation": 2}],
)
def test_other_convolutions_are_refused(settings):
    with pytest.raises(ValueError, match="3 x 3"):
        WinogradConv2d(nn.Conv2d(4, 4, 3, **settings))


def test_only_wide_convolutions_are_replaced():
    net = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.Sequential(nn.Conv2d(128, 256, 3, padding=1), nn.ReLU()))
    use_winograd(net)
    assert isinstance(net[0], nn.Conv2d)
    assert isinstance(net[1][0], WinogradConv2d)
