"""Every separator learns one mixture by heart, keeps lengths, and separates long signals chunk by chunk."""

import pytest
import torch

from benchmark.config.schema_separator import SeparatorConfig
from benchmark.errors import UserError
from benchmark.metrics.separation.permutations import best_permutation, pairwise, reorder
from benchmark.metrics.separation.ratios import si_sdr
from benchmark.separation.families import FAMILIES, build_separator
from benchmark.separation.inference import separate_in_chunks
from benchmark.separation.oracles import ORACLES, separate_oracle
from benchmark.separation.stft import WINDOWS, Stft

RATE = 8000
STFT = {"size": 256, "hop": 64, "window": "sqrt_hann"}
# family -> arguments, spectra, channels, steps, learning rate
SMALL = {
    "complex_mask": ({"channels": 3, "dropout": 0.0}, {"size": 128, "hop": 64}, 1, 80, 2e-2),
    "conv_tasnet": (
        {
            "enc_num_feats": 32,
            "msk_num_feats": 16,
            "msk_num_hidden_feats": 32,
            "msk_num_layers": 3,
            "msk_num_stacks": 1,
        },
        None,
        1,
        100,
        1e-2,
    ),
    "deep_clustering": ({"dim": 10, "units": 24}, STFT, 1, 60, 3e-3),
    "deepconvsep": (
        {"filters": 24, "bottleneck": 64},
        {"size": 512, "hop": 128, "window": "blackman_harris"},
        1,
        300,
        3e-3,
    ),
    "dilated_cnn": ({"channels": 6, "dim": 6}, STFT, 1, 60, 1e-2),
    "gcrn": ({"width": 2}, {"size": 320, "hop": 160, "window": "hamming"}, 1, 60, 1e-2),
    "hdemucs": ({"channels": 8, "depth": 4, "nfft": 256}, None, 2, 130, 5e-3),
    "mask_inference": ({"units": 24, "layers": 1}, STFT, 1, 80, 1e-2),
    "open_unmix": ({"hidden": 32, "layers": 1}, {"size": 512, "hop": 128}, 2, 100, 1e-2),
    "two_way_lstm": ({"units": 24, "dim": 6, "layers": 1}, STFT, 1, 60, 1e-2),
    "unet": ({"width": 4, "depth": 4, "dropout": 0.0}, {"size": 256, "hop": 128}, 1, 120, 1e-2),
    "wave_unet": ({"levels": 4, "width": 8}, None, 1, 130, 3e-3),
}
FIXED = {"complex_mask", "deepconvsep", "gcrn", "hdemucs", "open_unmix", "unet", "wave_unet"}


def two_tones(channels=1) -> torch.Tensor:
    """Stems (2, C, 8000): harmonic tones that come and go."""
    t = torch.arange(RATE) / RATE

    def tone(pitch_hz, rhythm_hz):
        return sum(torch.sin(2 * torch.pi * pitch_hz * k * t) / k for k in range(1, 6)) * ((t * rhythm_hz).floor() % 2)

    return torch.stack([0.2 * tone(220, 4), 0.1 * tone(1150, 3)])[:, None].repeat(1, channels, 1)


def make(family: str):
    args, stft, channels, _, _ = SMALL[family]
    config = SeparatorConfig(name="x", family=family, args=args, sample_rate=RATE, channels=channels, stft=stft)
    torch.manual_seed(0)
    return build_separator(config, ["vocals", "accompaniment"], family in FIXED)


def improvement(estimates: torch.Tensor, stems: torch.Tensor) -> float:
    """Mean improvement of SI-SDR in dB over the mixture, of the first channel, in the best order."""
    found, true = estimates[None, :, 0], stems[None, :, 0]
    found = reorder(found, best_permutation(pairwise(si_sdr, found, true)))
    return float((si_sdr(found, true) - si_sdr(true.sum(1, keepdim=True).expand_as(true), true)).mean())


def test_every_family_is_tested():
    assert set(SMALL) == set(FAMILIES)


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(SMALL))
def test_it_learns_one_mixture_by_heart(family):
    *_, channels, steps, lr = SMALL[family]
    stems = two_tones(channels)
    mixture = stems.sum(0)
    separator = make(family)
    if hasattr(separator, "fit_statistics"):
        separator.fit_statistics([mixture])
    optimiser = torch.optim.Adam(separator.parameters(), lr)
    for _ in range(steps):
        loss = separator.loss(mixture[None], stems[None])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(separator.parameters(), 5.0)
        optimiser.step()
    separator.eval()
    with torch.inference_mode():
        estimates = separator.separate(mixture[None])[0]
    assert estimates.shape == stems.shape
    assert improvement(estimates, stems) > 15


@pytest.mark.parametrize("family", sorted(SMALL))
@pytest.mark.parametrize("samples", [1, 700, 5001])
def test_any_length_comes_back_as_it_went_in(family, samples):
    separator = make(family).eval()
    mixture = torch.randn(2, separator.channels, samples, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        estimates = separator.separate(mixture)
    assert estimates.shape == (2, 2, separator.channels, samples)
    assert bool(torch.isfinite(estimates).all())


@pytest.mark.parametrize("family", sorted(SMALL))
def test_silence_gives_no_nan(family):
    separator = make(family).eval()
    with torch.inference_mode():
        estimates = separator.separate(torch.zeros(1, separator.channels, 3000))
    assert bool(torch.isfinite(estimates).all())


@pytest.mark.parametrize("window", sorted(WINDOWS))
def test_a_mask_of_ones_changes_nothing(window):
    stft = Stft(256, 64, window)
    signal = torch.randn(2, 3, 1234, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(stft.inverse(stft(signal), 1234), signal, atol=2e-6, rtol=0)


def test_clustering_can_be_asked_for_more_sources_than_it_was_trained_with():
    separator = make("deep_clustering").eval()
    with torch.inference_mode():
        assert separator.separate(torch.randn(1, 1, 3000), sources=3).shape == (1, 3, 1, 3000)


def test_chunks_meet_without_a_seam():
    """A separator that knows no position: whole and in chunks it must give the same but for rounding."""
    smooth = torch.nn.Conv1d(1, 2, 65, padding=32, bias=False)

    def separate(mixture):
        return smooth(mixture)[:, :, None].detach()

    mixture = torch.randn(1, 10_000, generator=torch.Generator().manual_seed(0))
    whole = separate(mixture[None])[0]
    chunked = separate_in_chunks(separate, mixture, 2, 3000, 800)
    error = 10 * torch.log10((whole - chunked)[..., 100:-100].square().mean() / whole.square().mean())
    # Convolutions pad chunks with zeros, at the edges, where the fade has hardly begun.
    assert float(error) < -40


def test_chunks_of_sources_without_an_order_are_put_in_order():
    calls = []

    def separate(mixture):
        calls.append(1)
        parts = torch.stack([0.75 * mixture, 0.25 * mixture.flip(1)], dim=1)
        parts[:, 1] = mixture.abs() * 0.25
        return parts.flip(1) if len(calls) % 2 == 0 else parts

    mixture = torch.randn(1, 9000, generator=torch.Generator().manual_seed(1))
    found = separate_in_chunks(separate, mixture, 2, 3000, 500, fixed_order=False)
    torch.testing.assert_close(found[0], 0.75 * mixture)


def test_overlaps_of_more_than_half_a_chunk_are_refused():
    with pytest.raises(ValueError, match="half a chunk"):
        separate_in_chunks(lambda x: x[:, None], torch.zeros(1, 100), 1, 10, 6)


@pytest.mark.parametrize("kind", ORACLES)
def test_oracles_are_above_the_mixture(kind):
    generator = torch.Generator().manual_seed(0)
    stems = two_tones(2) + 0.01 * torch.randn(2, 2, RATE, generator=generator)
    estimates = separate_oracle(stems.sum(0), stems, kind, Stft(512, 128))
    assert estimates.shape == stems.shape
    gain = improvement(estimates, stems)
    if kind == "mixture":
        assert gain == pytest.approx(0, abs=1e-3)
    elif kind == "cirm":
        assert gain > 60
    else:
        assert gain > 10


def test_ratio_masks_are_not_always_above_binary_ones():
    """Of noises, whose bins are hardly ever one source's alone, the plain ratio mask is the worse one; of tones the better."""
    generator = torch.Generator().manual_seed(0)
    noises, stft = torch.randn(2, 1, 2 * RATE, generator=generator), Stft(512, 128)

    def gain(stems, kind, alpha=1.0):
        return improvement(separate_oracle(stems.sum(0), stems, kind, stft, alpha), stems)

    assert gain(noises, "irm") < gain(noises, "ibm_argmax") - 0.5
    assert gain(two_tones(), "irm") > gain(two_tones(), "ibm_argmax")
    for stems in (noises, two_tones()):
        assert gain(stems, "psm") > max(gain(stems, "irm"), gain(stems, "ibm_argmax"))


def test_an_unknown_oracle_is_named():
    with pytest.raises(ValueError, match="oracle 'best' is unknown"):
        separate_oracle(torch.zeros(1, 100), torch.zeros(2, 1, 100), "best", Stft(64, 16))


def test_a_wrong_family_or_argument_is_one_line():
    with pytest.raises(UserError, match="family: 'magic' is unknown"):
        build_separator(SeparatorConfig(name="x", family="magic", sample_rate=RATE), ["a", "b"], True)
    with pytest.raises(UserError, match="stft: missing"):
        build_separator(SeparatorConfig(name="x", family="unet", sample_rate=RATE), ["a", "b"], True)
    with pytest.raises(UserError, match="unexpected keyword"):
        config = SeparatorConfig(name="x", family="unet", sample_rate=RATE, stft=STFT, args={"wide": 3})
        build_separator(config, ["a", "b"], True)
