import copy

import pytest
import torch

from benchmark.models import beats
from benchmark.models.beats import BEATs
from benchmark.models.beats_fast import prepare


@pytest.fixture(scope="module")
def nets():
    torch.manual_seed(0)
    plain = BEATs(layers=2, dim=128, hidden=192, heads=2, patch_dim=64, groups=4).eval().requires_grad_(False)
    for parameter in plain.parameters():
        # Biases and norms that start as zeros and ones would hide where they belong.
        parameter += 0.1 * torch.randn_like(parameter)
    return plain, prepare(copy.deepcopy(plain))


@pytest.mark.parametrize("frames", [16, 95, 500])
@pytest.mark.parametrize("fast", [True, False])
def test_is_the_same_function(nets, frames, fast, monkeypatch):
    asked = []

    def pays(x, heads):
        asked.append((x.shape[2], heads))
        return fast

    monkeypatch.setattr(beats, "pays", pays)
    x = torch.randn(2, frames, 128)
    plain, prepared = nets
    with torch.inference_mode():
        expected, found = plain(x), prepared(x)
        halves = prepared.rest(prepared.stem(x))
    assert (found - expected).abs().max() < 2e-6 * expected.abs().max()
    assert torch.equal(halves, found)
    assert set(asked) == {(128, 2)}


def test_layers_that_are_not_whole_vectors_stay():
    net = prepare(BEATs(layers=1, dim=128, hidden=200, heads=2, patch_dim=64, groups=4).eval().requires_grad_(False))
    with torch.inference_mode():
        assert net(torch.randn(1, 40, 128)).shape == (1, 16, 128)


def test_clips_do_not_meddle(nets):
    x = torch.randn(3, 200, 128)
    with torch.inference_mode():
        together, alone = nets[1](x), nets[1](x[1:2])
    assert (together[1:2] - alone).abs().max() < 1e-5 * alone.abs().max()


def test_compiling_leaves_kernels_as_they_are(nets, monkeypatch):
    monkeypatch.setattr(beats, "pays", lambda _x, _heads: True)
    x = torch.randn(1, 60, 128)
    with torch.inference_mode():
        assert (torch.compile(nets[1], backend="eager")(x) - nets[1](x)).abs().max() < 1e-5
