import numpy as np
import pytest
import soundfile

from benchmark.audio.io import measure
from benchmark.audio.mp4 import read_mp4
from benchmark.audio.stems import read_mixture, read_stem
from benchmark.errors import ClipError
from tests.datasets.sounds import stem_mp4, tone, write

RATE = 44100


def stereo(path, left_hz, right_hz, seconds=0.2):
    samples = np.stack([tone(seconds, RATE, hz) for hz in (left_hz, right_hz)], axis=1)
    write(path, samples, RATE, subtype="FLOAT")
    return samples.T.astype(np.float32)


def test_a_file_a_channel_and_a_sum(tmp_path):
    first, second = stereo(tmp_path / "s/a#b.wav", 300, 500), stereo(tmp_path / "s/b.wav", 700, 900)
    both, rate = read_stem(tmp_path, "s/a#b.wav")
    assert rate == RATE
    assert np.array_equal(both, first)
    assert np.array_equal(read_stem(tmp_path, "s/a#b.wav#channel=1")[0], first[1:])
    assert np.array_equal(read_stem(tmp_path, ["s/a#b.wav", "s/b.wav"])[0], first + second)
    assert np.array_equal(read_stem(tmp_path, ["s/a#b.wav#channel=0", "s/b.wav#channel=1"])[0], first[:1] + second[1:])


def test_a_mixture_is_its_file_or_the_sum_of_its_stems(tmp_path):
    samples = stereo(tmp_path / "a.wav", 300, 500)
    labels = {"stem_vocals": "a.wav#channel=1", "stem_accompaniment": ["a.wav#channel=0"], "singer": "amy"}
    assert np.array_equal(read_mixture(tmp_path, tmp_path / "a.wav", labels)[0], samples)
    mixture, rate = read_mixture(tmp_path, tmp_path / "a.wav", labels, "sum")
    assert rate == RATE
    assert np.array_equal(mixture, samples.sum(0, keepdims=True))


@pytest.mark.parametrize(
    ("stem", "words"),
    [
        ("gone.wav", "cannot be read as sound"),
        ("a.wav#channel=2", "has no channel 2, but 2"),
        ("a.wav#stream=0", "only MP4 files have streams"),
        (["a.wav", "short.wav"], "cannot be added"),
        (["a.wav", "a.wav#channel=0"], "cannot be added"),
        ([], "the sum of nothing"),
        ("no.mp4#stream=0", "no such file"),
        ("bad.mp4#stream=0", "not an MP4 that can be decoded"),
    ],
)
def test_what_is_no_stem(tmp_path, stem, words):
    stereo(tmp_path / "a.wav", 300, 500)
    stereo(tmp_path / "short.wav", 300, 500, 0.1)
    (tmp_path / "bad.mp4").write_bytes(b"\0\0\0 ftypisom" + bytes(100))
    with pytest.raises(ClipError, match=words):
        read_stem(tmp_path, stem)


def pitch(samples):
    return np.argmax(np.abs(np.fft.rfft(samples[0] * np.hanning(samples.shape[1])))) * RATE / samples.shape[1]


def test_the_streams_of_a_stem_file(tmp_path):
    pitches = (440.0, 880.0, 1320.0, 1760.0, 2200.0)
    pytest.importorskip("av")
    (tmp_path / "song.stem.mp4").write_bytes(stem_mp4(pitches))
    for number, hz in enumerate(pitches):
        samples, rate = read_stem(tmp_path, f"song.stem.mp4#stream={number}")
        assert rate == RATE
        assert samples.shape[0] == 2
        assert abs(samples.shape[1] - RATE) < 3000
        assert pitch(samples) == pytest.approx(hz, abs=3)
        assert 0.3 < np.abs(samples[:, 5000:30000]).max() < 0.7
    total, _ = read_stem(tmp_path, ["song.stem.mp4#stream=1", "song.stem.mp4#stream=2"])
    assert total.shape == samples.shape
    about = measure(tmp_path / "song.stem.mp4")
    assert (about.rate, about.channels) == (RATE, 2)
    with pytest.raises(ClipError, match="has no audio stream 5, but 5 of them"):
        read_mp4(tmp_path / "song.stem.mp4", 5)


def test_without_pyav_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ClipError, match=r"pip install 'leveret\[mp4\]'"):
        read_stem(tmp_path, "song.stem.mp4#stream=1")


def test_a_stem_that_is_no_sound(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), 8000)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:20])
    with pytest.raises(ClipError, match="cannot be read as sound"):
        read_stem(tmp_path, "a.wav")
