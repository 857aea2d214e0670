import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.aenet import SAMPLE_RATE, HtkFilterBank, build, slopes
from benchmark.errors import UserError
from benchmark.models.aenet import AENet
from tests.embeddings.contract import check_contract
from tests.parity.checkpoints import noisy_waveform
from tests.parity.seeded import seeded_array

LAYERS = ("conv1a", "conv1b", "conv2a", "conv2b", "fc5", "fc6", "prob")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The authors' files with seeded weights, the dense layers narrow."""
    folder = tmp_path_factory.mktemp("aenet")
    with torch.device("meta"):
        net = AENet(classes=3, hidden=16)
    arrays = []
    for name in LAYERS:
        shape = tuple(getattr(net, name).weight.shape)
        array = seeded_array(name, shape, 1.4)
        arrays += [array if len(shape) == 4 else array.T, seeded_array(f"{name}/b", shape[:1])]
    (folder / "model.pkl").write_bytes(pickle.dumps({"param_values": arrays}, protocol=2))
    np.save(folder / "gmean.npy", np.full(150, 8.0))
    np.save(folder / "gstd.npy", np.full(150, 3.0))
    return folder


def aenet(folder: Path):
    return build(EmbeddingConfig(name="a", family="aenet"), folder / "model.pkl", "cpu")


def test_keeps_the_contract_and_gives_unit_vectors(folder):
    embedding = aenet(folder)
    check_contract(embedding, seconds=3.2)
    frames, times = embedding.embed([noisy_waveform(4 * SAMPLE_RATE, SAMPLE_RATE)])[0]
    assert np.allclose(np.linalg.norm(frames, axis=1), 1.0, atol=1e-5)
    assert times.tolist() == pytest.approx([1.0075, 2.0075])


def test_a_short_clip_is_doubled_until_it_fills_a_patch(folder):
    embedding = aenet(folder)
    patch = embedding.patches(noisy_waveform(SAMPLE_RATE, SAMPLE_RATE)).take(0, 1)[0]
    assert torch.equal(patch[98:196], patch[:98])


def test_filter_bank_has_static_values_and_slopes():
    x = torch.from_numpy(noisy_waveform(SAMPLE_RATE, SAMPLE_RATE))
    bank = HtkFilterBank()(x)
    assert bank.shape == (98, 150)
    # The energy of a frame is the log of its sum of squares in 16-bit amplitudes.
    assert bank[0, 49].item() == pytest.approx((x[:400] * 32768).square().sum().log().item(), abs=1e-4)
    assert torch.allclose(bank[:, 50:100], slopes(bank[:, :50]))


def test_slopes_of_a_line_are_its_slope():
    line = torch.arange(10.0)[:, None] * 0.5
    assert torch.allclose(slopes(line)[2:-2], torch.full((6, 1), 0.5))


class Harmful:
    def __reduce__(self):
        return print, ("this must not run",)


def test_a_pickle_that_would_run_code_is_refused(folder, tmp_path, capsys):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"param_values": [Harmful()]}, protocol=2))
    with pytest.raises(UserError, match="is not an array"):
        aenet(tmp_path)
    assert capsys.readouterr().out == ""


def test_missing_statistics_are_named(folder, tmp_path):
    (tmp_path / "model.pkl").symlink_to(folder / "model.pkl")
    with pytest.raises(UserError, match="mean"):
        aenet(tmp_path)
