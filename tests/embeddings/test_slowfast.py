from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.slowfast import SAMPLE_RATE, MuleMel, build, slice_centres, standardized
from benchmark.errors import UserError
from benchmark.models.slowfast_nfnet import HaresSlowfast, MuleSlowfast
from tests.parity.checkpoints import noisy_waveform, relative_error
from tests.parity.make_mule import SAMPLES, seeded_mule
from tests.parity.seeded import seeded_waveform

REFERENCE = np.load(Path(__file__).parents[1] / "parity" / "data" / "mule.npz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("slowfast")
    with torch.device("meta"):
        shapes = {f"backbone.{key}": tuple(value.shape) for key, value in MuleSlowfast().state_dict().items()}
    state = {key: torch.from_numpy(seeded_mule(key, shape)) for key, shape in shapes.items()}
    save_file(state | {"frontend.mel_fb": torch.zeros(96, 1025)}, folder / "mule.safetensors")
    torch.manual_seed(0)
    save_file(HaresSlowfast(final_conv=False).state_dict(), folder / "hares.safetensors")
    return folder


@pytest.fixture(scope="module")
def mule(folder):
    config = EmbeddingConfig(name="m", family="slowfast", model="mule", args={"amplitude": 1.0})
    return build(config, folder / "mule.safetensors", "cpu")


@pytest.mark.parametrize("samples", SAMPLES)
def test_agrees_with_the_public_conversion(mule, samples):
    frames, times = mule.embed([noisy_waveform(samples, SAMPLE_RATE)])[0]
    assert relative_error(frames, REFERENCE[f"samples_{samples}"]) < 1e-4
    assert times[0] == (1.5 if samples < 50_000 else 2.0)


def test_mel_has_the_known_figures():
    mel = MuleMel(1.0)(torch.from_numpy(seeded_waveform(96_000, SAMPLE_RATE)))
    assert mel.shape == (96, 601)
    assert (mel.mean().item(), mel.std().item(), mel.max().item()) == pytest.approx(
        (1.77153, 2.10040, 7.2179), abs=1e-4
    )
    assert mel[[0, 10, 40], 100].tolist() == pytest.approx([0.53316, 6.69621, 5.82263], abs=1e-4)
    assert slice_centres(601).tolist() == [200, 400, 451]
    first = standardized(mel[:, 50:350])[0, :3]
    assert first.tolist() == pytest.approx([-0.5805, -0.0901, -0.2441], abs=1e-3)


@pytest.mark.parametrize("frames", [300, 301, 349, 401, 650])
def test_slices_fit_and_go_on(frames):
    centres = slice_centres(frames)
    assert (np.diff(centres) > 0).all()
    assert centres.min() >= 150 and centres.max() <= frames - 150


def test_hares_without_its_last_convolutions_is_narrower(folder):
    config = EmbeddingConfig(name="h", family="slowfast", model="hares", args={"final_conv": False})
    hares = build(config, folder / "hares.safetensors", "cpu")
    assert hares.dim == 1728
    frames, times = hares.embed([noisy_waveform(20_000, SAMPLE_RATE)])[0]
    assert frames.shape == (1, 1728) and times[0] == pytest.approx(1.495, abs=0.02)


def test_the_other_networks_file_is_refused(folder):
    config = EmbeddingConfig(name="m", family="slowfast", model="mule")
    with pytest.raises(UserError, match=r"fusions\.0\.conv1\.weight"):
        build(config, folder / "hares.safetensors", "cpu")
