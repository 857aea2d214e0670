import copy

import pytest
import torch
from torch import nn

from benchmark.models.ina_kc import InaKc
from benchmark.training.convolutions import TrainedConv2d, filter_convolutions


@pytest.mark.parametrize(
    ("inputs", "outputs", "kernel", "padding", "size"),
    [(64, 128, 3, 0, (13, 9)), (64, 128, 3, 1, (7, 5)), (128, 256, 3, 0, (14, 3))],
)
@pytest.mark.parametrize("bias", [True, False])
def test_is_the_convolution_with_its_gradients(inputs, outputs, kernel, padding, size, bias):
    torch.manual_seed(0)
    plain = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=bias)
    fast = copy.deepcopy(plain)
    filter_convolutions(fast)
    assert type(fast) is TrainedConv2d
    x = torch.randn(3, inputs, *size).to(memory_format=torch.channels_last)
    found = []
    for layer, dtype in ((plain.double(), torch.float64), (fast, torch.float32)):
        image = x.to(dtype).requires_grad_()
        y = layer(image)
        slope = torch.linspace(-1, 1, y.numel(), dtype=dtype).view(y.shape)
        y.backward(slope)
        found.append([y.detach(), image.grad, *(p.grad for p in layer.parameters())])
    for expected, actual in zip(*found, strict=True):
        assert actual.shape == expected.shape
        assert (actual - expected).abs().max() < 1e-5 * expected.abs().max()


def test_a_step_of_a_network_is_the_same():
    torch.manual_seed(0)
    plain = InaKc(dropout=False).train()
    fast = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    names = list(fast.state_dict())
    filter_convolutions(fast)
    assert list(fast.state_dict()) == names
    x, y = torch.randn(8, 68, 21), torch.arange(8) % 2
    for net in (plain, fast):
        nn.functional.cross_entropy(net(x), y).backward()
    greatest = max(p.grad.abs().max() for p in plain.parameters())
    for (name, one), two in zip(plain.named_parameters(), fast.parameters(), strict=True):
        assert (one.grad - two.grad).abs().max() < 1e-4 * greatest, name


def test_what_is_fixed_gets_no_gradient():
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 128, 3)
    filter_convolutions(layer)
    layer.weight.requires_grad_(False)
    x = torch.randn(1, 64, 5, 5, requires_grad=True)
    layer(x).sum().backward()
    assert layer.weight.grad is None and layer.bias.grad is not None and x.grad is not None


def test_only_convolutions_that_gain_are_filtered():
    net = nn.Sequential(nn.Conv2d(64, 64, 3), nn.Conv2d(32, 128, 3), nn.Conv2d(64, 128, 3), nn.Conv2d(64, 128, 1))
    filter_convolutions(net)
    assert [type(layer) for layer in net] == [nn.Conv2d, nn.Conv2d, TrainedConv2d, nn.Conv2d]
