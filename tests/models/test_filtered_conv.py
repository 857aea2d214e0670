import pytest
import torch
from torch import nn

from benchmark.models.filtered_conv import FilteredConv2d, filter_convolutions


def test_only_what_gains_is_replaced_and_the_function_stays():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 64, 3, padding=1),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.Sequential(nn.Conv2d(64, 128, 3), nn.ReLU()),
        nn.Conv2d(128, 72, 3, padding=1),
        nn.Conv2d(72, 128, 3, stride=2),
        nn.Conv2d(128, 128, (3, 1)),
    ).eval()
    x = torch.randn(2, 2, 23, 17)
    with torch.inference_mode():
        expected = net(x)
        filter_convolutions(net)
        kinds = [type(layer) for layer in (net[0], net[1], net[2][0], net[3], net[4], net[5])]
        plain, own = nn.Conv2d, FilteredConv2d
        assert kinds == [plain, own, own, plain, plain, plain]
        assert (net(x) - expected).abs().max() < 1e-5 * expected.abs().max()
        # Maps of another size.
        half = torch.randn(1, 2, 12, 13)
        assert torch.isfinite(net(half)).all()


@pytest.mark.parametrize("columns", [3, 4, 5, 9])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_maps_of_any_width(columns, layout):
    torch.manual_seed(0)
    plain = nn.Conv2d(64, 64, 3, bias=False).to(memory_format=layout)
    own = FilteredConv2d.of(plain)
    x = torch.randn(2, 64, 7, columns).contiguous(memory_format=layout)
    with torch.inference_mode():
        expected = plain(x)
        assert (own(x) - expected).abs().max() < 2e-5 * expected.abs().max()


def test_many_threads_and_other_precisions_take_the_plain_way():
    torch.manual_seed(0)
    plain = nn.Conv2d(64, 128, 3).eval().to(memory_format=torch.channels_last)
    own = FilteredConv2d.of(plain)
    x = torch.randn(1, 64, 9, 9)
    with torch.inference_mode():
        assert not torch.equal(own(x), plain(x))
        threads = torch.get_num_threads()
        torch.set_num_threads(4)
        try:
            assert torch.equal(own(x), plain(x))
        finally:
            torch.set_num_threads(threads)
        assert torch.equal(own.double()(x.double()), plain.double()(x.double()))


def test_compiling_leaves_kernels_as_they_are():
    torch.manual_seed(0)
    net = nn.Sequential(FilteredConv2d.of(nn.Conv2d(64, 64, 3)), nn.ReLU())
    x = torch.randn(1, 64, 9, 9)
    with torch.inference_mode():
        assert torch.equal(torch.compile(net, backend="eager")(x), net(x))
