"""`leveret bench extract` on the quickest embeddings."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from benchmark.bench.extract import run
from benchmark.bench.forward import bare_forward
from benchmark.bench.sounds import write_files
from benchmark.bench.workers import Workers
from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.errors import UserError

ROOT = Path(__file__).parents[2]


def test_files_are_sound_and_the_same_each_time(tmp_path):
    one, two = write_files(tmp_path, 2, 0.5)
    sound, rate = soundfile.read(one)
    assert (rate, sound.shape) == (44_100, (22_050, 2))
    assert sound.std() > 0.01 and np.abs(sound).max() < 1
    assert one.read_bytes() != two.read_bytes()
    before = one.read_bytes()
    write_files(tmp_path, 2, 0.5)
    assert one.read_bytes() == before


def test_rows_have_what_was_measured():
    threads = torch.get_num_threads()
    report = run(ROOT, ["logmel-stats", "swishnet-slim-mel"], seconds=1.0, files=2, rounds=1, threads=1)
    assert torch.get_num_threads() == threads
    plain, net = report.rows
    assert plain["whole"] > 0 and "forward" not in plain
    assert net["whole / forward"] == pytest.approx(net["whole"] / net["forward"])
    assert any("swishnet-slim-mel: random weights" in note for note in report.notes)


def test_a_peer_that_is_not_there_is_said_in_the_notes(tmp_path):
    report = run(ROOT, ["ge2e"], seconds=1.0, files=1, rounds=1, peers=tmp_path)
    assert report.rows == [{"embedding": "ge2e"}]
    assert any("ge2e/venv" in note for note in report.notes)


def test_files_are_divided_among_processes_that_extract_them_all(tmp_path, monkeypatch):
    files = write_files(tmp_path, 5, 0.3)
    config = load(ROOT / "embeddings" / "logmel-stats.yaml", EmbeddingConfig)
    with Workers(config, False, files, 2) as workers:
        assert workers._parts == [tuple(files[::2]), tuple(files[1::2])]
        first, second = workers.run(), workers.run()
    assert second["cpu"] > 0 and 0 < second["wall"] < first["wall"]
    assert len(Workers(config, False, files[:1], 2)._parts) == 1


@pytest.mark.parametrize("wrong", [{"precision": "int3"}, {"clock": "sun"}, {"select": ["nobody"]}, {"files": 0}])
def test_unknown_choices_are_one_line(wrong):
    with pytest.raises(UserError, match=str(next(iter(wrong.values()))).strip("[]'")):
        run(ROOT, **wrong)


class Front(nn.Module):
    def forward(self, x):
        return x.abs()


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.Linear(4, 2)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.weights(x)


class Toy:
    def __init__(self):
        self.inner = Inner()
        self.network = nn.Sequential(Front(), self.inner)

    def embed(self, waveforms):
        return [self.network(torch.from_numpy(wave)) for wave in waveforms]


def test_the_bare_forward_is_the_innermost_module_with_all_the_weights():
    toy = Toy()
    front = []
    toy.network[0].register_forward_hook(lambda *call: front.append(call))
    forward = bare_forward(toy, [np.ones((3, 4), np.float32)] * 2)
    # The linear layer holds all of them too.
    assert (toy.inner.calls, len(front)) == (2, 2)
    heard = []
    toy.inner.weights.register_forward_hook(lambda module, given, out: heard.append(out))
    forward()
    assert (toy.inner.calls, len(front), len(heard)) == (2, 2, 2)
