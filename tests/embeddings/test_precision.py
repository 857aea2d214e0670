import pytest
import torch
from torch import nn

from benchmark.embeddings import precision
from benchmark.embeddings.precision import InPrecision, convert, is_imitated


def made():
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 4 * 3, 5)
    return nn.Sequential(*layers).eval().requires_grad_(False)


def capable(monkeypatch, **found):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}, True),
        ({"architecture": "x86_64", "avx512_bf16": True, "amx_bf16": False}, False),
        ({"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": True}, False),
        ({"architecture": "aarch64"}, False),
        ({}, False),
    ],
)
def test_imitated_only_where_there_are_no_units(monkeypatch, found, expected):
    capable(monkeypatch, **found)
    assert is_imitated("bfloat16", "cpu") is expected
    for dtype, device in (("float32", "cpu"), ("float16", "cpu"), ("bfloat16", "cuda")):
        assert not is_imitated(dtype, device)


def test_older_versions_of_pytorch_do_not_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not is_imitated("bfloat16", "cpu")


def test_the_imitation_is_what_bfloat16_gives(monkeypatch):
    """PyTorch's own bfloat16 on a processor sums in float32 and rounds each layer's result, too."""
    x = torch.randn(3, 1, 10, 8, generator=torch.Generator().manual_seed(1))
    exact = made()(x)
    capable(monkeypatch, architecture="x86_64", avx512_bf16=True, amx_bf16=False)
    native = InPrecision(made(), "bfloat16")
    assert native.net[0].weight.dtype == torch.bfloat16
    capable(monkeypatch, architecture="x86_64", avx512_bf16=False, amx_bf16=False)
    imitated = InPrecision(made(), "bfloat16")
    assert imitated.net[0].weight.dtype == torch.float32
    with torch.inference_mode():
        own, theirs = imitated(x), native(x)
    assert torch.equal(own, own.bfloat16().float())
    # Sums in another order may tip a value to the next that bfloat16 has.
    assert (own - theirs).abs().max() <= 2**-7 * theirs.abs().max()
    assert 2**-12 < (own - exact).abs().max() / exact.abs().max() < 2**-5


def test_inputs_are_rounded_too(monkeypatch):
    monkeypatch.setattr(precision, "is_imitated", lambda dtype, device: dtype == "bfloat16")
    heard = []
    net = made()
    net[0].register_forward_pre_hook(lambda _layer, given: heard.append(given[0]))
    InPrecision(net, "bfloat16")(torch.full((1, 1, 10, 8), 1 / 3))
    assert heard[0].dtype == torch.float32
    assert torch.equal(heard[0], heard[0].bfloat16().float())


def test_what_is_converted_otherwise_has_the_type_itself():
    assert convert(made(), "float16", "cpu")[0].weight.dtype == torch.float16
    assert convert(made(), "float32", "cpu")[0].weight.dtype == torch.float32
