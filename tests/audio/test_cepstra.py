import librosa
import numpy as np
import pytest
import torch

from benchmark.audio.cepstra import LogMel, Mfcc, Standardizer, peak_normalized
from tests.parity.checkpoints import noisy_waveform
from tests.parity.seeded import seeded_waveform


def test_log_mel_has_the_known_figures():
    # librosa 0.11 on signal S1 of two seconds at 22,050 Hz, over its peak.
    features = LogMel()(torch.from_numpy(seeded_waveform(44_100, 22_050)))
    assert features.shape == (87, 128)
    assert features.mean().item() == pytest.approx(-56.61081, abs=2e-3)
    assert features.std(correction=0).item() == pytest.approx(16.13406, abs=2e-3)
    assert features[10, [10, 100, 0]].tolist() == pytest.approx([-54.91105, -53.56701, -80.0], abs=2e-2)


@pytest.mark.parametrize(
    ("mfcc", "rate", "keywords"),
    [
        (Mfcc(21, f_max=4000.0), 22_050, {"n_mfcc": 21, "fmax": 4000.0}),
        (Mfcc(22, hop=1378), 22_050, {"n_mfcc": 22, "hop_length": 1378}),
        (
            Mfcc(20, 16_000, 512, 160, bands=32, window=400),
            16_000,
            {"n_mfcc": 20, "n_fft": 512, "hop_length": 160, "n_mels": 32, "win_length": 400},
        ),
    ],
    ids=["ina", "swishnet of Kehling and Cano", "swishnet"],
)
def test_cepstra_agree_with_librosa(mfcc, rate, keywords):
    x = noisy_waveform(2 * rate, rate)
    expected = librosa.feature.mfcc(y=x / np.abs(x).max(), sr=rate, **keywords).T
    assert np.abs(mfcc(torch.from_numpy(x)).numpy() - expected).max() < 1e-3


@pytest.mark.parametrize("front_end", [LogMel(), Mfcc(21)])
def test_gain_changes_nothing(front_end):
    x = torch.from_numpy(noisy_waveform(22_050, 22_050))
    assert torch.allclose(front_end(x), front_end(0.01 * x), atol=1e-3)


def test_silence_stays_silent():
    assert (peak_normalized(torch.zeros(5)) == 0).all()
    assert torch.isfinite(Mfcc(21)(torch.zeros(3000))).all()


def test_standardised_training_frames_lie_in_their_range():
    features = torch.randn(500, 6) * torch.arange(6) + 3.0
    out = Standardizer.fit(features)(features)
    assert torch.allclose(out.mean(dim=0), torch.zeros(6), atol=1e-5)
    assert torch.allclose(out.abs().amax(dim=0), torch.tensor([0.0, 1, 1, 1, 1, 1]))
