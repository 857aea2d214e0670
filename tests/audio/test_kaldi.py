import numpy as np
import pytest
import torch
import torchaudio

from benchmark.audio.kaldi import FLOOR, KaldiFbank
from tests.parity.checkpoints import noisy_waveform
from tests.parity.seeded import seeded_waveform

RATE = 16_000


@pytest.mark.parametrize("samples", [400, 16_001])
@pytest.mark.parametrize(
    ("window", "bands", "f_max"), [("povey", 128, None), ("hanning", 128, None), ("povey", 40, 7600)]
)
def test_agrees_with_torchaudio(samples, window, bands, f_max):
    x = torch.from_numpy(noisy_waveform(samples, RATE))[None]
    expected = torchaudio.compliance.kaldi.fbank(
        x * 2.0**15, num_mel_bins=bands, window_type=window, high_freq=f_max or 0.0, sample_frequency=RATE
    )
    ours = KaldiFbank(RATE, bands, window, f_max=f_max, scale=2.0**15)(x)[0]
    assert ours.shape == expected.shape
    assert (ours - expected).abs().max() < 2e-3


def test_gives_the_published_figures_of_beats():
    fbank = KaldiFbank(scale=2.0**15)(torch.from_numpy(seeded_waveform(2 * RATE, RATE))[None])[0]
    assert fbank.shape == (198, 128)
    figures = [fbank.mean(), fbank.std(), fbank.min(), fbank.max(), fbank[0, 0], fbank[100, 0], fbank[100, 10]]
    expected = [9.36430, 8.23122, -15.9424, 24.2191, 14.35890, 14.58975, 20.99343]
    assert np.allclose(figures, expected, atol=1e-3)


def test_gives_the_published_figures_of_ast():
    fbank = KaldiFbank(window="hanning")(torch.from_numpy(seeded_waveform(2 * RATE, RATE))[None])[0]
    figures = [fbank.mean(), fbank.std(), fbank[0, 0], fbank[100, 10], fbank[100, 40]]
    assert np.allclose(figures, [-10.02026, 6.00744, -6.43975, 0.17394, -13.52403], atol=1e-3)


def test_silence_is_the_floor():
    assert (KaldiFbank()(torch.zeros(2, 1_000)) == np.log(np.float32(FLOOR))).all()


def test_the_rows_of_a_batch_do_not_meet():
    x = torch.from_numpy(noisy_waveform(2_000, RATE)).view(2, 1_000)
    fbank = KaldiFbank()
    assert torch.allclose(fbank(x)[1], fbank(x[1:])[0])


def test_less_than_a_frame_is_refused():
    with pytest.raises(ValueError, match="399 samples"):
        KaldiFbank()(torch.zeros(1, 399))
