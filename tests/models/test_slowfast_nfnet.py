from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.models.nfnet import WSConv2d, same_pad
from benchmark.models.slowfast_nfnet import HaresSlowfast, MuleSlowfast, load_haiku
from tests.parity.checkpoints import relative_error
from tests.parity.make_slowfast_nfnet import FRAMES, seeded_params, seeded_spectrogram

REFERENCE = np.load(Path(__file__).parents[1] / "parity" / "data" / "slowfast_nfnet.npz")


def haiku_params() -> dict[str, np.ndarray]:
    shapes = [tuple(int(n) for n in shape.split(",") if n) for shape in REFERENCE["shapes"].tolist()]
    return seeded_params(zip(REFERENCE["names"].tolist(), shapes, strict=True))


@pytest.fixture(scope="module")
def hares() -> HaresSlowfast:
    net = HaresSlowfast().eval()
    load_haiku(net, haiku_params())
    return net


@pytest.mark.parametrize("frames", FRAMES)
def test_agrees_with_the_authors_network(hares, frames):
    with torch.inference_mode():
        embedding = hares(torch.from_numpy(seeded_spectrogram(frames))).numpy()
    assert relative_error(embedding, REFERENCE[f"frames_{frames}"]) < 1e-4


def test_folding_changes_nothing_and_training_undoes_it(hares):
    x = torch.from_numpy(seeded_spectrogram(9))
    with torch.inference_mode():
        plain = hares(x)
        hares.fold()
        folded = hares(x)
    assert torch.allclose(plain, folded, atol=1e-6)
    hares.train()
    assert all(module._folded is None for module in hares.modules() if isinstance(module, WSConv2d))
    hares.eval()


def test_parameters_are_as_many_as_published():
    with torch.device("meta"):
        nets = HaresSlowfast(), HaresSlowfast(final_conv=False), MuleSlowfast()
    assert [sum(p.numel() for p in net.parameters()) for net in nets] == [62_970_654, 58_171_422, 62_345_742]
    assert len(nets[2].state_dict()) == 480
    assert [net.dim for net in nets] == [3456, 1728, 1728]


def test_betas_are_the_published_ones():
    with torch.device("meta"):
        hares, mule = HaresSlowfast(), MuleSlowfast()
    betas = [[round(block.beta, 6) for block in stage.blocks] for stage in hares.slow_stages]
    assert betas == [
        [1.0],
        [0.980581, 0.980581],
        [0.96225, 0.980581, 0.96225, 0.944911, 0.928477, 0.912871],
        [0.898027, 0.980581, 0.96225],
    ]
    betas = [[round(block.beta, 6) for block in stage.blocks] for stage in mule.fast_stages]
    assert betas == [
        [1.0],
        [0.980581, 0.96225],
        [0.980581, 0.96225, 0.944911, 0.928477, 0.912871, 0.898027],
        [0.980581, 0.96225, 0.944911],
    ]


def test_missing_and_unexpected_parameters_are_named():
    with torch.device("meta"):
        net = HaresSlowfast()
    with pytest.raises(ValueError, match=r"fast_stem\.convs\.0\.gain.*unexpected keys: \['elsewhere/w'\]"):
        load_haiku(net, {"elsewhere/w": np.zeros((2, 2), np.float32)})


def test_same_padding_puts_the_odd_rest_behind():
    assert same_pad(torch.ones(1, 1, 5, 6), (3, 4), (2, 1)).shape == (1, 1, 7, 9)
    assert same_pad(torch.ones(1, 1, 1, 6), (1, 2), (1, 1))[0, 0, 0].tolist() == [1.0] * 6 + [0.0]


def test_stochastic_depth_drops_whole_residuals_in_training_only():
    from benchmark.models.nfnet import BlockPlan, NFBlock

    block = NFBlock(32, 32, BlockPlan(((3, 1), (1, 3)), 16, "tanh"), (1, 1), 1.0, False, drop=0.5)
    torch.nn.init.constant_(block.skip_gain, 1.0)
    x = torch.randn(64, 32, 4, 4)
    kept = (block.train()(x) != x).flatten(1).any(dim=1)
    assert 10 < kept.sum() < 54
    assert (block.eval()(x) != x).flatten(1).any(dim=1).all()
