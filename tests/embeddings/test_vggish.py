from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.audioset_mel import LogMel
from benchmark.embeddings.vggish import LOG_OFFSET, SAMPLE_RATE, build
from benchmark.errors import UserError
from benchmark.models.vggish import Postprocessor, VGGish, load_pca, load_tensorflow
from tests.parity.checkpoints import (
    noisy_waveform,
    relative_error,
    vggish_arrays,
    vggish_pca_arrays,
    vggish_variables,
    write_tensor_slices,
)
from tests.parity.make_vggish import LENGTHS
from tests.parity.seeded import seeded_waveform

REFERENCE = np.load(Path(__file__).parents[1] / "parity" / "data" / "vggish.npz")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("vggish") / "vggish.pth"
    torch.save({name: torch.from_numpy(array) for name, array in vggish_arrays().items()}, path)
    return path


@pytest.fixture(scope="module")
def pca(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("vggish") / "pca.npz"
    np.savez(path, **vggish_pca_arrays())
    return str(path)


@pytest.fixture(scope="module")
def linear(weights):
    return vggish(weights)


def vggish(weights: Path, model: str = "vggish", **args):
    return build(EmbeddingConfig(name="v", family="vggish", model=model, args=args), weights, "cpu")


@pytest.mark.parametrize("clip", range(3))
def test_agrees_with_torchvggish_before_its_last_activation(linear, clip):
    frames, times = linear.embed([noisy_waveform(LENGTHS[clip], SAMPLE_RATE)])[0]
    assert relative_error(frames, REFERENCE[f"linear-{clip}"]) < 1e-4
    assert np.allclose(times, 0.96 * np.arange(len(times)) + 0.4875)


def test_agrees_with_torchvggish_with_its_last_activation(weights):
    frames = vggish(weights, final_relu=True).embed([noisy_waveform(LENGTHS[1], SAMPLE_RATE)])[0][0]
    assert relative_error(frames, REFERENCE["relu-1"]) < 1e-4


def test_the_authors_variables_fill_the_same_places():
    arrays = vggish_arrays()
    net = VGGish()
    load_tensorflow(net, vggish_variables(arrays))
    state = net.state_dict()
    assert state.keys() == arrays.keys()
    assert all(np.array_equal(state[key].numpy(), array) for key, array in arrays.items())


def test_the_authors_checkpoint_is_told_by_its_name(tmp_path):
    path = write_tensor_slices(tmp_path / "vggish_model.ckpt", {"vggish/fc2/biases": np.zeros(128, np.float32)})
    with pytest.raises(UserError, match=r"vggish_model\.ckpt: missing layers.*vggish/conv1"):
        vggish(path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda found: found.pop("vggish/fc2/biases"), "vggish/fc2"),
        (lambda found: found.update({"vggish/fc3/weights": np.zeros((2, 2), np.float32)}), "vggish/fc3"),
        (lambda found: found.update({"vggish/conv1/weights": np.zeros((3, 3, 1, 2), np.float32)}), "vggish/conv1"),
    ],
)
def test_other_variables_are_refused_by_name(change, named):
    with torch.device("meta"):
        net = VGGish()
    zeros = {key: np.broadcast_to(np.float32(0), value.shape) for key, value in net.state_dict().items()}
    variables = vggish_variables(zeros)
    change(variables)
    with pytest.raises(ValueError, match=named):
        load_tensorflow(net, variables)


def test_post_processing_agrees_with_torchvggish():
    postprocessor = Postprocessor("round")
    load_pca(postprocessor, vggish_pca_arrays())
    levels = postprocessor(torch.from_numpy(REFERENCE["linear-2"])).numpy()
    assert np.abs(levels - REFERENCE["round-2"]).max() <= 1
    assert (levels == REFERENCE["round-2"]).mean() > 0.99


def test_quantization_truncates_as_the_authors_do():
    truncated, exact = Postprocessor("truncate"), Postprocessor("none")
    for postprocessor in (truncated, exact):
        load_pca(postprocessor, vggish_pca_arrays())
    x = torch.linspace(-3, 3, 128)[None]
    levels = truncated(x)
    assert levels.min() >= 0 and levels.max() <= 255
    assert torch.equal(levels, exact(x).to(torch.uint8).float())


def test_front_end_agrees_with_torchvggish_and_the_published_figures():
    patch = np.pad(noisy_waveform(LENGTHS[0], SAMPLE_RATE), (0, 15_600 - LENGTHS[0]))
    front_end = LogMel(LOG_OFFSET)
    assert relative_error(front_end(torch.from_numpy(patch)[None])[0].numpy(), REFERENCE["log_mel-0"]) < 1e-5
    log_mel = front_end(torch.from_numpy(seeded_waveform(2 * SAMPLE_RATE, SAMPLE_RATE))[None])[0]
    assert log_mel.shape == (198, 64)
    figures = [log_mel.mean(), log_mel.std(), log_mel.max(), log_mel[0, 0], *log_mel[100, [0, 3, 20, 50]]]
    expected = [-2.40968, 2.43418, 3.4027, 0.92698, 0.92665, 2.73336, -3.88608, -4.59108]
    assert np.allclose(figures, expected, atol=1e-3)


def test_has_the_published_number_of_parameters():
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in VGGish().parameters()) == 72_141_184


def test_neighbours_in_the_batch_change_nothing(linear):
    clips = [noisy_waveform(40_000, SAMPLE_RATE), np.zeros(1_600, np.float32), np.ones(1, np.float32)]
    alone = [linear.embed([clip])[0][0] for clip in clips]
    for together in (linear.embed(clips), linear.embed(clips[::-1])[::-1]):
        for one, (frames, _) in zip(alone, together, strict=True):
            assert relative_error(frames, one) < 1e-5


def test_whitened_levels_are_whole_numbers(weights, pca):
    frames = vggish(weights, "vggish-pca", pca={"file": pca}).embed([noisy_waveform(20_000, SAMPLE_RATE)])[0][0]
    assert np.array_equal(frames, np.trunc(frames))
    assert frames.min() >= 0 and frames.max() <= 255


@pytest.mark.parametrize("change", ["missing", "unexpected"])
def test_other_keys_are_refused_by_name(tmp_path, change):
    with torch.device("meta"):
        state = {name: tensor for name, tensor in VGGish().state_dict().items() if "embeddings" not in name}
    state = {name: torch.zeros(tensor.shape) for name, tensor in state.items()}
    if change == "unexpected":
        state["head.weight"] = torch.zeros(2)
    torch.save(state, tmp_path / "bad.pth")
    named = {"missing": "embeddings.0.weight", "unexpected": "head.weight"}[change]
    with pytest.raises(UserError, match=named):
        vggish(tmp_path / "bad.pth")


def test_components_of_another_size_are_refused(weights, tmp_path):
    np.savez(tmp_path / "pca.npz", pca_eigen_vectors=np.zeros((2, 2)), pca_means=np.zeros(128))
    with pytest.raises(UserError, match="pca_eigen_vectors"):
        vggish(weights, "vggish-pca", pca={"file": str(tmp_path / "pca.npz")})
