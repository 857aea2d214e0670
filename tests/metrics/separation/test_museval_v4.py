"""BSS Eval v4: museval 0.4.1's golden values, and its identities."""

import numpy as np
import pytest
import torch

from benchmark.metrics.separation.bss_eval import bss_eval
from benchmark.metrics.separation.museval_v4 import bss_eval_framewise
from benchmark.metrics.separation.ratios import snr
from tests.metrics.separation.signals import golden


def test_golden_values_of_museval():
    scores = bss_eval_framewise(*golden(), window=1000)
    assert scores.sdr[0] == pytest.approx([16.4484, 16.3863, 16.4487, 16.4146], abs=6e-5)
    assert scores.sir[0] == pytest.approx([19.1358, 19.2265, 19.4937, 19.3193], abs=6e-5)
    assert scores.isr[0] == pytest.approx([18.7810, 18.6629, 18.7266, 18.6005], abs=6e-5)
    assert scores.sar[0] == pytest.approx([33.4682, 33.7171, 33.8296, 33.4179], abs=6e-5)
    assert scores.sdr[1] == pytest.approx([10.9508, 10.9493, 10.9856, 10.8359], abs=6e-5)
    assert scores.medians()["sdr"] == pytest.approx([16.4315, 10.9501], abs=1e-4)


def test_the_sdr_of_a_window_is_its_signal_to_noise_ratio():
    rng = np.random.default_rng(0)
    references = rng.normal(size=(2, 9000, 2))
    estimates = references + 0.3 * references[::-1] + 0.1 * rng.normal(size=references.shape)
    scores = bss_eval_framewise(references, estimates, 3000, 2000)
    assert scores.sdr.shape == (2, 4)
    piece = slice(2000, 5000)
    flat = [torch.from_numpy(x[:, piece].reshape(2, -1)) for x in (estimates, references)]
    assert scores.sdr[:, 1] == pytest.approx(snr(*flat).numpy(), abs=1e-9)


def test_one_window_over_all_is_the_score_of_images():
    references, estimates = golden()
    whole = bss_eval(references, estimates, "images", permute=False)
    one = bss_eval_framewise(references, estimates, 10**6)
    for name in ("sdr", "isr", "sir", "sar"):
        assert getattr(one, name)[:, 0] == pytest.approx(getattr(whole, name), abs=1e-9)


def test_silent_windows_are_counted_and_no_window_is_made_up():
    references, estimates = (x.copy() for x in golden())
    references[1, 1000:2000] = 0
    scores = bss_eval_framewise(references[:, :3999], estimates[:, :3999], 1000)
    assert scores.silent.tolist() == [False, True, False]
    assert np.isnan(scores.sdr[:, 1]).all()
    assert np.isfinite(scores.medians()["sir"]).all()


def test_channels_of_opposite_phase_are_silence_for_museval_alone():
    rng = np.random.default_rng(1)
    wave = rng.normal(size=(2, 6000))
    references = np.stack([wave, -wave], axis=-1)
    estimates = references + 0.1 * rng.normal(size=references.shape)
    assert not bss_eval_framewise(references, estimates, 3000).silent.any()
    assert bss_eval_framewise(references, estimates, 3000, museval_compat=True).silent.all()


def test_a_source_that_is_never_heard_is_a_reason_and_no_error():
    references, estimates = (x.copy() for x in golden())
    references[0] = 0
    scores = bss_eval_framewise(references, estimates, 1000)
    assert scores.reasons == {0: "the reference is silent"}
    assert np.isnan(scores.medians()["sdr"]).all()
