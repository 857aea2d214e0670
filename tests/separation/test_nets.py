"""Networks have the sizes that their papers or repositories count."""

import pytest
import torch

from benchmark.separation.nets.deep_clustering import DeepClustering, MaskInference
from benchmark.separation.nets.deepconvsep import DeepConvSep
from benchmark.separation.nets.dense_unet import DenseUNet
from benchmark.separation.nets.dilated_cnn import DilatedCnn, TwoWayLstm
from benchmark.separation.nets.gcrn import Gcrn
from benchmark.separation.nets.open_unmix import OpenUnmix
from benchmark.separation.nets.unet import UNet
from benchmark.separation.nets.wave_unet import WaveUNet


def trained(net) -> int:
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: DeepClustering(129, 20, 2, 300), 4_749_780),
        (lambda: DeepClustering(129, 40, 2, 600), 18_355_560),
        (lambda: DeepClustering(129, 40, 4, 600), 35_654_760),
        (lambda: MaskInference(129, 2, 4, 600), 29_767_458),
        (lambda: DilatedCnn(), 1_650_836),
        (lambda: TwoWayLstm(), 17_114_580),
        # The published counts leave out the biases of the outputs.
        (lambda: DeepConvSep(4), 578_578 + 4),
        (lambda: DeepConvSep(3), 475_378 + 3),
        (lambda: UNet(), 9_823_313),
        (lambda: WaveUNet(output="direct", context=False), 10_263_028),
        (lambda: WaveUNet(context=False), 10_263_002),
        (lambda: WaveUNet(), 10_263_002),
        (lambda: WaveUNet(channels=2), 10_263_390),
        (lambda: WaveUNet(channels=2, upsampling="learned"), 10_265_550),
        (lambda: WaveUNet(channels=2, sources=4), 10_263_498),
        (lambda: WaveUNet(width=34), 20_594_652),
        (lambda: Gcrn(), 9_771_340),
        (lambda: Gcrn(groups=1), 18_159_948),
        (lambda: Gcrn(groups=16), 2_431_308),
        (lambda: OpenUnmix(), 8_893_348),
        (lambda: OpenUnmix(hidden=1024), 28_257_188),
        (lambda: OpenUnmix(513, 513, 1, 256), 1_583_622),
    ],
)
def test_published_numbers_of_parameters(make, count):
    with torch.device("meta"):
        assert trained(make()) == count


def test_the_dense_u_net_is_within_a_per_cent_of_its_count():
    with torch.device("meta"):
        for channels, count in ((32, 961_700), (48, 2_160_628), (64, 3_838_276)):
            assert trained(DenseUNet(attention=False, channels=channels)) == pytest.approx(count, rel=0.01)


def test_wave_u_net_takes_the_papers_context():
    with torch.device("meta"):
        assert WaveUNet().lengths(16384) == (147_443, 16_389)
        assert WaveUNet(context=False).lengths(16384) == (16_384, 16_384)


@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize("wanted", [1, 100, 501])
def test_wave_u_net_gives_the_lengths_that_it_promises(context, wanted):
    net = WaveUNet(levels=3, width=2, context=context)
    taken, given = net.lengths(wanted)
    assert given >= wanted
    assert net(torch.randn(1, 1, taken)).shape == (1, 2, 1, given)


def test_a_difference_leaves_nothing_of_the_mixture():
    net = WaveUNet(levels=3, width=2, context=False)
    mixture = torch.randn(2, 1, 64)
    torch.testing.assert_close(net(mixture).sum(1), mixture)


def test_gcrn_hears_no_future():
    net = Gcrn(2, width=2).eval()
    spectra = torch.randn(1, 2, 9, 161)
    later = spectra.clone()
    later[:, :, 6:] += 1
    before, after = net(spectra)[..., :6, :], net(later)[..., :6, :]
    torch.testing.assert_close(before, after)


def test_vectors_of_bins_are_of_unit_length():
    features = torch.randn(2, 7, 33)
    for net in (DeepClustering(33, 5, 1, 8), TwoWayLstm(33, 5, 1, 8), DilatedCnn(4, 5)):
        vectors = net(features)
        assert vectors.shape == (2, 7, 33, 5)
        torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(2, 7, 33))
