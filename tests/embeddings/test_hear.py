import sys
import types

import librosa
import numpy as np
import pytest
import torch

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.registry import build_embedding
from benchmark.errors import UserError
from tests.embeddings.contract import check_contract

HOP = 800


class Energies(torch.nn.Module):
    """A third party's model: energy and mean of frames of 50 ms, seeded as such modules are."""

    sample_rate = 16000
    timestamp_embedding_size = 2
    scene_embedding_size = 3

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.scale = torch.nn.Parameter(torch.rand(1))


def timestamps(audio, model):
    audio = torch.nn.functional.pad(audio, (0, -audio.shape[1] % HOP))
    frames = audio.unflatten(1, (-1, HOP)) * model.scale
    times = (torch.arange(frames.shape[1]) + 0.5) * 50.0
    torch.rand(1)
    return torch.stack([frames.square().mean(-1), frames.mean(-1)], dim=-1), times.expand(len(audio), -1)


def scenes(audio, model):
    vectors, _ = timestamps(audio, model)
    return torch.nn.functional.pad(vectors.mean(dim=1), (0, 1))


@pytest.fixture
def module(monkeypatch):
    made = types.ModuleType("third_party_energies")
    made.load_model = lambda path="": Energies()
    made.get_timestamp_embeddings, made.get_scene_embeddings = timestamps, scenes
    monkeypatch.setitem(sys.modules, made.__name__, made)
    return made


def hear(module_name="third_party_energies", weights=None, **args):
    return build_embedding(EmbeddingConfig(name="h", family="hear", module=module_name, args=args), weights, "cpu")


def test_a_third_partys_module_runs_by_yaml_alone(module):
    embedding = hear()
    assert (embedding.sample_rate, embedding.dim) == (16000, 2)
    assert embedding.hop_seconds == pytest.approx(0.05)
    frames, times = embedding.embed([np.full(1600, 0.5, np.float32)])[0]
    scale = embedding.model.scale.item()
    assert np.allclose(frames, [[(0.5 * scale) ** 2, 0.5 * scale]] * 2)
    assert times.tolist() == pytest.approx([0.025, 0.075])


@pytest.mark.parametrize("embedding", ["timestamp", "scene"])
def test_keeps_the_contract(module, embedding):
    built = hear(embedding=embedding)
    assert built.dim == {"timestamp": 2, "scene": 3}[embedding]
    check_contract(built)


def test_short_clips_are_completed_for_modules_that_refuse_them(module):
    def picky(audio, model):
        assert audio.shape[1] >= 8000
        return timestamps(audio, model)

    module.get_timestamp_embeddings = picky
    assert len(hear(least_s=0.5).embed([np.ones(10, np.float32)])[0][0]) == 10


def test_their_draws_do_not_reach_ours(module):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    hear().embed([np.ones(100, np.float32)])
    assert torch.rand(1) == expected


def test_weights_are_handed_to_the_module(module, tmp_path):
    seen = []
    module.load_model = lambda path="": seen.append(path) or Energies()
    (tmp_path / "w.pt").touch()
    hear(weights=tmp_path / "w.pt")
    assert seen == [str(tmp_path / "w.pt")]


def test_modules_may_call_librosa_as_in_2021(module):
    class Filters(Energies):
        def __init__(self):
            super().__init__()
            self.filters = librosa.filters.mel(16000, 512, n_mels=8)

    before = librosa.filters.mel
    module.load_model = lambda path="": Filters()
    assert hear().model.filters.shape == (8, 257)
    assert librosa.filters.mel is before


def test_what_is_missing_is_named(module):
    with pytest.raises(UserError, match="no_such_module_here"):
        hear("no_such_module_here")
    with pytest.raises(UserError, match="add it"):
        hear(None)
    del module.get_scene_embeddings
    with pytest.raises(UserError, match="get_scene_embeddings"):
        hear()


def test_a_model_without_sizes_is_refused(module):
    module.load_model = lambda path="": torch.nn.Linear(1, 1)
    with pytest.raises(UserError, match="timestamp_embedding_size"):
        hear()
    module.load_model = lambda path="": object()
    with pytest.raises(UserError, match="PyTorch"):
        hear()
