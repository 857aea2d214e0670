import pytest
import torch
from torch.nn.functional import gelu, layer_norm

from benchmark.kernels.between import add_gelu, add_normalised


def test_gelu_everywhere():
    x = torch.cat([torch.linspace(-12, 12, 16 * 997), torch.tensor([0.0, -0.0, -1e4, 1e4] * 4)]).view(-1, 16)
    bias = torch.linspace(-1, 1, 16)
    expected = gelu((x + bias).double())
    found = add_gelu(x.clone(), bias)
    assert (found - expected).abs().max() < 2e-7 * 1e4
    small = expected.abs() < 20
    assert (found - expected)[small].abs().max() < 1e-6
    assert torch.isnan(add_gelu(torch.full((1, 16), torch.nan), bias)).all()


@pytest.mark.parametrize(("rows", "size"), [(1, 16), (5, 768), (3, 1040)])
def test_sums_are_normalised(rows, size):
    torch.manual_seed(0)
    x, skipped, vectors = torch.randn(rows, size), torch.randn(rows, size), torch.randn(3, size)
    summed = x.double() + vectors[0] + 2.2 * skipped.double()
    expected = layer_norm(summed, (size,), vectors[1].double(), vectors[2].double(), 1e-5)
    found = add_normalised(x, skipped, 2.2, vectors, 1e-5)
    assert found is x
    assert (found - expected).abs().max() < 2e-6 * expected.abs().max()


def test_constant_rows_are_bounded_by_epsilon():
    vectors = torch.stack([torch.zeros(16), torch.ones(16), torch.zeros(16)])
    found = add_normalised(torch.full((2, 16), 3.0), torch.zeros(2, 16), 1.0, vectors, 1e-5)
    assert (found == 0).all()


@pytest.mark.parametrize("x", [torch.zeros(2, 24), torch.zeros(16, 32).T])
def test_rows_that_are_not_whole_vectors_are_refused(x):
    with pytest.raises(ValueError, match="whole vectors of 16"):
        add_gelu(x, torch.zeros(x.shape[1]))
    with pytest.raises(ValueError, match="whole vectors of 16"):
        add_normalised(torch.zeros(2, 32), x, 1.0, torch.zeros(3, 32), 1e-5)
