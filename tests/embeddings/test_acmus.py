from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.schema_embedding import EmbeddingConfig, WeightsConfig
from benchmark.embeddings.acmus import MODELS, Features, build
from benchmark.embeddings.formats import read_keras_h5
from benchmark.embeddings.weights import is_here, resolve
from benchmark.errors import UserError
from benchmark.models.acmus import Acmus, load_keras
from tests.embeddings.contract import check_contract
from tests.parity.checkpoints import noisy_waveform, relative_error, write_keras_h5
from tests.parity.make_acmus import SECONDS, acmus_layers, norm_mat
from tests.parity.seeded import seeded_waveform

REFERENCE = np.load(Path(__file__).parents[1] / "parity" / "data" / "acmus.npz")
PUBLISHED = {
    "speech_music": "6df22d4c8cd64d5b4e318a51b48cc0786d76af3e3cd14dc457ed50d11ab4ca3d",
    "ensemble": "bd7ec4ac62792032c5cdb425aacf8db54f8214f95698f49142f51c372a25edc0",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("acmus")
    for name, model in MODELS.items():
        write_keras_h5(folder / f"{name}.h5", acmus_layers(model.classes))
        np.savez(folder / f"{name}.npz", normMat=norm_mat(name))
    return folder


def acmus(folder: Path, model: str, **args):
    return build(EmbeddingConfig(name="a", family="acmus", model=model, args=args), folder / f"{model}.h5", "cpu")


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize("model", MODELS)
def test_agrees_with_keras(folder, model, seconds):
    embedding = acmus(folder, model)
    frames, times = embedding.embed([noisy_waveform(round(seconds * embedding.sample_rate), embedding.sample_rate)])[0]
    assert relative_error(frames, REFERENCE[f"{model}-{seconds}"]) < 1e-4
    m = MODELS[model]
    assert times[0] == pytest.approx((m.frames - 1) / 2 * m.hop / m.sample_rate)


@pytest.mark.parametrize("model", MODELS)
def test_classifier_agrees_with_keras(folder, model):
    net = Acmus(MODELS[model].classes).eval()
    load_keras(net, read_keras_h5(folder / f"{model}.h5"))
    embedding = acmus(folder, model)
    patches = embedding.patches(noisy_waveform(6 * embedding.sample_rate, embedding.sample_rate))
    x = (patches.take(0, patches.count) - embedding.network.mean) / embedding.network.scale
    with torch.inference_mode():
        softmax = torch.softmax(net(x), dim=-1).numpy()
    assert relative_error(softmax, REFERENCE[f"{model}-6.0-softmax"]) < 1e-4


FEATURES = {
    "speech_music": ((387, 80), 0.059464, 0.200870, (0.017114, 0.016315, 0.021154, 0.106466)),
    "ensemble": ((141, 257), 0.172347, 0.497695, (0.005544, 0.006297, 0.008676, 0.013387)),
}


@pytest.mark.parametrize("model", MODELS)
def test_features_have_the_known_figures(model):
    rate = MODELS[model].sample_rate
    features = Features(model)(torch.from_numpy(seeded_waveform(6 * rate, rate)))
    shape, mean, std, row = FEATURES[model]
    assert features.shape == shape
    assert features.mean().item() == pytest.approx(mean, abs=1e-5)
    assert features.std().item() == pytest.approx(std, abs=2e-5)
    assert np.allclose(features[10, :4], row, atol=2e-5)


def test_has_the_published_number_of_parameters():
    counts = [sum(p.numel() for p in Acmus(MODELS[model].classes).parameters()) for model in MODELS]
    assert counts == [105_668, 105_733]


SINE = {
    "speech_music": ((0.670291, 0.029533, 0.284257, 0.015919), (2.46069, 0.42263, 45), (3.32496, 0.82560)),
    "ensemble": ((0.001979, 0.673336, 0.017060, 0.214166, 0.093459), (6.87495, 1.13814, 54), (5.70195, 1.18902)),
}


@pytest.mark.parametrize("model", MODELS)
def test_published_weights_give_the_known_figures(model):
    weights = WeightsConfig(http=["https://example.invalid"], file=f"{model}.h5", sha256=PUBLISHED[model])
    if not is_here(weights):
        pytest.skip("the authors' file is not in the cache of weights")
    net = Acmus(MODELS[model].classes).eval()
    load_keras(net, read_keras_h5(resolve(weights)))
    m = MODELS[model]
    i, j = np.meshgrid(np.arange(m.frames), np.arange(m.bands or 257), indexing="ij")
    patch = torch.from_numpy(np.sin(0.1 * i + 0.3 * j).astype(np.float32))[None]
    with torch.inference_mode():
        softmax, dense, maxima = torch.softmax(net(patch), -1)[0], net.embed(patch)[0], net.maxima(patch)[0]
    probabilities, (total, norm, active), pooled = SINE[model]
    assert np.allclose(softmax, probabilities, atol=1e-5)
    assert (dense.sum().item(), dense.norm().item()) == pytest.approx((total, norm), abs=1e-4)
    assert (dense > 0).sum() == active
    assert (maxima.sum().item(), maxima.norm().item()) == pytest.approx(pooled, abs=1e-4)


@pytest.mark.parametrize(("model", "readout", "dim"), [("speech_music", "dense", 64), ("ensemble", "maxima", 128)])
def test_keeps_the_contract(folder, model, readout, dim):
    embedding = acmus(folder, model, readout=readout)
    assert embedding.dim == dim
    check_contract(embedding, seconds=5.0)


def test_a_missing_layer_is_named(folder, tmp_path):
    layers = acmus_layers(4)
    del layers["conv2d_2"]
    write_keras_h5(tmp_path / "speech_music.h5", layers)
    with pytest.raises(UserError, match="conv2d_2"):
        acmus(tmp_path, "speech_music")


def test_the_other_models_file_is_refused(folder, tmp_path):
    write_keras_h5(tmp_path / "speech_music.h5", acmus_layers(5))
    with pytest.raises(UserError, match="dense_1"):
        acmus(tmp_path, "speech_music")


def test_missing_and_wrong_normalisation_are_named(tmp_path):
    write_keras_h5(tmp_path / "ensemble.h5", acmus_layers(5))
    with pytest.raises(UserError, match="normalisation"):
        acmus(tmp_path, "ensemble")
    np.savez(tmp_path / "ensemble.npz", normMat=norm_mat("speech_music"))
    with pytest.raises(UserError, match="normMat"):
        acmus(tmp_path, "ensemble")


def test_needs_weights():
    with pytest.raises(UserError, match="weights"):
        build(EmbeddingConfig(name="a", family="acmus", model="ensemble"), None, "cpu")
