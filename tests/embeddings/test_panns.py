"""PANNs against the authors' code, and what every embedding promises."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.panns import LogMel, Rate, build
from benchmark.errors import UserError
from benchmark.models.panns import MODELS
from tests.embeddings.contract import check_contract
from tests.parity.checkpoints import noisy_waveform, relative_error
from tests.parity.make_panns import FRONT_END, REFERENCES, clips, panns_state
from tests.parity.seeded import seeded_waveform
from tests.parity.torch_weights import shapes

DATA = Path(__file__).parents[1] / "parity" / "data"

# Trainable parameters, from building the authors' classes.
PARAMETERS = {
    "cnn14": 80_753_615,
    "cnn10": 5_219_279,
    "cnn6": 4_837_455,
    "resnet38": 73_783_247,
    "mobilenetv2": 4_075_343,
    "wavegram-logmel-cnn14": 81_065_487,
}


def reference(model: str) -> dict[str, np.ndarray]:
    return dict(np.load(DATA / f"panns-{model}.npz"))


def front_end(model: str) -> dict[str, torch.Tensor]:
    """The frozen part of a checkpoint, as torchlibrosa makes it."""
    _, sample_rate, size, hop, f_max = REFERENCES[model]
    mel = LogMel(Rate(sample_rate, size, hop, f_max)).mel
    angle = 2 * np.pi * np.outer(np.arange(size // 2 + 1), np.arange(size)) / size
    window = mel.window.numpy()
    parts = {"real": np.cos(angle) * window, "imag": -np.sin(angle) * window}
    return {
        **{
            f"{FRONT_END[0]}stft.conv_{part}.weight": torch.from_numpy(wave.astype(np.float32))[:, None]
            for part, wave in parts.items()
        },
        f"{FRONT_END[1]}melW": mel.filters.clone(),
    }


def checkpoint(folder: Path, model: str, change=None) -> Path:
    """A file in the authors' layout, with the NumPy objects of their sampler."""
    state = {**front_end(model), **panns_state(shapes(reference(model)["layout"]))}
    assert state.keys() == shapes(reference(model)["layout"]).keys()
    if change is not None:
        change(state)
    sampler = {"indexes_per_class": [np.arange(3)], "queue": [np.int64(4)], "pointers_of_classes": [0]}
    path = folder / f"{model}.pth"
    torch.save({"iteration": 600_000, "model": state, "sampler": sampler}, path)
    return path


def panns(path: Path, model: str, **args):
    return build(EmbeddingConfig(name="p", family="panns", model=model, args=args), path, "cpu")


@pytest.fixture(scope="module")
def light(tmp_path_factory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("panns"), "cnn10")


@pytest.mark.parametrize("model", MODELS)
def test_agrees_with_the_authors(model, tmp_path):
    expected = reference(model)
    path = checkpoint(tmp_path, model)
    embedding = panns(path, model)
    # Files of 300 MB must not stay in the folders that pytest keeps.
    path.unlink()
    net, network = embedding.network.net, embedding.network
    for i, clip in enumerate(clips(embedding.sample_rate)):
        frames, times = embedding.embed([clip])[0]
        assert relative_error(frames[0], expected[f"embedding-{i}"]) < 1e-4
        assert np.allclose(times, [len(clip) / 2 / embedding.sample_rate])
        with torch.inference_mode():
            classes = net.classify(torch.from_numpy(frames))[0, :20].numpy()
            heard = torch.from_numpy(embedding._heard(clip, embedding.schedule.spans(len(clip))[0]))[None]
            network.output = "map"
            maps = network(heard)[0].numpy()
            network.output = "embedding"
        assert relative_error(classes, expected[f"classes-{i}"]) < 1e-4
        assert relative_error(maps[:, ::8], expected[f"map-{i}"]) < 1e-4


@pytest.mark.parametrize("model", PARAMETERS)
def test_has_the_parameters_of_the_original(model):
    with torch.device("meta"):
        net = MODELS[model]()
    assert sum(parameter.numel() for parameter in net.parameters()) == PARAMETERS[model]
    # The front end adds three keys to a checkpoint.
    assert len(net.state_dict()) + 3 == len(reference(model)["layout"])


# Mean, least and greatest value, then those at frame 0 band 0, 100/0, 100/5, 100/20, 100/40, 200/10.
SPECTRA = {
    "cnn14": (-46.87397, -100, 20.6643, 7.70756, -31.12651, 0.49694, -31.40869, -30.38993, -6.20784),
    "cnn14-16k": (-55.59457, -100, 14.4892, 1.86380, -39.77723, -33.42347, -29.17963, -49.06702, -5.73137),
    "cnn14-8k": (-58.27530, -100, 9.5601, -5.77800, -50.26464, -2.17633, -74.80078, -75.89973, -10.12355),
}


@pytest.mark.parametrize("model", SPECTRA)
def test_front_end_gives_the_figures_of_torchlibrosa(model):
    _, sample_rate, size, hop, f_max = REFERENCES[model]
    waveform = torch.from_numpy(seeded_waveform(2 * sample_rate, sample_rate))[None]
    log_mel = LogMel(Rate(sample_rate, size, hop, f_max))(waveform)[0, 0]
    at = [log_mel[i, j] for i, j in ((0, 0), (100, 0), (100, 5), (100, 20), (100, 40), (200, 10))]
    assert log_mel.shape == (201, 64)
    assert np.allclose([log_mel.mean(), log_mel.min(), log_mel.max(), *at], SPECTRA[model], atol=2e-3)


@pytest.mark.parametrize("output", ["embedding", "map"])
def test_keeps_the_promises_of_an_embedding(light, output):
    check_contract(panns(light, "cnn10", output=output, window=1.5, hop=1.0))


def test_a_long_clip_is_heard_in_windows_of_which_the_last_ends_with_it(light):
    clip = noisy_waveform(32_000 * 5, 32_000)
    frames, times = panns(light, "cnn10", window=2.0, hop=2.0).embed([clip])[0]
    assert np.allclose(times, [1.0, 3.0, 4.0])
    alone = panns(light, "cnn10").embed([clip[32_000 * 3 :]])[0][0]
    assert relative_error(frames[-1:], alone) < 1e-5


def test_the_map_of_a_long_clip_is_that_of_the_whole_clip(light):
    embedding = panns(light, "cnn10", output="map")
    clip = noisy_waveform(32_000 * 23 + 77, 32_000)
    frames, times = embedding.embed([clip])[0]
    with torch.inference_mode():
        whole = embedding.network(torch.from_numpy(clip)[None])[0].numpy()
    assert relative_error(frames, whole) < 1e-5
    assert np.allclose(times, 0.16 * np.arange(len(times)) + 0.075)


def test_bfloat16_stays_near(light):
    clip = [noisy_waveform(64_000, 32_000)]
    exact, rough = (panns(light, "cnn10", dtype=dtype).embed(clip)[0][0] for dtype in ("float32", "bfloat16"))
    assert 0 < relative_error(rough, exact) < 0.02


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda state: state.pop("fc1.bias"), "fc1.bias"),
        (lambda state: state.update(more=torch.zeros(1)), "more"),
        (lambda state: state.update({"conv_block1.conv1.weight": torch.zeros(2)}), "conv_block1.conv1.weight"),
        (lambda state: state.pop("logmel_extractor.melW"), "melW"),
        (lambda state: state["spectrogram_extractor.stft.conv_real.weight"].zero_(), "Hann"),
    ],
)
def test_other_keys_are_refused_by_name(tmp_path, change, named):
    with pytest.raises(UserError, match=named):
        panns(checkpoint(tmp_path, "mobilenetv2", change), "mobilenetv2")


def test_the_weights_of_another_rate_are_refused(tmp_path):
    def at_16k(state):
        state.update(front_end("cnn14-16k"))

    with pytest.raises(UserError, match=r"shape \(257, 1, 512\), expected \(513, 1, 1024\)"):
        panns(checkpoint(tmp_path, "cnn10", at_16k), "cnn10")


def test_a_file_with_code_in_it_is_refused(tmp_path):
    path = tmp_path / "bad.pth"
    torch.save({"model": Path("x")}, path)
    with pytest.raises(UserError, match="not a PyTorch checkpoint"):
        panns(path, "cnn10")


@pytest.mark.parametrize(("args", "named"), [({"output": "x"}, "output"), ({"window": 0.1}, r"0\.15")])
def test_wrong_arguments_are_refused(light, args, named):
    with pytest.raises(UserError, match=named):
        panns(light, "cnn10", **args)
