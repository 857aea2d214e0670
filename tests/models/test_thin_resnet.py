"""Thin ResNet-34 against the paper's table: shapes of every stage, number of weights, pooling by its formula."""

import pytest
import torch

from benchmark.models.thin_resnet import SelfAttentivePooling, ThinResNet34


def test_the_number_of_weights_is_the_papers():
    assert sum(parameter.numel() for parameter in ThinResNet34().parameters()) == 1_416_656


def test_every_stage_has_the_shape_of_the_papers_table():
    net = ThinResNet34().eval()
    shapes = []
    for layer in (net.conv1, net.pool, *net.stages):
        layer.register_forward_hook(lambda module, given, made: shapes.append(tuple(made.shape[1:])))
    net.attention.register_forward_hook(lambda module, given, made: shapes.append(tuple(given[0].shape[1:])))
    with torch.inference_mode():
        assert net(torch.randn(1, 350, 64)).shape == (1, 512)
    assert shapes == [
        (16, 32, 350), (16, 16, 350), (16, 16, 175), (32, 8, 88), (64, 4, 44), (128, 4, 22), (22, 128),
    ]  # fmt: skip


def test_pooling_is_the_weighted_mean_of_its_formula():
    torch.manual_seed(0)
    pooling, x = SelfAttentivePooling(6), torch.randn(2, 5, 6)
    for b in range(2):
        energies = torch.stack(
            [
                torch.tanh(pooling.hidden.weight @ x[b, t] + pooling.hidden.bias) @ pooling.context[:, 0]
                for t in range(5)
            ]
        )
        weights = energies.exp() / energies.exp().sum()
        expected = sum(weights[t] * x[b, t] for t in range(5))
        torch.testing.assert_close(pooling(x)[b], expected)


@pytest.mark.parametrize(("normalise", "change"), [("band", torch.linspace(-3, 3, 64)), ("level", torch.tensor(2.5))])
def test_what_is_taken_away_changes_nothing(normalise, change):
    torch.manual_seed(0)
    net, x = ThinResNet34(width=2, dim=8, normalise=normalise).eval(), torch.randn(2, 60, 64)
    with torch.inference_mode():
        torch.testing.assert_close(net(x + change), net(x), atol=1e-4, rtol=1e-4)
        if normalise == "level":
            assert not torch.allclose(net(x + torch.linspace(-3, 3, 64)), net(x), atol=1e-3)
