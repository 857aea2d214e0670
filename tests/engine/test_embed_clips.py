"""From files to shards: groups, long clips in bounded memory, and what goes wrong on the way."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from benchmark.audio.frontends import MelSpectrogram
from benchmark.audio.io import decode
from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.datasets.clips import Clip
from benchmark.embeddings.feature_patches import FeatureEmbedding, Layout
from benchmark.embeddings.registry import build_embedding
from benchmark.engine import embed_clips as module
from benchmark.engine.embed_clips import Sink, embed_clips
from benchmark.errors import ClipError
from benchmark.store.store import Store
from tests.parity.checkpoints import noisy_waveform

ROOT = Path(__file__).parents[2]
RATE = 22_050


def embedding(name="logmel-stats"):
    return build_embedding(load(ROOT / "embeddings" / f"{name}.yaml", EmbeddingConfig), device="cpu")


def write(folder: Path, name: str, seconds: float, rate: int = RATE) -> Clip:
    path = folder / f"{name}.wav"
    soundfile.write(path, noisy_waveform(round(seconds * rate), rate), rate, subtype="PCM_16")
    return Clip(name, path, None, None, {}, None, None)


def run(store: Store, clips, embeddings) -> list[Sink]:
    sinks = []
    for number, one in enumerate(embeddings):
        writer = store.writer(str(number), "d", "k").__enter__()
        sinks.append(Sink(one, writer))
    embed_clips(clips, embeddings[0].sample_rate, sinks)
    for sink in sinks:
        sink.writer.__exit__()
    return sinks


@pytest.fixture
def short_patience(monkeypatch):
    """Groups of 3 s, and what is longer than 4 s counts as long."""
    monkeypatch.setattr(module, "GROUP_S", 3.0)
    monkeypatch.setattr(module, "LONGEST_S", 4.0)


def test_groups_and_long_clips_give_what_each_clip_gives_alone(tmp_path, short_patience, monkeypatch):
    lengths = [0.3, 9.0, 1.2, 2.9, 0.7, 21.0, 1.1]
    clips = [write(tmp_path, f"c{i}", length, 16_000) for i, length in enumerate(lengths)]
    clips.append(Clip("part", clips[5].path, 3.0, 14.5, {}, None, None))
    embeddings = [embedding("logmel-stats"), embedding("mfcc-stats")]
    for one in embeddings:
        one.longest_s = 4.0
    opened = []
    whole, in_blocks = module.decode, module.stream
    monkeypatch.setattr(module, "decode", lambda path, *args: opened.append(path) or whole(path, *args))
    monkeypatch.setattr(module, "stream", lambda path, *args, **kw: opened.append(path) or in_blocks(path, *args, **kw))
    store = Store(tmp_path / "store")
    assert [sink.failed for sink in run(store, clips, embeddings)] == [None, None]
    # Once for both.
    assert sorted(opened) == sorted(clip.path for clip in clips)
    for number, one in enumerate(embeddings):
        view = store.open(str(number), "d", ["k"])
        assert sorted(view.clip_ids) == sorted(clip.id for clip in clips)
        for clip in clips:
            frames, times = one.embed([decode(clip.path, RATE, clip.start, clip.end)])[0]
            np.testing.assert_allclose(view.frames(clip.id)[1], times, atol=1e-9)
            assert np.abs(view.frames(clip.id)[0] - frames).max() <= 1e-5 * np.abs(frames).max()


def test_the_order_of_clips_changes_no_byte(tmp_path, short_patience):
    clips = [write(tmp_path, f"c{i}", length) for i, length in enumerate([0.3, 1.2, 5.0, 2.9, 0.7])]
    for name, order in (("a", clips), ("b", clips[::-1])):
        run(Store(tmp_path / name), order, [embedding()])
    (one,), (other,) = ((tmp_path / name).rglob("*.safetensors") for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_what_cannot_be_read_is_lost_and_the_others_are_there(tmp_path, short_patience):
    clips = [write(tmp_path, f"c{i}", length) for i, length in enumerate([0.5, 9.0, 9.5, 1.0])]
    # Damaged in the middle: a flac whose second half is noise is noticed late.
    late = tmp_path / "late.flac"
    soundfile.write(late, noisy_waveform(40 * RATE, RATE), RATE)
    content = bytearray(late.read_bytes())
    content[len(content) * 3 // 4 :] = bytes(len(content) - len(content) * 3 // 4)
    late.write_bytes(content)
    (tmp_path / "empty.wav").write_bytes(b"")
    for name in ("late.flac", "empty.wav", "missing.wav"):
        clips.append(Clip(name, tmp_path / name, None, None, {}, None, None))
    embeddings = [embedding(), embedding("mfcc-stats")]
    for one in embeddings:
        one.longest_s = 4.0
    store = Store(tmp_path / "store")
    run(store, clips, embeddings)
    for number in ("0", "1"):
        view = store.open(number, "d", ["k"])
        assert sorted(view.clip_ids) == ["c0", "c1", "c2", "c3"]
        assert sorted(view.lost) == ["empty.wav", "late.flac", "missing.wav"]
        assert "truncated or damaged" in view.lost["late.flac"]


class Refusing:
    """Refuses clips of some lengths, or breaks down."""

    def __init__(self, one, refused=(), broken=False):
        self.one, self.refused, self.broken = one, refused, broken
        self.sample_rate = one.sample_rate

    def embed(self, waveforms):
        if self.broken:
            raise RuntimeError("out of luck")
        if any(len(waveform) in self.refused for waveform in waveforms):
            raise ClipError("not this one")
        return self.one.embed(waveforms)

    def embed_stream(self, blocks):
        pieces = self.one.embed_stream(blocks)
        yield next(pieces)
        if self.broken:
            raise RuntimeError("out of luck")
        raise ClipError("not the rest")


def test_an_embedding_that_refuses_or_breaks_disturbs_no_other(tmp_path, short_patience):
    clips = [write(tmp_path, f"c{i}", length) for i, length in enumerate([0.5, 1.0, 20.0])]
    fine = embedding()
    fine.longest_s = 4.0
    store = Store(tmp_path / "store")
    sinks = run(store, clips, [Refusing(fine, broken=True), fine, Refusing(fine, refused=(RATE // 2,))])
    assert [sink.failed for sink in sinks] == ["RuntimeError: out of luck", None, None]
    assert not store.has("0", "d", "k")
    assert sorted(store.open("1", "d", ["k"]).clip_ids) == ["c0", "c1", "c2"]
    view = store.open("2", "d", ["k"])
    assert (view.clip_ids, view.lost) == (["c1"], {"c0": "not this one", "c2": "not the rest"})
    assert not list((tmp_path / "store").rglob(".*"))


MEASURE = """
import resource, sys
from pathlib import Path
from benchmark.datasets.clips import Clip
from benchmark.engine.embed_clips import Sink, embed_clips
from benchmark.store.store import Store
from tests.engine.test_embed_clips import spectra

sound, store = Path(sys.argv[1]), Store(Path(sys.argv[2]))
one = spectra()
with store.writer("e", "d", "k") as writer:
    embed_clips([Clip("c", sound, None, None, {}, None, None)], one.sample_rate, [Sink(one, writer)])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, store.open("e", "d", ["k"]).frames("c")[1][-1])
"""


def spectra():
    """A mel spectrum every tenth of a second, at 8 kHz: as much memory a second as any front end, and little work."""
    config = EmbeddingConfig(name="spectra", family="spectra")
    mel = MelSpectrogram(8_000, 512, 400, 40)
    layout = Layout(2, 2, 0.05)
    return FeatureEmbedding(config, mel, torch.nn.Flatten(), 256, layout, 400, sample_rate=8_000, dim=80, device="cpu")


@pytest.mark.slow
def test_three_hours_take_no_more_memory_than_ten_minutes(tmp_path):
    peaks = {}
    for seconds in (600, 3 * 3600):
        path = tmp_path / f"{seconds}.wav"
        with soundfile.SoundFile(path, "w", 8_000, 1, "PCM_16") as file:
            minute = noisy_waveform(60 * 8_000, 8_000)
            for _ in range(seconds // 60):
                file.write(minute)
        command = [sys.executable, "-c", MEASURE, str(path), str(tmp_path / "store")]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        peaks[seconds], last = map(float, done.stdout.split())
        assert last == pytest.approx(seconds, abs=0.5)
        path.unlink()
    # MB. The frames of three hours, 35 MB, are not kept in memory.
    assert peaks[10_800] < peaks[600] + 20
