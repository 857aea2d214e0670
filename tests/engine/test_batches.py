import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.registry import build_embedding
from benchmark.engine import batches
from benchmark.engine.batches import choose_batch, fastest_batch
from tests.parity.checkpoints import noisy_waveform

ROOT = Path(__file__).parents[2]


def config(name="ge2e"):
    return load(ROOT / "embeddings" / f"{name}.yaml", EmbeddingConfig)


class Timed:
    """Takes so much time a batch, and so much a second of audio, on a clock of its own."""

    sample_rate = 1000

    def __init__(self, batch_s, cost_batch, cost_s=0.0, slow_above=np.inf):
        self.batch_s, self.now = batch_s, 0.0
        self.cost_batch, self.cost_s, self.slow_above = cost_batch, cost_s, slow_above

    def embed(self, clips):
        seconds = sum(map(len, clips)) / self.sample_rate
        slow = 2.0 if self.batch_s > self.slow_above else 1.0
        self.now += np.ceil(seconds / self.batch_s) * self.cost_batch + seconds * self.cost_s * slow


@pytest.mark.parametrize(
    ("embedding", "best"),
    [
        (Timed(8.0, 1.0), 32.0),
        (Timed(8.0, 0.0, 1.0), 2.0),
        (Timed(8.0, 1.0, 1.0, slow_above=8.0), 8.0),
        (Timed(0.1, 1.0), 0.4),
        (Timed(100.0, 1.0), batches.GROUP_S),
    ],
)
def test_the_fastest_batch_wins_and_the_smaller_of_equals(embedding, best):
    assert fastest_batch(embedding, lambda: embedding.now) == pytest.approx(best)


def test_a_timing_is_made_once_a_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("LEVERET_HOME", str(tmp_path))
    timings = []
    monkeypatch.setattr(batches, "fastest_batch", lambda embedding: timings.append(embedding) or 12.5)
    for _ in range(2):
        embedding = build_embedding(config("logmel-stats"), device="cpu")
        choose_batch(embedding, config("logmel-stats"), "timed")
        assert not timings
    found = []
    for _ in range(2):
        embedding = _patches()
        choose_batch(embedding, config("lu-speech-music"), "timed")
        found.append(embedding.batch_s)
    assert len(timings) == 1
    assert found[0] == found[1] == pytest.approx(12.5, abs=1.0)
    assert list(json.loads((tmp_path / batches.LEDGER).read_text()).values()) == [12.5]


def _patches():
    return build_embedding(config("lu-speech-music"), device="cpu")


def test_a_number_is_taken_and_a_processor_keeps_the_familys_own():
    embedding = _patches()
    own = embedding.batch_s
    choose_batch(embedding, config("lu-speech-music"), "auto")
    assert embedding.batch_s == own == 8.0
    choose_batch(embedding, config("lu-speech-music"), 3.2)
    assert (embedding.batch_s, embedding.batch_size) == (3.0, 3)
    choose_batch(embedding, config("lu-speech-music"), 0.01)
    assert embedding.batch_size == 1


@pytest.mark.parametrize("name", ["ge2e", "lu-speech-music", "ina-sm"])
def test_batches_change_nothing_but_the_last_bits(name):
    embedding = build_embedding(config(name), device="cpu")
    rate = embedding.sample_rate
    clips = [noisy_waveform(round(seconds * rate), rate) for seconds in (2.0, 0.3, 3.1)]
    expected = embedding.embed(clips)
    for batch_s in (0.1, 2.0, 100.0):
        choose_batch(embedding, config(name), batch_s)
        for (frames, times), (others, at) in zip(embedding.embed(clips), expected, strict=True):
            np.testing.assert_array_equal(times, at)
            assert np.abs(frames - others).max() <= 1e-5 * np.abs(others).max()
