import librosa
import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.audio import frontends
from tests.parity.seeded import seeded_waveform


@pytest.mark.parametrize(("periodic", "reference"), [(False, np.hanning(401)), (True, np.hanning(402)[:-1])])
def test_hann_matches_numpy(periodic, reference):
    np.testing.assert_allclose(frontends.hann(401, periodic, torch.float64), reference, atol=1e-12)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mel_scale_matches_librosa_and_inverts(scale):
    hz = torch.linspace(0.0, 11025.0, 500, dtype=torch.float64)
    mel = frontends.hz_to_mel(hz, scale)
    np.testing.assert_allclose(mel, librosa.hz_to_mel(hz.numpy(), htk=scale == "htk"), atol=1e-9)
    np.testing.assert_allclose(frontends.mel_to_hz(mel, scale), hz, atol=1e-8)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("norm", ["slaney", None])
@pytest.mark.parametrize(
    ("n_mels", "n_fft", "rate", "f_min", "f_max"),
    [(40, 400, 16000, 0.0, 8000.0), (128, 2048, 22050, 0.0, None), (64, 1024, 32000, 50.0, 14000.0)],
)
def test_filterbank_matches_librosa_and_torchaudio(scale, norm, n_mels, n_fft, rate, f_min, f_max):
    ours = frontends.mel_filterbank(n_mels, n_fft, rate, f_min, f_max, scale, norm, dtype=torch.float64)
    reference = librosa.filters.mel(
        sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=f_min, fmax=f_max, htk=scale == "htk", norm=norm, dtype=np.float64
    )
    np.testing.assert_allclose(ours, reference, atol=1e-12)
    second = torchaudio.functional.melscale_fbanks(
        n_fft // 2 + 1, f_min, f_max or rate / 2, n_mels, rate, norm=norm, mel_scale=scale
    )
    np.testing.assert_allclose(ours, second.T, atol=5e-4 * ours.max())


def test_triangles_in_mel_match_kaldi():
    ours = frontends.mel_filterbank(128, 512, 16000, 20.0, 8000.0, scale="htk", norm=None, shape="mel")
    kaldi, _ = torchaudio.compliance.kaldi.get_mel_banks(128, 512, 16000.0, 20.0, 8000.0, 0.0, 0.0, 1.0)
    np.testing.assert_allclose(ours[:, :-1], kaldi, atol=1e-4)
    assert not ours[:, -1].any()


@pytest.mark.parametrize("argument", [{"scale": "mel"}, {"norm": "l1"}, {"shape": "log"}])
def test_filterbank_refuses_unknown_choices(argument):
    with pytest.raises(ValueError, match=next(iter(argument))):
        frontends.mel_filterbank(10, 512, 16000, **argument)


def test_dct_matches_librosa_and_is_orthonormal():
    log_mel = np.random.default_rng(0).standard_normal((40, 7))
    ours = frontends.dct_matrix(20, 40, torch.float64).numpy() @ log_mel
    np.testing.assert_allclose(ours, librosa.feature.mfcc(S=log_mel, n_mfcc=20), atol=1e-12)
    full = frontends.dct_matrix(40, 40, torch.float64)
    np.testing.assert_allclose(full @ full.T, np.eye(40), atol=1e-12)


@given(st.integers(1, 50), st.integers(1, 20), st.integers(1, 20))
@settings(deadline=None)
def test_frames_are_slices(samples, size, hop):
    x = torch.arange(samples)
    if samples < size:
        with pytest.raises(ValueError, match="fewer"):
            frontends.frame(x, size, hop)
        return
    frames = frontends.frame(x, size, hop)
    expected = [x[start : start + size] for start in range(0, samples - size + 1, hop)]
    assert torch.equal(frames, torch.stack(expected))


@given(st.integers(1, 12), st.integers(0, 40), st.integers(0, 40), st.sampled_from(["constant", "reflect"]))
@settings(deadline=None)
def test_pad_matches_numpy_for_any_length(samples, before, after, mode):
    x = np.arange(samples, dtype=np.float32) + 1
    np.testing.assert_array_equal(
        frontends.pad(torch.from_numpy(x), before, after, mode), np.pad(x, (before, after), mode=mode)
    )


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
@pytest.mark.parametrize("width", [512, 400])
def test_stft_matches_librosa(pad_mode, width):
    x = seeded_waveform(5003, 16000)
    window = frontends.hann(width)
    ours = frontends.stft(torch.from_numpy(x), 512, 160, window, pad_mode=pad_mode)
    reference = librosa.stft(x, n_fft=512, hop_length=160, win_length=width, pad_mode=pad_mode)
    np.testing.assert_allclose(ours, reference.T, atol=2e-4)
    np.testing.assert_allclose(
        frontends.stft_power(torch.from_numpy(x), 512, 160, window, pad_mode=pad_mode),
        np.abs(reference.T) ** 2,
        atol=2e-2,
    )
    np.testing.assert_allclose(
        frontends.stft_magnitude(torch.from_numpy(x), 512, 160, window, pad_mode=pad_mode),
        np.abs(reference.T),
        atol=2e-4,
    )


def test_stft_aligned_to_the_start_puts_zeros_behind():
    x = torch.from_numpy(seeded_waveform(4000, 16000))
    window = frontends.hann(400)
    ours = frontends.stft(x, 512, 160, window, center=False, align="start")
    assert ours.shape == (23, 257)
    np.testing.assert_allclose(ours[3], np.fft.rfft((x[480:880] * window).numpy(), 512), atol=2e-4)


def test_window_longer_than_the_fft_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        frontends.stft(torch.zeros(2000), 512, 160, frontends.hann(600))


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_mel_spectrogram_matches_librosa_over_several_chunks(power):
    x = seeded_waveform(22050 * 20, 22050)
    mel = frontends.MelSpectrogram(22050, 2048, 512, 128, power=power)(torch.from_numpy(x))
    reference = librosa.feature.melspectrogram(y=x, sr=22050, n_fft=2048, hop_length=512, n_mels=128, power=power)
    assert mel.shape == (862, 128)
    np.testing.assert_allclose(mel, reference.T, rtol=1e-3, atol=1e-4)


def test_mel_spectrogram_of_a_batch_is_that_of_its_rows():
    mel = frontends.MelSpectrogram(16000, 512, 160, 40, window=frontends.hann(400))
    x = torch.from_numpy(np.stack([seeded_waveform(9000, 16000), seeded_waveform(9000, 22050)]))
    torch.testing.assert_close(mel(x), torch.stack([mel(row) for row in x]), rtol=1e-5, atol=1e-7)


def test_decibels_match_librosa_and_the_published_value():
    x = seeded_waveform(44100, 22050)
    x /= np.abs(x).max()
    power = frontends.MelSpectrogram(22050, 2048, 512, 128)(torch.from_numpy(x))
    decibels = frontends.power_to_db(power, ref="max")
    np.testing.assert_allclose(decibels, librosa.power_to_db(power.numpy(), ref=np.max), atol=1e-3)
    assert decibels.mean().item() == pytest.approx(-56.61081, abs=1e-3)
    assert decibels[10, 10].item() == pytest.approx(-54.91105, abs=1e-3)
    np.testing.assert_allclose(
        frontends.power_to_db(power, range_db=None), librosa.power_to_db(power.numpy(), top_db=None), atol=1e-3
    )


def test_decibels_of_silence_are_finite():
    assert torch.equal(frontends.power_to_db(torch.zeros(3, 4), ref="max"), torch.zeros(3, 4))
    assert torch.equal(frontends.power_to_db(torch.zeros(3, 4)), torch.full((3, 4), -100.0))


def test_deltas_match_librosa():
    x = np.random.default_rng(0).standard_normal((13, 30))
    np.testing.assert_allclose(frontends.deltas(torch.from_numpy(x.T)), librosa.feature.delta(x).T, atol=1e-12)


@pytest.mark.parametrize("frames", [1, 2, 3, 8])
def test_deltas_of_short_input(frames):
    ramp = 2.0 * torch.arange(frames, dtype=torch.float64)[:, None]
    expected = 0.0 if frames < 3 else 2.0
    assert torch.allclose(frontends.deltas(ramp), torch.full_like(ramp, expected))
