"""BSS Eval v3 against mir_eval, its golden values, and what mir_eval cannot score."""

import warnings

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from benchmark.metrics.separation.bss_eval import bss_eval
from tests.metrics.separation.signals import golden


def reference_scores(references, estimates, family="sources", permute=True):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if family == "sources":
            return mir_eval.separation.bss_eval_sources(references, estimates, compute_permutation=permute)
        return mir_eval.separation.bss_eval_images(references, estimates, compute_permutation=permute)


def agree(references, estimates, family="sources", tolerance_db=1e-3, permute=True):
    ours = bss_eval(references, estimates, family, permute=permute)
    theirs = reference_scores(references, estimates, family, permute)
    mine = (ours.sdr, ours.sir, ours.sar) if family == "sources" else (ours.sdr, ours.isr, ours.sir, ours.sar)
    for a, b in zip(mine, theirs[:-1], strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance_db, rtol=0)
    if permute:
        np.testing.assert_array_equal(ours.permutation, theirs[-1])


def test_golden_values():
    references, estimates = golden()
    assert references[0, :3] == pytest.approx([0.02774016, -0.64851739, -0.38269697], abs=1e-8)
    scores = bss_eval(references, estimates)
    assert scores.sdr == pytest.approx([19.4190, 12.6193], abs=6e-5)
    assert scores.sir == pytest.approx([19.5680, 12.6574], abs=6e-5)
    assert scores.sar == pytest.approx([34.1870, 33.4411], abs=6e-5)
    images = bss_eval(references, estimates, "images")
    assert images.sdr == pytest.approx([16.4245, 10.9306], abs=6e-5)
    assert images.isr == pytest.approx([18.7140, 13.4021], abs=6e-5)
    mixture = np.stack([references.sum(0)] * 2)
    assert bss_eval(references, mixture, permute=False).sdr == pytest.approx([1.0701, 1.1780], abs=6e-5)


def test_swapped_estimates_are_found():
    references, estimates = golden()
    scores = bss_eval(references, estimates[::-1])
    assert scores.permutation.tolist() == [1, 0]
    assert scores.sdr == pytest.approx([19.4190, 12.6193], abs=6e-5)


def mixed(rng, sources, samples, leak=0.2, noise=0.1, channels=None):
    shape = (sources, samples) if channels is None else (sources, samples, channels)
    references = rng.normal(size=shape)
    gains = np.eye(sources) + leak * rng.normal(size=(sources, sources))
    estimates = np.tensordot(gains, references, 1) + noise * rng.normal(size=shape)
    return references, estimates


@pytest.mark.parametrize("sources", [1, 2, 3])
def test_random_signals_score_as_in_mir_eval(sources):
    rng = np.random.default_rng(sources)
    references, estimates = mixed(rng, sources, 9000)
    agree(references, estimates[rng.permutation(sources)], tolerance_db=1e-9)


def test_stereo_images_score_as_in_mir_eval():
    agree(*mixed(np.random.default_rng(0), 2, 6000, channels=2), family="images", tolerance_db=1e-9)


@pytest.mark.parametrize("kind", ["near-silent", "delayed", "coloured", "very coloured", "clean", "short"])
def test_difficult_signals_score_as_in_mir_eval(kind):
    rng = np.random.default_rng(7)
    references, estimates = mixed(rng, 2, 2048 if kind == "short" else 12000)
    if kind == "near-silent":
        references[0] *= 1e-7
        estimates[0] *= 1e-7
    elif kind == "delayed":
        estimates = np.roll(estimates, 200, axis=1)
    elif kind in ("coloured", "very coloured"):
        poles = [1.0, -1.8, 0.9] if kind == "coloured" else [1.0, -1.99, 0.9905]
        references = lfilter([1.0], poles, references)
        estimates = references + 0.1 * references[::-1] + 1e-3 * rng.normal(size=references.shape) * references.std()
    elif kind == "clean":
        estimates = references + 1e-6 * rng.normal(size=references.shape)
    agree(references, estimates)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-6, 1), st.floats(-6, 1))
def test_any_mixture_scores_as_in_mir_eval(seed, leak, noise):
    agree(*mixed(np.random.default_rng(seed), 2, 3000, 10**leak, 10**noise), permute=False)


def test_a_silent_reference_or_estimate_has_a_reason_and_spoils_no_other():
    rng = np.random.default_rng(1)
    references, estimates = mixed(rng, 3, 6000)
    alone = bss_eval(references[[0, 2]], estimates[[0, 2]])
    references[1] = 0
    scores = bss_eval(references, estimates, permute=False)
    assert np.isnan(scores.sdr).tolist() == [False, True, False]
    assert scores.reasons == {1: "the reference is silent"}
    assert scores.sdr[[0, 2]] == pytest.approx(alone.sdr, abs=1e-9)
    references, estimates = mixed(rng, 2, 6000)
    estimates[1] = 0
    scores = bss_eval(references, estimates)
    assert scores.reasons == {1: "the estimate is silent"}
    assert np.isfinite(scores.sdr[0])
    nothing = bss_eval(np.zeros((2, 4000)), estimates[:, :4000])
    assert np.isnan(nothing.sdr).all()


def test_perfect_images_are_infinitely_good():
    references, _ = mixed(np.random.default_rng(2), 2, 4000)
    scores = bss_eval(references, references.copy(), "images")
    assert np.isinf(scores.sdr).all()
    assert (scores.sar > 200).all()


def test_late_estimates_are_forgiven_and_early_ones_are_not():
    references, _ = mixed(np.random.default_rng(3), 2, 8000)
    assert bss_eval(references[:, :-20], np.roll(references, 10, 1)[:, :-20], permute=False).sdr.min() > 15
    assert bss_eval(references, np.roll(references, -1, 1), permute=False).sdr.max() < 5


@pytest.mark.parametrize(
    ("references", "estimates", "complaint"),
    [
        (np.ones((2, 5000)), np.ones((2, 4999)), "differ in shape"),
        (np.ones((2, 2000)), np.ones((2, 2000)), "too short"),
        (np.full((1, 5000), np.nan), np.ones((1, 5000)), "not finite"),
        (np.stack([np.arange(5000.0)] * 2), np.ones((2, 5000)), "same signal"),
        (np.ones(5000), np.ones(5000), "sources, samples"),
        (np.ones((1, 5000, 2)), np.ones((1, 5000, 2)), "use family='images'"),
    ],
)
def test_what_cannot_be_scored_is_refused(references, estimates, complaint):
    with pytest.raises(ValueError, match=complaint):
        bss_eval(references, estimates)


def test_filters_and_memory_do_not_depend_on_where_blocks_end():
    rng = np.random.default_rng(5)
    references, estimates = mixed(rng, 2, 8192 * 3 + 77)
    agree(references, estimates, tolerance_db=1e-8, permute=False)
