from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.aclnet import SAMPLE_RATE, WINDOW, build
from benchmark.errors import UserError
from benchmark.models.aclnet import AclNet
from tests.embeddings.contract import check_contract
from tests.parity.checkpoints import relative_error
from tests.parity.make_aclnet import SAMPLES
from tests.parity.seeded import seeded_array, seeded_waveform

REFERENCE = np.load(Path(__file__).parents[1] / "parity" / "data" / "aclnet.npz")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("aclnet") / "last_weight.pt"
    state = {
        key: value if key.endswith("tracked") else torch.from_numpy(seeded_array(key, tuple(value.shape)))
        for key, value in AclNet().state_dict().items()
    }
    torch.save(state, path)
    return path


def aclnet(weights: Path):
    return build(EmbeddingConfig(name="a", family="aclnet"), weights, "cpu")


@pytest.mark.parametrize("samples", SAMPLES)
def test_agrees_with_the_port(weights, samples):
    frames, times = aclnet(weights).embed([seeded_waveform(samples, SAMPLE_RATE)])[0]
    assert relative_error(frames, REFERENCE[f"samples_{samples}"]) < 1e-4
    assert np.allclose(times, (np.arange(len(times)) + 0.5) * WINDOW / SAMPLE_RATE)


@pytest.mark.parametrize("samples", SAMPLES)
def test_scores_agree_with_the_port(weights, samples):
    net = AclNet().eval()
    net.load_state_dict(torch.load(weights, weights_only=True))
    windows = np.pad(seeded_waveform(samples, SAMPLE_RATE), (0, -samples % WINDOW)).reshape(-1, WINDOW)
    with torch.inference_mode():
        scores = net(torch.from_numpy(windows)).numpy()
    assert relative_error(scores, REFERENCE[f"scores_{samples}"]) < 1e-4


def test_keeps_the_contract(weights):
    check_contract(aclnet(weights))


def test_a_missing_key_is_named(weights, tmp_path):
    state = torch.load(weights, weights_only=True)
    del state["HLF.cbr3.batch.running_var"]
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"HLF\.cbr3\.batch\.running_var"):
        aclnet(tmp_path / "a.pt")


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "page.pt").write_text("<html>")
    with pytest.raises(UserError, match=r"page\.pt"):
        aclnet(tmp_path / "page.pt")
