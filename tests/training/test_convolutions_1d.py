import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmark.models.swishnet import CausalGate, SwishNet
from benchmark.training.convolutions_1d import TrainedBranches, TrainedConv1d, TrainedGate, shift_convolutions
from benchmark.training.engines import Alone
from benchmark.training.members import Member
from benchmark.training.settings import TrainSettings


def both(layer):
    """A layer in float64, as PyTorch has it, and a fast one of the same weights."""
    fast = copy.deepcopy(layer)
    shift_convolutions(fast)
    return copy.deepcopy(layer).double(), fast


def found(layer, x, needs_x=True):
    """Outputs and gradients, of the inputs last."""
    x = x.detach().to(next(layer.parameters()).dtype).requires_grad_(needs_x)
    y = layer(x)
    # Positive, so that sums do not cancel.
    slope = 1.5 + torch.sin(torch.arange(y.numel(), dtype=torch.float64)).to(y.dtype).view(y.shape)
    y.backward(slope)
    return [y.detach(), *(p.grad for p in layer.parameters()), x.grad]


def assert_same(expected, actual):
    for one, two in zip(expected, actual, strict=True):
        assert (one is None) == (two is None)
        if one is not None:
            assert two.dtype == torch.float32 and two.shape == one.shape
            assert (one - two).abs().max() <= 1e-5 * max(one.abs().max(), 0.1)


def inputs(batch, channels, length, order):
    torch.manual_seed(batch + channels + length)
    shape = {
        "channels": (batch, channels, length),
        "time": (batch, length, channels),
        "batch": (channels, length, batch),
    }
    x = torch.randn(shape[order])
    return {"channels": x, "time": x.transpose(1, 2), "batch": x.permute(2, 0, 1)}[order]


ORDERS = st.sampled_from(["channels", "time", "batch"])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(2, 20),
    st.integers(1, 7),
    st.integers(1, 5),
    st.integers(0, 60),
    st.booleans(),
    ORDERS,
)
def test_depthwise_convolution_with_its_gradients(batch, channels, kernel, dilation, more, bias, order):
    torch.manual_seed(0)
    conv = nn.Conv1d(channels, channels, kernel, dilation=dilation, groups=channels, bias=bias)
    plain, fast = both(conv)
    assert type(fast) is TrainedConv1d and list(fast.state_dict()) == list(plain.state_dict())
    x = inputs(batch, channels, (kernel - 1) * dilation + 1 + more, order)
    assert_same(found(plain, x), found(fast, x))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 22),
    st.integers(1, 20),
    st.integers(1, 6),
    st.integers(1, 24),
    st.integers(1, 30),
    st.booleans(),
    ORDERS,
)
def test_gate_with_its_gradients(batch, channels, half, kernel, dilation, length, separable, order):
    torch.manual_seed(0)
    plain, fast = both(CausalGate(channels, 2 * half, kernel, dilation, separable))
    assert type(fast) is TrainedGate and list(fast.state_dict()) == list(plain.state_dict())
    x = inputs(batch, channels, length, order)
    assert_same(found(plain, x), found(fast, x))


def test_long_rows_and_large_values():
    torch.manual_seed(0)
    plain, fast = both(CausalGate(11, 6, 3, 700))
    x = 30 * torch.randn(3, 11, 2500)
    assert_same(found(plain, x), found(fast, x))
    x[1, 2, 2000] = float("nan")
    assert torch.equal(plain(x.double()).isnan(), fast(x).isnan())


@pytest.mark.parametrize(("bands", "width"), [(22, 1), (128, 1), (40, 2)])
@pytest.mark.parametrize("dilations", ["unit", "a_trous"])
def test_a_step_of_a_network_is_the_same(bands, width, dilations):
    torch.manual_seed(0)
    plain, fast = both(SwishNet(bands, 3, width, dilations))
    assert [type(block) for block in (fast.block1, fast.block2, fast.block3)] == [TrainedBranches] * 3
    assert type(fast.block8) is TrainedGate and type(fast.hidden) is nn.Conv1d
    assert list(fast.state_dict()) == list(plain.state_dict())
    x = inputs(6, bands, 19, "time")
    assert_same(found(plain, x, needs_x=False), found(fast, x, needs_x=False))
    with torch.no_grad():
        assert_same([plain.eval()(x.double())], [fast.eval()(x)])
    repeated = []
    for _ in range(2):
        fast.zero_grad()
        repeated.append(found(fast, x))
    assert all(torch.equal(one, two) for one, two in zip(*repeated, strict=True))


@pytest.mark.parametrize(
    "fixed", ["block2", "block1.lower.conv.0", "block1.upper", "block8.conv.bias", "block3.lower.conv.1"]
)
@pytest.mark.parametrize("needs_x", [True, False])
def test_what_is_fixed_gets_no_gradient(fixed, needs_x):
    torch.manual_seed(0)
    net = SwishNet(9, 2)
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(not name.startswith(fixed))
    plain, fast = both(net)
    x = inputs(4, 9, 12, "channels")
    gradients = found(fast, x, needs_x)
    assert_same(found(plain, x, needs_x), gradients)
    assert None in gradients


def test_other_numbers_and_shapes_are_left_to_pytorch():
    torch.manual_seed(0)
    layers = [
        (CausalGate(4, 6, 3, 2, separable=True), 4),
        (SwishNet(4, 2).block2, 16),
        (nn.Conv1d(16, 16, 3, groups=16), 16),
    ]
    for layer, channels in layers:
        plain, fast = both(layer)
        x = torch.randn(2, channels, 9)
        assert torch.equal(copy.deepcopy(fast).double()(x.double()), plain(x.double()))
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(fast(x), layer(x))
        with pytest.raises(RuntimeError):
            fast(torch.randn(2, 5, 9))
    # One example without a batch.
    assert torch.equal(fast(x[0]), layer(x[0]))
    with pytest.raises(RuntimeError, match="Kernel size"):
        fast(x[:, :, :2])


def test_convolutions_that_gain_nothing_stay():
    kept = [
        nn.Conv1d(8, 8, 3),
        nn.Conv1d(8, 8, 3, groups=8, padding=1),
        nn.Conv1d(8, 8, 3, groups=8, stride=2),
        nn.Conv1d(8, 16, 3, groups=8),
        nn.Conv1d(8, 8, 3, groups=4),
    ]
    net = nn.Sequential(*kept, CausalGate(256, 256, 3))
    shift_convolutions(net)
    assert [type(layer) for layer in net] == [nn.Conv1d] * 5 + [CausalGate]


@pytest.mark.parametrize(("precision", "expected"), [("float32", TrainedGate), ("bfloat16", CausalGate)])
def test_networks_are_trained_with_it_one_by_one(precision, expected):
    torch.manual_seed(0)
    rows = torch.arange(8)
    member = Member(SwishNet(5, 2, dropout=0.1), torch.randn(8, 5, 10), rows % 2, rows, rows, 1, None)
    before = {key: value.clone() for key, value in member.net.state_dict().items()}
    engine = Alone(member, TrainSettings(precision=precision), "cpu")
    assert type(engine.net.block5) is expected
    engine.step(rows[None], [0])
    assert list(engine.state(0)) == list(before)
    assert all(not torch.equal(value, before[key]) for key, value in engine.state(0).items())
    assert np.isfinite(engine.logits(0, rows).numpy()).all()
