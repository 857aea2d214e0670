import pytest
import torch

from benchmark.kernels.rounding import round_to_bfloat16


@pytest.mark.parametrize(
    "order",
    ["rows", "channels_last", "strided"],
)
def test_rounds_in_place_as_the_type_does(order):
    torch.manual_seed(0)
    values = torch.randn(3, 5, 7, 6) * 10.0 ** torch.randint(-30, 30, (3, 5, 7, 6))
    values.view(-1)[:6] = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, torch.nan, 3.4e38])
    # Ties, which go to the even one.
    values.view(-1)[6:8] = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8])
    expected = values.bfloat16().float()
    if order == "channels_last":
        values = values.contiguous(memory_format=torch.channels_last)
    elif order == "strided":
        values = torch.stack([values, values], dim=-1)[..., 0]
    assert round_to_bfloat16(values) is values
    torch.testing.assert_close(values, expected, rtol=0, atol=0, equal_nan=True)
