import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention, sigmoid

from benchmark.kernels import attention
from benchmark.kernels.attention import MOST_TOKENS, SIZE, Gate, gated_attention, pays


def expected(qkv, shift, gate, bias):
    batch, tokens, _ = qkv.shape
    query, key, value = qkv.unflatten(2, (3, len(shift), SIZE)).permute(2, 0, 3, 1, 4)
    query = query + shift[:, None]
    keep, reset = sigmoid(query @ gate.weight.T + gate.bias).chunk(2, dim=-1)
    strength = keep * (reset * gate.scale.view(-1, 1, 1) - 1) + 2
    distance = torch.arange(tokens)[None] - torch.arange(tokens)[:, None]
    heard = scaled_dot_product_attention(query, key, value, attn_mask=strength * bias[:, distance + tokens - 1])
    return heard.transpose(1, 2).reshape(batch, tokens, -1)


def inputs(batch, tokens, heads=3, dtype=torch.float32):
    torch.manual_seed(tokens)
    gate = Gate(torch.randn(2, SIZE), torch.randn(2), torch.randn(heads))
    # A bias as it comes from a table, transposed.
    return (
        torch.randn(batch, tokens, 3 * heads * SIZE),
        torch.randn(heads, SIZE),
        gate,
        torch.randn(2 * tokens - 1, heads).T,
    )


@pytest.mark.parametrize("tokens", [1, 8, 11, 12, 13, 16, 31, 32, 33, 120, 500])
def test_is_attention_by_its_definition(tokens):
    given = inputs(2, tokens)
    with torch.inference_mode():
        found, wanted = gated_attention(*given), expected(*given)
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() < 5e-6 * wanted.abs().max()


def test_scores_far_apart_neither_overflow_nor_vanish():
    qkv, shift, gate, bias = inputs(1, 40)
    with torch.inference_mode():
        found = gated_attention(50 * qkv, shift, gate, 100 * bias)
        wanted = expected(
            50 * qkv.double(),
            shift.double(),
            Gate(gate.weight.double(), gate.bias.double(), gate.scale.double()),
            100 * bias.double(),
        )
    assert torch.isfinite(found).all()
    assert (found - wanted).abs().max() < 1e-3 * wanted.abs().max()


def test_what_is_no_number_is_passed_on_and_stays_in_its_sequence():
    qkv, shift, gate, bias = inputs(3, 20)
    alone = gated_attention(qkv[2:], shift, gate, bias)
    qkv[1, 7] = torch.nan
    found = gated_attention(qkv, shift, gate, bias)
    assert torch.isnan(found[1]).all()
    assert torch.equal(found[2:], alone)
    assert torch.isfinite(found[0]).all()


@pytest.mark.parametrize("change", ["nothing", "gradients", "threads", "float64", "heads", "tokens", "registers"])
def test_where_it_pays(change, monkeypatch):
    monkeypatch.setattr(attention, "has_wide_registers", lambda: change != "registers")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2 if change == "threads" else 1)
    tokens = MOST_TOKENS + (change == "tokens")
    x = torch.zeros(1, tokens, 4 * SIZE, dtype=torch.float64 if change == "float64" else torch.float32)
    with torch.set_grad_enabled(change == "gradients"):
        assert pays(x, 8 if change == "heads" else 4) is (change == "nothing")
