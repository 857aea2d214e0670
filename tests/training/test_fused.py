import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmark.models.dnn import Dnn
from benchmark.models.ina_kc import InaKc
from benchmark.models.vgg_like import VggLike
from benchmark.training.engines import Alone
from benchmark.training.fused import FusedNorm, fuse_norms
from benchmark.training.members import Member
from benchmark.training.settings import TrainSettings
from benchmark.training.state import StateFile
from benchmark.training.train import train

LAST = torch.channels_last


def layers(channels: int, pool: nn.Module | None = None, momentum: float | None = 0.1, seed: int = 0) -> nn.Sequential:
    """A normalisation with weights of both signs, a ReLU, and maybe a pool, one Sequential in another."""
    generator = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm2d(channels, eps=1e-3, momentum=momentum)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(channels, generator=generator))
        norm.bias.copy_(torch.randn(channels, generator=generator))
    return nn.Sequential(nn.Sequential(norm, nn.ReLU()), *([] if pool is None else [pool]))


def fused(net: nn.Module) -> nn.Module:
    net = copy.deepcopy(net)
    fuse_norms(net)
    return net


def run(net: nn.Module, x: Tensor, seed: int = 1) -> dict[str, Tensor]:
    """Outputs, gradients and buffers after two steps in training."""
    x = x.detach().clone().requires_grad_(True)
    for _ in range(2):
        net.zero_grad()
        x.grad = None
        y = net.train()(x)
        y.backward(torch.randn(y.shape, generator=torch.Generator().manual_seed(seed)).to(y.dtype))
    return {
        "y": y.detach(),
        "x": x.grad,
        **{name: p.grad for name, p in net.named_parameters()},
        **dict(net.named_buffers()),
    }


def assert_agree(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].shape == value.shape
        size = float(value.abs().max()) if value.numel() else 0.0
        # Gradients behind a batch of a few values are differences of larger numbers.
        torch.testing.assert_close(
            found[name].double(),
            value.double(),
            rtol=1e-5,
            atol=1e-5 * max(size, 1.0),
            msg=lambda m, n=name: f"{n}: {m}",
        )


@st.composite
def cases(draw):
    channels = draw(st.sampled_from([1, 2, 3, 8, 15, 16, 17, 33]))
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    batch = draw(st.integers(1 if height * width > 1 else 2, 4))
    pool = None
    if draw(st.booleans()):
        size = draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width)))
        pool = nn.MaxPool2d(size, ceil_mode=draw(st.booleans()))
    seed = draw(st.integers(0, 999))
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, channels, height, width, generator=generator) * 2 + 1
    kind = draw(st.sampled_from(["any", "ties", "constant", "not channels-last", "a part"]))
    if kind == "ties":
        x = x.round()
    elif kind == "constant":
        x[:, 0] = 3.0
    elif kind == "a part":
        x = torch.cat([x, x], dim=1)[:, 1 : channels + 1]
    if kind != "not channels-last":
        x = x.contiguous(memory_format=LAST)
    return layers(channels, pool, draw(st.sampled_from([0.1, 0.01, None])), seed), x


@settings(max_examples=120)
@given(cases())
def test_agrees_with_the_layers_by_themselves(case):
    net, x = case
    assert_agree(run(fused(net), x), run(net, x))


@pytest.mark.parametrize("pool", [None, nn.MaxPool2d(3), nn.MaxPool2d((12, 1)), nn.MaxPool2d(2, ceil_mode=True)])
def test_agrees_with_float64_on_large_maps(pool):
    x = (torch.randn(8, 32, 25, 14) * 3 - 20).contiguous(memory_format=LAST)
    net = layers(32, pool)
    found, expected = run(fused(net), x), run(copy.deepcopy(net).double(), x.double())
    assert_agree({name: value.double() for name, value in found.items()}, expected)


@pytest.mark.parametrize("pool", [None, nn.MaxPool2d(2)])
def test_the_fast_path_is_taken_and_gives_the_same_bits_twice(pool):
    net, x = fused(layers(17, pool)), torch.randn(3, 17, 9, 7).contiguous(memory_format=LAST)
    y = net.train()(x)
    assert "NormRelu" in y.grad_fn.name()
    assert y.is_contiguous(memory_format=LAST)
    one, other = run(copy.deepcopy(net), x), run(copy.deepcopy(net), x)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_gradients_go_where_they_are_asked_for():
    net, x = fused(layers(5, nn.MaxPool2d(2))), torch.randn(2, 5, 6, 6).contiguous(memory_format=LAST)
    net.train()(x).sum().backward()
    assert net[0][0].weight.grad is not None
    whole = run(net, x)
    net.requires_grad_(False)
    x.requires_grad_(True)
    net(x).backward(torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(x.grad, whole["x"])


@pytest.mark.parametrize("how", ["eval", "no_grad", "bfloat16", "float64"])
def test_elsewhere_the_layers_are_pytorchs(how):
    net, x = layers(6, nn.MaxPool2d(2)), torch.randn(4, 6, 8, 8).contiguous(memory_format=LAST)
    if how == "float64":
        net, x = net.double(), x.double()
    one, other = net.train(how != "eval"), fused(net)
    with torch.set_grad_enabled(how != "no_grad"), torch.autocast("cpu", torch.bfloat16, enabled=how == "bfloat16"):
        assert torch.equal(one(x), other(x))
    for (name, buffer), (_, expected) in zip(other.named_buffers(), one.named_buffers(), strict=True):
        assert torch.equal(buffer, expected), name


def test_errors_are_pytorchs():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        fused(layers(3)).train()(torch.randn(1, 3, 1, 1))
    with pytest.raises(RuntimeError, match="too small"):
        fused(layers(3, nn.MaxPool2d(3))).train()(torch.randn(2, 3, 2, 2).contiguous(memory_format=LAST))


@pytest.mark.parametrize(("make", "shape", "pools"), [(InaKc, (68, 21), 3), (VggLike, (10, 128), 2)])
def test_networks_keep_names_and_numbers(make, shape, pools):
    torch.manual_seed(0)
    plain = make(dropout=0.0)
    net = fused(plain)
    norms = [module for module in net.modules() if isinstance(module, FusedNorm)]
    assert len(norms) == 4
    assert sum(norm.pool is not None for norm in norms) == pools
    assert not any(type(module) is nn.BatchNorm2d for module in net.modules())
    state, expected = net.state_dict(), plain.state_dict()
    assert list(state) == list(expected)
    assert all(torch.equal(state[name], expected[name]) for name in state)
    fused(make()).load_state_dict(expected)
    make().load_state_dict(state)
    x = torch.randn(4, *shape)
    assert torch.equal(net.eval()(x), plain.eval()(x))
    exact = copy.deepcopy(plain).double()
    gradients = []
    for one, inputs in ((net, x), (exact, x.double())):
        one.to(memory_format=LAST).train()
        nn.functional.cross_entropy(one(inputs), torch.tensor([0, 1, 1, 0])).backward()
        # The bias in front of a normalisation has none but by rounding.
        named = [(name, parameter.grad) for name, parameter in one.named_parameters()]
        gradients.append(torch.cat([g.double().flatten() for name, g in named if not name.endswith("0.bias")]))
    # Where rounding makes another of two winners of a window, a little of the gradient goes elsewhere.
    assert (gradients[0] - gradients[1]).norm() < 0.03 * gradients[1].norm()
    for (name, found), wanted in zip(net.named_buffers(), exact.buffers(), strict=True):
        torch.testing.assert_close(found.double(), wanted.double(), rtol=1e-4, atol=1e-5, msg=name)


def test_parameters_are_the_same_objects():
    net = VggLike()
    before = dict(net.named_parameters())
    fuse_norms(net)
    fuse_norms(net)
    assert {name: id(value) for name, value in net.named_parameters()} == {n: id(v) for n, v in before.items()}


def members(make, count: int = 1, n: int = 60) -> list[Member]:
    """Members over noisy patches (n, 10, 18) of two classes."""
    x, labels = torch.randn(n, 10, 18, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 2
    x[:, 3:6] += labels[:, None, None] * 1.5
    made = []
    for number in range(count):
        torch.manual_seed(number)
        made.append(Member(make(), x, labels, torch.arange(40), torch.arange(40, n), number))
    return made


def small() -> VggLike:
    return VggLike(bands=18)


def frozen() -> VggLike:
    net = small()
    net.freeze("IN")
    return net


def test_what_is_frozen_stays():
    member = members(frozen)[0]
    before = copy.deepcopy(member.net.state_dict())
    engine = Alone(member, TrainSettings(), "cpu")
    for count in range(3):
        engine.step(torch.arange(20)[None], [count])
    moved = {name for name, value in engine.state(0).items() if not torch.equal(value, before[name])}
    assert not any(name.startswith("early") for name in moved)
    assert {"late.0.1.weight", "late.0.1.running_mean", "late.1.1.num_batches_tracked"} <= moved
    assert not member.net.early[0][1].training


def test_training_learns_and_is_what_the_plain_layers_do():
    found = train(members(small), TrainSettings(batch=20, max_epochs=12, patience=12))[0]
    assert found.valid > 0.8
    member, plain = members(small)[0], members(small)[0]
    one, other = Alone(member, TrainSettings(), "cpu"), Alone(plain, TrainSettings(), "cpu")
    other.net = other.program = members(small)[0].net
    assert any(isinstance(module, FusedNorm) for module in one.net.modules())
    torch.testing.assert_close(one.logits(0, torch.arange(20)), other.logits(0, torch.arange(20)))


def test_an_interrupted_training_comes_to_the_same_bytes(tmp_path):
    settings = TrainSettings(batch=20, max_epochs=4, patience=4)
    whole = train(members(small), settings)[0]

    class Stop(Exception):
        pass

    def stop(member, epoch, score):
        if epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        train(members(small), settings, saved=StateFile(tmp_path / "state.pt", "key", 0.0), progress=stop)
    found = train(members(small), settings, saved=StateFile(tmp_path / "state.pt", "key", 0.0))[0]
    assert found.state.keys() == whole.state.keys()
    assert all(torch.equal(found.state[name], whole.state[name]) for name in whole.state)


@pytest.mark.parametrize(
    ("make", "change", "expected"),
    [
        (small, {}, 4),
        (small, {"precision": "bfloat16"}, 0),
        (lambda: nn.Sequential(nn.Linear(18, 4), nn.BatchNorm2d(4), nn.ReLU()), {}, 0),
        (lambda: Dnn(frames=10, bands=18), {}, 0),
    ],
    ids=["images", "bfloat16", "no images", "dense"],
)
def test_only_images_in_float32_are_fused(make, change, expected):
    engine = Alone(members(make)[0], replace(TrainSettings(), **change), "cpu")
    assert sum(isinstance(module, FusedNorm) for module in engine.net.modules()) == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Sigmoid()),
        lambda: nn.Sequential(nn.BatchNorm2d(4, affine=False), nn.ReLU()),
        lambda: nn.Sequential(nn.BatchNorm1d(4), nn.ReLU()),
        lambda: nn.ModuleList([nn.BatchNorm2d(4), nn.ReLU()]),
        lambda: (lambda norm: nn.Sequential(norm, nn.ReLU(), norm))(nn.BatchNorm2d(4)),
    ],
    ids=["other function", "no weights", "one axis", "no Sequential", "in two places"],
)
def test_other_pairs_are_left(make):
    assert not any(isinstance(module, FusedNorm) for module in fused(make()).modules())


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(3, stride=2),
        nn.MaxPool2d(3, padding=1),
        nn.MaxPool2d(2, dilation=2),
        nn.MaxPool2d(2, return_indices=True),
        nn.MaxPool2d(17),
        nn.AvgPool2d(2),
    ],
    ids=str,
)
def test_other_pools_are_left(pool):
    net = fused(layers(3, pool))
    assert net[0][0].pool is None
    assert net[1] is not pool and type(net[1]) is type(pool)
