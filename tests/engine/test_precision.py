import pytest
import torch

from benchmark.engine import precision


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    before = torch.get_float32_matmul_precision()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    yield
    torch.set_float32_matmul_precision(before)


def test_products_are_float32_by_default():
    assert precision.matmul_error() < 1e-6


def test_products_in_bfloat16_are_noticed(monkeypatch):
    matmul = torch.Tensor.__matmul__

    def coarse(a, b):
        return matmul(a, b) if a.dtype == torch.float64 else matmul(a.bfloat16(), b.bfloat16()).float()

    monkeypatch.setattr(torch.Tensor, "__matmul__", coarse)
    assert precision.matmul_error() > 1e-3


@pytest.mark.parametrize(
    ("vendor", "error", "fast"),
    [("AuthenticAMD", 1e-7, True), ("AuthenticAMD", 3e-3, False), ("GenuineIntel", 1e-7, False)],
)
def test_is_chosen_where_it_is_faster_and_exact(monkeypatch, vendor, error, fast):
    monkeypatch.setattr(precision, "_vendor", lambda: vendor)
    monkeypatch.setattr(precision, "matmul_error", lambda: error)
    before = torch.get_float32_matmul_precision()
    assert precision.use_fast_float32_matmul() is fast
    assert torch.get_float32_matmul_precision() == ("medium" if fast else before)


def test_stays_away_from_gpus(monkeypatch):
    monkeypatch.setattr(precision, "_vendor", lambda: "AuthenticAMD")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    before = torch.get_float32_matmul_precision()
    assert not precision.use_fast_float32_matmul()
    assert torch.get_float32_matmul_precision() == before
