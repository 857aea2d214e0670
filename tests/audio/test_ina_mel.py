import numpy as np
import pytest
import torch

from benchmark.audio import ina_mel
from tests.parity.seeded import seeded_waveform


def test_filters_have_the_published_bins_and_sum():
    bank = ina_mel.filters()
    expected = [4, 5, 6, 6, 6, 8, 9, 10, 11, 11, 13, 15, 16, 17, 19, 22, 24, 26, 29, 32, 35, 39, 43, 48]
    assert (bank > 0).sum(dim=1).tolist() == expected
    assert bank.sum().item() == pytest.approx(0.755413, abs=1e-6)


def test_spectrum_has_the_published_values():
    log_mel = ina_mel.log_mel(torch.from_numpy(seeded_waveform(32_000, 16_000)))
    assert log_mel.shape == (198, 24)
    np.testing.assert_allclose(log_mel[0, :5], [-3.235915, -3.421104, -3.466748, -2.682824, -7.778707], atol=1e-5)
    # The two high bands are rounding noise.
    np.testing.assert_allclose(
        log_mel[100, [0, 10, 20, 23]], [-3.238231, -10.999934, -28.926548, -33.705334], atol=1e-2
    )
    assert log_mel.mean().item() == pytest.approx(-14.627605, abs=1e-3)
    assert log_mel.std(correction=0).item() == pytest.approx(9.743417, abs=1e-3)


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (399, 1), (400, 1), (559, 1), (560, 2), (720, 3)])
def test_frames_are_not_padded_but_there_is_one(samples, frames):
    assert ina_mel.log_mel(torch.ones(samples)).shape == (frames, 24)


def test_spectrum_does_not_depend_on_how_many_frames_there_are():
    x = torch.from_numpy(seeded_waveform(400_000, 16_000))
    part = ina_mel.log_mel(x[160 * 1000 : 160 * 1099 + 400])
    torch.testing.assert_close(ina_mel.log_mel(x)[1000:1100], part, rtol=1e-5, atol=1e-4)


def test_digital_silence_has_no_floor():
    assert torch.isneginf(ina_mel.log_mel(torch.zeros(1600))).all()
