import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmark.models.ina_kc import InaKc
from benchmark.models.vgg_like import VggLike
from benchmark.training.engines import Alone
from benchmark.training.first_layer import FirstConv2d, FirstNorm, fuse_first
from benchmark.training.fused import FusedNorm, fuse_norms
from benchmark.training.members import Member
from benchmark.training.settings import TrainSettings

LAST = torch.channels_last


def layers(convolution: nn.Conv2d, pool: nn.Module | None = None, momentum: float | None = 0.1) -> nn.Sequential:
    """A convolution, a normalisation with weights of both signs, a ReLU, and maybe a pool."""
    norm = nn.BatchNorm2d(convolution.out_channels, eps=1e-3, momentum=momentum)
    with torch.no_grad():
        norm.weight.normal_()
        norm.bias.normal_()
    return nn.Sequential(nn.Sequential(convolution, norm, nn.ReLU()), *([] if pool is None else [pool]))


def fused(net: nn.Module) -> nn.Module:
    net = copy.deepcopy(net).to(memory_format=LAST)
    fuse_norms(net)
    fuse_first(net)
    return net


def run(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Outputs, gradients and buffers after two steps in training."""
    for _ in range(2):
        net.zero_grad()
        y = net.train()(x)
        y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y.dtype))
    return {"y": y.detach(), **{name: p.grad for name, p in net.named_parameters()}, **dict(net.named_buffers())}


def assert_agree(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == value.shape
        if name.endswith("0.bias"):
            # In front of a normalisation it has none but by rounding.
            assert not found[name].any()
            assert value.abs().max() < 1e-9
            continue
        error = (found[name].double() - value.double()).abs().max()
        assert error <= 1e-5 * max(float(value.abs().max()), 1.0), name


def handed_on(net: nn.Module, x: Tensor) -> bool:
    """Whether the convolution leaves its work to the normalisation."""
    seen = []
    norm = net[0][1]
    hook = norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    net(x)
    hook.remove()
    return seen == [1] != [norm.num_features]


@st.composite
def cases(draw):
    torch.manual_seed(draw(st.integers(0, 999)))
    size = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    padding = draw(st.sampled_from([0, 1, (2, 0), "same", "valid"]))
    channels = draw(st.sampled_from([2, 3, 16, 33]))
    height, width = draw(st.integers(size[0] + 2, 14)), draw(st.integers(size[1] + 2, 14))
    pool = draw(st.sampled_from([None, nn.MaxPool2d(2), nn.MaxPool2d((3, 1)), nn.MaxPool2d((1, 2), ceil_mode=True)]))
    x = torch.randn(draw(st.integers(2, 5)), 1, height, width) * 2 + draw(st.sampled_from([0.0, 5.0, -20.0]))
    kind = draw(st.sampled_from(["any", "alike", "constant", "a part"]))
    if kind == "alike":
        x[1:] = x[:1]
    elif kind == "constant":
        x = torch.full_like(x, 3.0)
    elif kind == "a part":
        x = torch.cat([x, x], dim=3).transpose(2, 3)[:, :, 1 : width + 1, :]
        x = x if min(x.shape[2] - size[0], x.shape[3] - size[1]) > 1 else x.transpose(2, 3)
    convolution = nn.Conv2d(1, channels, size, padding=padding, bias=draw(st.booleans()))
    return layers(convolution, pool, draw(st.sampled_from([0.1, 0.01, None]))), x


@settings(max_examples=80)
@given(cases())
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
def test_agrees_with_the_layers_by_themselves_in_float64(case):
    net, x = case
    ours = fused(net)
    assert handed_on(copy.deepcopy(ours).train(), x)
    assert_agree(run(ours, x), run(copy.deepcopy(net).double(), x.double()))


@pytest.mark.parametrize("pool", [None, nn.MaxPool2d(2)])
def test_the_same_bits_twice(pool):
    net, x = fused(layers(nn.Conv2d(1, 17, (5, 4)), pool)), torch.randn(7, 1, 33, 21)
    one, other = run(copy.deepcopy(net), x), run(copy.deepcopy(net), x)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "how", ["eval", "no_grad", "bfloat16", "float64", "input", "weight", "gain", "shift", "norm in eval"]
)
def test_elsewhere_the_layers_are_as_they_were(how):
    net, x = layers(nn.Conv2d(1, 6, 3), nn.MaxPool2d(2)), torch.randn(4, 1, 8, 8)
    if how == "float64":
        net, x = net.double(), x.double()
    x.requires_grad_(how == "input")
    frozen = {"weight": net[0][0].weight, "gain": net[0][1].weight, "shift": net[0][1].bias}
    if how in frozen:
        frozen[how].requires_grad_(False)
    ours, expected = fused(net).train(how != "eval"), copy.deepcopy(net).to(memory_format=LAST)
    fuse_norms(expected.train(how != "eval"))
    if how == "norm in eval":
        ours[0][1].eval()
        expected[0][1].eval()
    with torch.set_grad_enabled(how != "no_grad"), torch.autocast("cpu", torch.bfloat16, enabled=how == "bfloat16"):
        assert torch.equal(ours(x), expected(x))
        assert not handed_on(ours, x)
        expected(x)
    for (name, buffer), value in zip(ours.named_buffers(), expected.buffers(), strict=True):
        assert torch.equal(buffer, value), name


def test_what_is_frozen_gets_no_gradient():
    net = fused(layers(nn.Conv2d(1, 6, 3)))
    net[0][0].requires_grad_(False)
    net.train()(torch.randn(4, 1, 8, 8)).sum().backward()
    assert net[0][0].weight.grad is None
    assert net[0][1].weight.grad is not None


def test_errors_are_pytorchs():
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        fused(layers(nn.Conv2d(1, 3, 4))).train()(torch.randn(2, 1, 3, 9))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        fused(layers(nn.Conv2d(1, 3, 3))).train()(torch.randn(1, 1, 3, 3))
    with pytest.raises(RuntimeError, match="too small"):
        fused(layers(nn.Conv2d(1, 3, 3), nn.MaxPool2d(3))).train()(torch.randn(2, 1, 4, 4))


@pytest.mark.parametrize(("make", "shape"), [(InaKc, (68, 21)), (VggLike, (10, 128))])
def test_networks_keep_names_and_numbers(make, shape):
    torch.manual_seed(0)
    plain = make(dropout=0.0)
    net = fused(plain)
    assert [type(m) for m in net.modules()].count(FirstConv2d) == 1
    assert [type(m) for m in net.modules()].count(FirstNorm) == 1
    assert [type(m) for m in net.modules()].count(FusedNorm) == 3
    state, expected = net.state_dict(), plain.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[name], expected[name]) for name in state)
    fused(make()).load_state_dict(expected)
    x = torch.randn(4, *shape)
    assert torch.equal(net.eval()(x), plain.to(memory_format=LAST).eval()(x))
    exact = copy.deepcopy(plain).double()
    gradients = []
    for one, inputs in ((net, x), (exact, x.double())):
        nn.functional.cross_entropy(one.train()(inputs), torch.tensor([0, 1, 1, 0])).backward()
        named = [(name, parameter.grad) for name, parameter in one.named_parameters()]
        gradients.append(torch.cat([g.double().flatten() for name, g in named if not name.endswith("0.bias")]))
    # Where rounding makes another of two winners of a window, a little of the gradient goes elsewhere.
    assert (gradients[0] - gradients[1]).norm() < 0.03 * gradients[1].norm()
    for (name, found), wanted in zip(net.named_buffers(), exact.buffers(), strict=True):
        torch.testing.assert_close(found.double(), wanted.double(), rtol=1e-4, atol=1e-5, msg=name)


def test_parameters_and_modules_are_the_same_objects():
    net = VggLike()
    before = [dict(net.named_parameters()), {name: m for name, m in net.named_modules() if type(m) is not nn.ReLU}]
    fuse_norms(net)
    fuse_first(net)
    fuse_first(net)
    for found, expected in zip([dict(net.named_parameters()), dict(net.named_modules())], before, strict=True):
        assert all(found[name] is value for name, value in expected.items() if not isinstance(value, nn.MaxPool2d))
        assert expected.keys() <= found.keys()
    assert copy.deepcopy(net).early[0][0].norm is not net.early[0][0].norm


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers(nn.Conv2d(2, 4, 3)),
        lambda: layers(nn.Conv2d(1, 1, 3)),
        lambda: layers(nn.Conv2d(1, 4, 3, stride=2)),
        lambda: layers(nn.Conv2d(1, 4, 3, dilation=2)),
        lambda: layers(nn.Conv2d(1, 4, 3, padding=1, padding_mode="reflect")),
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)),
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.ReLU()),
        lambda: nn.ModuleList([nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()]),
        lambda: (lambda one: nn.ModuleList([one, nn.Sequential(one[0][0], nn.Sigmoid())]))(layers(nn.Conv2d(1, 4, 3))),
    ],
    ids=[
        "channels",
        "one map",
        "stride",
        "dilation",
        "reflect",
        "no ReLU",
        "ReLU first",
        "no Sequential",
        "two places",
    ],
)
def test_other_layers_are_left(make):
    assert not any(isinstance(module, FirstConv2d | FirstNorm) for module in fused(make()).modules())


def test_training_is_what_the_plain_layers_do():
    x, labels = torch.randn(40, 10, 18, generator=torch.Generator().manual_seed(0)), torch.arange(40) % 2
    x[:, 3:6] += labels[:, None, None] * 1.5
    torch.manual_seed(0)
    net = VggLike(bands=18, dropout=0.0)
    exact = copy.deepcopy(net).double()
    ours = Alone(Member(net, x, labels, torch.arange(30), torch.arange(30, 40), 0), TrainSettings(), "cpu")
    optimiser = torch.optim.Adam(exact.parameters(), TrainSettings().lr)
    assert isinstance(ours.net.early[0][0], FirstConv2d)
    for count in range(4):
        ours.step(torch.arange(30)[None], [count])
        optimiser.zero_grad()
        nn.functional.cross_entropy(exact.train()(x[:30].double()), labels[:30]).backward()
        optimiser.step()
    expected = exact.eval()(x.double()).float()
    torch.testing.assert_close(ours.logits(0, torch.arange(40)), expected, rtol=0, atol=0.02)
