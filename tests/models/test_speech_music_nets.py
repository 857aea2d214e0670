import pytest
import torch

from benchmark.models.dnn import Dnn
from benchmark.models.freezing import FREEZING_POINTS
from benchmark.models.ina_kc import InaKc
from benchmark.models.swishnet import SwishNet
from benchmark.models.vgg_like import VggLike

NETS = {
    "swishnet": (SwishNet, (20, 50), 40),
    "vgg-like": (VggLike, (10, 128), 64),
    "ina-kc": (InaKc, (68, 21), 512),
    "ina-kc on mel": (lambda: InaKc(bands=128), (68, 128), 512),
    "dnn": (Dnn, (10, 128), 128),
}


def parameters(net) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("net", "count"),
    [
        (SwishNet(), 5_483),
        (SwishNet(width=2), 18_267),
        (SwishNet(22), 5_623),
        (VggLike(), 94_178),
        (Dnn(), 164_226),
    ],
    ids=["slim", "wide", "22 inputs", "vgg-like", "dnn"],
)
def test_parameters_are_as_many_as_published(net, count):
    assert parameters(net) == count


def test_slim_blocks_have_the_published_sizes():
    net = SwishNet()
    blocks = (net.block1, net.block2, net.block3)
    counts = [[parameters(block.upper), parameters(block.lower)] for block in blocks]
    assert counts == [[976, 456], [392, 232], [200, 120]]
    assert [parameters(b) for b in (net.block4, net.block5, net.block6, net.block7, net.block8)] == [400] * 4 + [800]
    assert (parameters(net.hidden), parameters(net.output)) == (656, 51)


def test_ina_has_as_many_numbers_as_the_released_network():
    assert sum(v.numel() for k, v in InaKc().state_dict().items() if "num_batches" not in k) == 1_449_026


@pytest.mark.parametrize("name", NETS)
def test_read_out_and_logits_have_their_shapes(name):
    make, shape, dim = NETS[name]
    net = make().eval()
    x = torch.randn(3, *shape)
    assert net.dim == dim
    assert net.embed(x).shape == (3, dim)
    assert net(x).shape == (3, net.output.bias.numel())


@pytest.mark.parametrize(("dilations", "context"), [("unit", 38), ("a_trous", 108)])
def test_swishnet_hears_the_past_only_and_no_more_than_its_context(dilations, context):
    net = SwishNet(dilations=dilations).eval()
    x = torch.randn(1, 20, 300)
    changed = x.clone()
    changed[..., 100] += 1.0
    touched = (net.maps(x) - net.maps(changed)).abs().sum(dim=(0, 1)).nonzero().flatten()
    assert (touched.min().item(), touched.max().item()) == (100, 99 + context)


def test_ina_maps_have_the_published_shapes():
    assert InaKc().eval().stem(torch.randn(2, 68, 21)).shape == (2, 256)
    assert InaKc(bands=128).eval().stem(torch.randn(2, 68, 128)).shape == (2, 6_912)


FIXED_AT_IN = {
    "swishnet": {"block1", "block2", "block3", "block4"},
    "vgg-like": {"early"},
    "ina-kc": {"conv1", "conv2", "conv3", "conv4"},
    "ina-kc on mel": {"conv1", "conv2", "conv3", "conv4"},
    "dnn": {"hidden"},
}


@pytest.mark.parametrize("name", NETS)
def test_freezing_points_fix_what_they_name(name):
    net = NETS[name][0]()
    net.freeze("IN")
    fixed = {key.split(".")[0] for key, p in net.named_parameters() if not p.requires_grad}
    assert fixed == FIXED_AT_IN[name]
    net.freeze("FZ")
    assert not any(p.requires_grad for p in net.parameters())
    net.freeze("FT")
    assert all(p.requires_grad for p in net.parameters())


@pytest.mark.parametrize("name", ["vgg-like", "ina-kc"])
def test_statistics_of_fixed_layers_stay(name):
    make, shape, _ = NETS[name]
    net = make()
    net.freeze("IN")
    net.train()
    before = {key: value.clone() for key, value in net.state_dict().items() if "running" in key}
    net(torch.randn(4, *shape))
    moved = {
        key.split(".")[0] for key, value in net.state_dict().items() if key in before and (value != before[key]).any()
    }
    assert moved and not moved & FIXED_AT_IN[name]


def test_other_freezing_points_are_refused():
    with pytest.raises(ValueError, match=", ".join(FREEZING_POINTS)):
        Dnn().freeze("frozen")


@pytest.mark.parametrize("name", NETS)
def test_a_fixed_stem_gives_the_same_in_training_and_alone(name):
    """Training at the intermediate point runs the stem once and goes on from what it gave."""
    make, shape, _ = NETS[name]
    torch.manual_seed(0)
    net = make()
    net.freeze("IN")
    x = torch.randn(4, *shape)
    with torch.no_grad():
        once = net.train().stem(x)
        assert torch.equal(once, net.eval().stem(x))
        assert torch.equal(net.rest(once), net.embed(x))
