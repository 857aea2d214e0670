import numpy as np
import pytest
import torch

from benchmark import hear
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.base import Embedding
from benchmark.errors import UserError

LU = "name: lu-mine\nfamily: lu\nweights: none\npool: mean_std\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "embeddings").mkdir()
    (tmp_path / "embeddings" / "lu-mine.yaml").write_text(LU)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def validate(module, model):
    """What hear-validator checks of a PyTorch module, on its own lengths and tolerances."""
    assert isinstance(model, torch.nn.Module)
    assert model.sample_rate in (16000, 22050, 44100, 48000)
    assert type(model.scene_embedding_size) is type(model.timestamp_embedding_size) is int
    audio = torch.rand(16, 2 * model.sample_rate) * 2 - 1
    embeddings, timestamps = module.get_timestamp_embeddings(audio, model)
    assert embeddings.dtype == torch.float32
    assert embeddings.shape[::2] == (16, model.timestamp_embedding_size)
    assert timestamps.shape == embeddings.shape[:2]
    steps = torch.diff(timestamps)
    assert steps.numel() == 0 or (steps - steps.mean()).abs().max() < 1e-3
    audio = torch.rand(8, int(3.74 * model.sample_rate)) * 2 - 1
    scenes = module.get_scene_embeddings(audio, model)
    assert scenes.dtype == torch.float32 and scenes.shape == (8, model.scene_embedding_size)
    return embeddings, timestamps, scenes


def test_a_named_embedding_is_a_hear_module(project):
    model = hear.load_model("lu-mine")
    assert (model.sample_rate, model.timestamp_embedding_size, model.scene_embedding_size) == (16000, 12, 24)
    _, timestamps, _ = validate(hear, model)
    assert timestamps[0].tolist() == pytest.approx([500.0, 1500.0])


def test_a_yaml_file_does_as_well_as_a_name(project):
    assert hear.load_model("embeddings/lu-mine.yaml").embedding.name == "lu-mine"


def test_the_environment_names_the_default(project, monkeypatch):
    monkeypatch.setenv(hear.VARIABLE, "lu-mine")
    assert hear.load_model().embedding.name == "lu-mine"
    monkeypatch.delenv(hear.VARIABLE)
    with pytest.raises(UserError, match=hear.VARIABLE):
        hear.load_model()


def test_a_module_object_for_one_embedding(project):
    made = hear.module("lu-mine")
    validate(made, made.load_model())


def test_unknown_names_and_missing_weights_are_one_line(project):
    with pytest.raises(UserError, match="no-such"):
        hear.load_model("no-such")
    with pytest.raises(UserError, match=r"none\.pt"):
        hear.load_model("lu-mine=none.pt")


class Uneven(Embedding):
    """Frames whose value is their time, the last one at the end of the clip, at a rate that HEAR does not know."""

    def __init__(self):
        super().__init__(EmbeddingConfig(name="u", family="x"), sample_rate=32000, dim=1, hop_seconds=1.0, device="cpu")

    def _embed(self, waveforms):
        out = []
        for wave in waveforms:
            end = len(wave) / self.sample_rate
            times = np.unique(np.append(np.arange(0.0, end - 0.5, 1.0), end))
            out.append((torch.from_numpy(times.astype(np.float32))[:, None], times))
        return out


def test_uneven_frames_become_even_and_odd_rates_are_resampled():
    model = hear.HearModel(Uneven())
    assert model.sample_rate == 44100
    embeddings, timestamps, _ = validate(hear, model)
    assert timestamps[0].tolist() == [0.0, 1000.0, 2000.0]
    audio = torch.zeros(1, round(3.74 * 44100))
    embeddings, timestamps = hear.get_timestamp_embeddings(audio, model)
    assert timestamps[0].tolist() == [0.0, 1000.0, 2000.0, 3000.0, 4000.0]
    # The nearest frame, whose only value is its time.
    assert embeddings[0, :, 0].tolist() == pytest.approx([0.0, 1.0, 2.0, 3.0, 3.74], abs=1e-3)


def test_audio_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="n_sounds"):
        hear.HearModel(Uneven()).frames(torch.zeros(100))
