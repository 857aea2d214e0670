"""The transformers family against the library itself, on tiny models in local folders."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.transformers_hub import build
from benchmark.errors import UserError
from tests.embeddings.contract import check_contract
from tests.embeddings.hub_folders import BLOCKS, drop, make
from tests.parity.checkpoints import noisy_waveform, relative_error

WAVEFORM_KINDS = ("wav2vec2", "wav2vec2-large", "hubert", "wavlm", "data2vec", "mert")
# Less than one frame, an odd length, a little more.
LENGTHS_S = (0.02, 0.50003, 1.31)


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            made[kind] = make(kind, tmp_path_factory.mktemp(kind))
        return made[kind]

    return folder


def hub(folder: Path, weights: Path | None = None, **fields):
    return build(EmbeddingConfig(name="h", family="transformers", model=str(folder), **fields), weights, "cpu")


def library(folder: Path, kind: str):
    """The library's own model and feature extractor."""
    if kind == "mert":
        model = transformers.HubertModel(transformers.HubertConfig.from_pretrained(folder))
        state = torch.load(folder / "pytorch_model.bin", weights_only=True)
        names = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
        for old, new in names.items():
            state = {key.replace(old, new): value for key, value in state.items()}
        model.load_state_dict(state)
        return model.eval(), transformers.Wav2Vec2FeatureExtractor.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    return model, transformers.AutoFeatureExtractor.from_pretrained(folder)


def clips(rate: int) -> list[np.ndarray]:
    return [noisy_waveform(round(seconds * rate), rate) for seconds in LENGTHS_S]


@pytest.mark.parametrize("kind", WAVEFORM_KINDS)
def test_hears_waveforms_as_the_library_does(folders, kind):
    model, extractor = library(folders(kind), kind)
    layers = {None: None, 1: [1], "mean": range(BLOCKS + 1), (0, 2): [0, 2]}
    for layer, chosen in layers.items():
        embedding = hub(folders(kind), layer=list(layer) if isinstance(layer, tuple) else layer)
        rate = extractor.sampling_rate
        assert (embedding.dim, embedding.sample_rate, embedding.hop_seconds) == (32, rate, 320 / rate)
        for clip in clips(rate):
            heard = extractor(clip, sampling_rate=rate, return_tensors="pt").input_values
            heard = torch.nn.functional.pad(heard, (0, max(0, 400 - heard.shape[1])))
            with torch.inference_mode():
                given = model(heard, output_hidden_states=True)
            states = [given.last_hidden_state] if chosen is None else [given.hidden_states[i] for i in chosen]
            frames, times = embedding.embed([clip])[0]
            assert relative_error(frames, torch.stack(states).mean(dim=0)[0].numpy()) < 1e-4
            assert np.allclose(times, (320 * np.arange(len(frames)) + 200) / rate)


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper", "ast"])
def test_all_layers_lie_side_by_side(folders, kind):
    every = hub(folders(kind), layer="all", layers=BLOCKS + 1)
    one = [hub(folders(kind), layer=number) for number in range(BLOCKS + 1)]
    assert every.dim == 32 * (BLOCKS + 1)
    clip = noisy_waveform(20_000, every.sample_rate)
    frames = every.embed([clip])[0][0]
    for number, layer in enumerate(one):
        alone = layer.embed([clip])[0][0]
        assert relative_error(frames[:, 32 * number : 32 * (number + 1)], alone) < 1e-5
    with pytest.raises(UserError, match="layers: the model gives 4 side by side, not 3"):
        hub(folders(kind), layer="all", layers=3)


def test_hears_whisper_as_the_library_does(folders):
    model, extractor = library(folders("whisper"), "whisper")
    for layer in ("last", 1):
        embedding = hub(folders("whisper"), layer=layer)
        for clip in clips(16_000):
            features = extractor(clip, sampling_rate=16_000, return_tensors="pt").input_features
            with torch.inference_mode():
                states = model.encoder(features, output_hidden_states=True).hidden_states
            frames, times = embedding.embed([clip])[0]
            expected = states[BLOCKS if layer == "last" else layer][0, : int(np.ceil(len(clip) / 320))]
            assert relative_error(frames, expected.numpy()) < 1e-4
            assert np.allclose(times, 0.02 * np.arange(len(frames)))


def test_hears_ast_as_the_library_does(folders):
    model, extractor = library(folders("ast"), "ast")
    pooled, layered = hub(folders("ast")), hub(folders("ast"), layer=1)
    for clip in clips(16_000):
        padded = np.pad(clip, (0, max(0, 400 - len(clip))))
        values = extractor(padded, sampling_rate=16_000, return_tensors="pt").input_values
        with torch.inference_mode():
            given = model(values, output_hidden_states=True)
        assert relative_error(pooled.embed([clip])[0][0], given.pooler_output.numpy()) < 1e-4
        patches = given.hidden_states[1][0, 2:].view(12, 101, 32).mean(dim=0)
        padded = np.pad(clip, (0, max(0, 2_800 - len(clip))))
        count = 1 + (len(padded) - 2_800) // 1_600
        frames, times = layered.embed([clip])[0]
        if len(padded) == len(clip):
            assert relative_error(frames, patches[:count].numpy()) < 1e-4
        assert np.allclose(times, 0.1 * np.arange(count) + 0.0875)


def test_hears_clap_as_the_library_does(folders):
    model, extractor = library(folders("clap"), "clap")
    embedding, tower = hub(folders("clap")), hub(folders("clap"), layer="last")
    for clip in clips(48_000):
        features = extractor(clip, sampling_rate=48_000, return_tensors="pt")
        with torch.inference_mode():
            expected = model.get_audio_features(**features)
            pooled = model.audio_model(**features).pooler_output
        expected = expected if isinstance(expected, torch.Tensor) else expected.pooler_output
        assert relative_error(embedding.embed([clip])[0][0], expected.numpy()) < 1e-4
        assert relative_error(tower.embed([clip])[0][0], pooled.numpy()) < 1e-4


def test_hears_any_other_model_in_windows(folders):
    model, extractor = library(folders("other"), "other")
    clip = noisy_waveform(40_000, 16_000)
    frames, times = hub(folders("other"), args={"window": 1.0, "hop": 0.5}).embed([clip])[0]
    assert np.allclose(times, [0.5, 1.0, 1.5, 2.0])
    with torch.inference_mode():
        heard = extractor(clip[8_000:24_000], sampling_rate=16_000, return_tensors="pt")
        expected = model(**heard).last_hidden_state.mean(dim=1)
    assert relative_error(frames[1:2], expected.numpy()) < 1e-4


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper", "ast", "clap", "other"])
def test_keeps_the_promises_of_an_embedding(folders, kind):
    check_contract(hub(folders(kind), args={"window": 1.0} if kind == "other" else {}), seconds=1.2)


def test_a_long_clip_is_heard_in_windows_that_overlap(folders):
    embedding = hub(folders("wavlm"), args={"window": 4.0})
    clip = noisy_waveform(16_000 * 9, 16_000)
    frames, times = embedding.embed([clip])[0]
    assert np.allclose(times, 0.02 * np.arange(449) + 0.0125)
    whole = hub(folders("wavlm")).embed([clip])[0][0]
    # Attention and normalisation see less, the rest is the same.
    assert frames.shape == whole.shape
    assert np.corrcoef(frames.ravel(), whole.ravel())[0, 1] > 0.99


def test_weights_can_come_from_a_file(folders, tmp_path):
    clip = [noisy_waveform(8_000, 16_000)]
    folder = folders("wav2vec2")
    expected = hub(folder).embed(clip)[0][0]
    assert np.array_equal(hub(folder, folder / "model.safetensors").embed(clip)[0][0], expected)
    state = transformers.AutoModel.from_pretrained(folder).state_dict()
    torch.save(state, tmp_path / "pytorch_model.bin")
    assert np.array_equal(hub(folder, tmp_path / "pytorch_model.bin").embed(clip)[0][0], expected)


def test_bfloat16_stays_near(folders):
    clip = [noisy_waveform(16_000, 16_000)]
    exact, rough = (
        hub(folders("hubert"), args={"dtype": dtype}).embed(clip)[0][0] for dtype in ("float32", "bfloat16")
    )
    assert 0 < relative_error(rough, exact) < 0.05


def test_missing_weights_are_refused_by_name(tmp_path):
    folder = make("hubert", tmp_path)
    drop(folder, "encoder.layers.1.attention.k_proj.weight")
    with pytest.raises(UserError, match=r"missing keys.*encoder\.layers\.1\.attention\.k_proj\.weight"):
        hub(folder)


@pytest.mark.parametrize(
    ("kind", "fields", "named"),
    [
        ("wav2vec2", {"layer": 4}, "hidden states 0 to 3"),
        ("wav2vec2", {"layer": []}, "layer"),
        ("clap", {"layer": 1}, "CLAP"),
        ("wav2vec2", {"args": {"window": 0.0}}, "window"),
        ("wav2vec2", {"dim": 33}, "dim: says 33, the model gives 32"),
    ],
)
def test_what_does_not_fit_is_refused(folders, kind, fields, named):
    with pytest.raises(UserError, match=named):
        hub(folders(kind), **fields)


@pytest.mark.parametrize("revision", [None, "main", "v1.0"])
def test_a_hub_id_needs_a_commit(revision):
    config = EmbeddingConfig(name="h", family="transformers", model="someone/something", revision=revision)
    with pytest.raises(UserError, match="revision"):
        build(config, None, "cpu")


def test_a_folder_that_holds_no_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        hub(tmp_path)


def test_extensions_of_mert_are_refused(tmp_path):
    import json

    folder = make("mert", tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "feature_extractor_cqt": True}))
    with pytest.raises(UserError, match="feature_extractor_cqt"):
        hub(folder)
