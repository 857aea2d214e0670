import torch
from torch import nn

from benchmark.models.row_conv import RowConv2d, filter_rows


def test_only_what_gains_is_replaced_and_the_function_stays():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 64, 3, padding=1),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.Sequential(nn.Conv2d(64, 128, 3), nn.ReLU()),
        nn.Conv2d(128, 128, 3, stride=2),
        nn.Conv2d(128, 128, (3, 1)),
    ).eval()
    x = torch.randn(2, 2, 23, 17)
    with torch.inference_mode():
        expected = net(x)
        filter_rows(net)
        kinds = [type(layer) for layer in (net[0], net[1], net[2][0], net[3], net[4])]
        assert kinds == [nn.Conv2d, nn.Conv2d, RowConv2d, nn.Conv2d, nn.Conv2d]
        assert (net(x) - expected).abs().max() < 1e-5 * expected.abs().max()
        # Maps of another size.
        half = torch.randn(1, 2, 12, 13)
        assert torch.isfinite(net(half)).all()


def test_many_threads_and_other_precisions_take_the_plain_way():
    torch.manual_seed(0)
    plain = nn.Conv2d(64, 128, 3).eval()
    own = RowConv2d.of(plain)
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
