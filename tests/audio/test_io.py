import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.audio.io import decode, measure, probe, seconds, stream
from benchmark.errors import ClipError

RATE = 16_000
NOISE = 0.2 * np.random.default_rng(0).standard_normal(2 * RATE).clip(-4, 4)
KINDS = {
    "wav": {},
    "flac": {},
    "mp3": {"format": "MP3"},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "aiff": {},
    "au": {},
    "w64": {},
    "rf64": {"format": "RF64"},
}


def write(path: Path, samples: np.ndarray = NOISE, rate: int = RATE, **options: str) -> Path:
    soundfile.write(path, samples, rate, **{**KINDS.get(path.suffix[1:], {}), **options})
    return path


def tone(rate: int, seconds: float = 1.0, hz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_decoded(tmp_path, kind):
    path = write(tmp_path / f"a.{kind}", tone(RATE))
    samples = decode(path, RATE)
    assert samples.dtype == np.float32
    assert samples.shape == (RATE,)
    assert samples.flags.c_contiguous
    error = np.sqrt(np.mean((samples[1000:-1000] - tone(RATE)[1000:-1000]) ** 2))
    assert error < (0.05 if kind in {"mp3", "ogg", "opus"} else 1e-4)
    assert probe(path) == (RATE, 1, RATE)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_depth_has_the_same_scale(tmp_path, subtype):
    samples = decode(write(tmp_path / "a.wav", tone(RATE), subtype=subtype), RATE)
    assert np.abs(samples - tone(RATE)).max() < (0.01 if subtype == "PCM_U8" else 1e-4)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_every_rate_becomes_the_one_asked_for(tmp_path, rate):
    samples = decode(write(tmp_path / "a.wav", tone(rate), rate), RATE)
    assert samples.shape == (RATE,)
    assert np.abs(samples[500:-500] - tone(RATE)[500:-500]).max() < 1e-3


def test_channels_are_averaged(tmp_path):
    path = write(tmp_path / "a.wav", np.stack([NOISE, np.zeros_like(NOISE)], axis=1), subtype="FLOAT")
    assert probe(path) == (RATE, 2, 2 * RATE)
    np.testing.assert_allclose(decode(path, RATE), NOISE / 2, atol=1e-7)


def test_floats_beyond_one_are_left_alone(tmp_path):
    samples = decode(write(tmp_path / "a.wav", 3 * tone(RATE), subtype="FLOAT"), RATE)
    assert samples.max() == pytest.approx(1.5, abs=1e-3)


def test_silence_and_a_single_sample_are_sound(tmp_path):
    assert not decode(write(tmp_path / "silent.wav", np.zeros(RATE)), 8_000).any()
    one = write(tmp_path / "one.wav", np.array([0.5]), subtype="FLOAT")
    assert decode(one, RATE).tolist() == [0.5]
    assert decode(one, 8_000).shape == (1,)
    assert decode(one, 44_100).shape[0] >= 1
    for rate in (1_000, 8_000, RATE, 44_100):
        np.testing.assert_array_equal(np.concatenate(list(stream(one, rate))), decode(one, rate))


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
def test_a_part_is_what_the_whole_has_there(tmp_path, kind):
    path = write(tmp_path / f"a.{kind}")
    whole = decode(path, RATE)
    np.testing.assert_allclose(decode(path, RATE, 0.5, 1.25), whole[RATE // 2 : RATE // 4 * 5], atol=1e-6)
    np.testing.assert_allclose(decode(path, RATE, 1.5), whole[RATE // 2 * 3 :], atol=1e-6)
    np.testing.assert_allclose(decode(path, RATE, None, 0.1), whole[: RATE // 10], atol=1e-6)
    assert len(decode(path, RATE, 1.5, 99.0)) == RATE // 2
    assert (seconds(path), seconds(path, 0.5, 1.25), seconds(path, 1.5, 99.0)) == (2.0, 0.75, 0.5)
    blocks = list(stream(path, 8_000, 0.2, 0.5, 1.25))
    assert len(blocks) > 2
    np.testing.assert_allclose(np.concatenate(blocks), decode(path, 8_000, 0.5, 1.25), atol=1e-6)


def test_a_part_after_the_end_is_refused(tmp_path):
    with pytest.raises(ClipError, match=r"is 2 s long and has nothing from 2 s on"):
        decode(write(tmp_path / "a.wav"), RATE, 2.0, 3.0)


def test_a_part_of_a_long_file_is_read_alone(tmp_path):
    path = write(tmp_path / "long.wav", np.zeros(600 * 8_000), 8_000)
    tracemalloc.start()
    decode(path, RATE, 500.0, 501.0)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 30_000),
    st.sampled_from([8_000, 11_025, 16_000, 44_100]),
    st.sampled_from([8_000, 16_000, 22_050, 48_000]),
    st.floats(0.01, 3.0),
    st.integers(1, 2),
)
def test_blocks_are_the_whole(tmp_path_factory, length, rate, target, block_s, channels):
    samples = 0.3 * np.random.default_rng(length).standard_normal((length, channels))
    path = write(tmp_path_factory.mktemp("s") / "a.wav", samples, rate, subtype="FLOAT")
    whole, blocks = decode(path, target), list(stream(path, target, block_s))
    assert all(block.dtype == np.float32 and len(block) for block in blocks)
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-5)


def test_measures(tmp_path):
    samples = np.stack([0.5 * tone(44_100, 2.0), np.zeros(88_200)], axis=1)
    samples[30_000] = -0.8
    found = measure(write(tmp_path / "a.flac", samples, 44_100))
    assert (found.rate, found.channels, found.seconds) == (44_100, 2, 2.0)
    assert found.peak == pytest.approx(0.8, abs=1e-3)
    assert measure(write(tmp_path / "silent.wav", np.zeros(100))).peak == 0


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = write(tmp_path / "long.wav", np.zeros(900 * 8_000), 8_000)
    tracemalloc.start()
    assert sum(len(block) for block in stream(path, RATE, 5.0)) == 900 * RATE
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def reasons(path: Path) -> list[str]:
    """What decode, stream and measure say."""
    found = []
    for read in (lambda: decode(path, 8_000), lambda: list(stream(path, 8_000, 0.5)), lambda: measure(path)):
        with pytest.raises(ClipError) as caught:
            read()
        found.append(str(caught.value))
        assert "\n" not in found[-1]
        assert found[-1].startswith(f"{path}: ")
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.0005, 0.3, 0.6, 0.95])
def test_truncated_files_are_refused(tmp_path, kind, part):
    path = write(tmp_path / f"a.{kind}")
    path.write_bytes(path.read_bytes()[: max(5, int(path.stat().st_size * part))])
    if kind == "mp3" and part == 0.95:
        # Its header counts a frame more than there is sound: a few per cent cannot be told from that.
        assert len(decode(path, RATE)) > 1.8 * RATE
        return
    assert all("truncated" in reason or "not audio" in reason for reason in reasons(path))


def test_a_header_for_a_pipe_promises_nothing(tmp_path):
    path = write(tmp_path / "a.wav")
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert len(decode(path, RATE)) == 2 * RATE


def test_a_flac_without_a_length_is_refused(tmp_path):
    path = write(tmp_path / "a.flac")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert all("does not say how long" in reason for reason in reasons(path))


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.flac", "a.m4a", "a.ogg"])
@pytest.mark.parametrize("content", [b"<html>not found</html>" * 50, bytes(5000), np.random.default_rng(1).bytes(9000)])
def test_what_is_no_sound_is_refused_with_a_mend(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert all("convert it to FLAC or WAV" in reason for reason in reasons(tmp_path / name))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("everywhere", [True, False])
def test_values_that_are_not_finite_are_refused(tmp_path, value, everywhere):
    samples = NOISE.copy()
    samples[slice(None) if everywhere else len(samples) - 3] = value
    path = write(tmp_path / "a.wav", np.stack([samples, NOISE], axis=1), subtype="FLOAT")
    assert all("not finite" in reason for reason in reasons(path))
    if not everywhere:
        assert len(decode(path, RATE, 0.0, 1.0)) == RATE


def test_empty_missing_and_folders(tmp_path):
    (tmp_path / "empty.wav").touch()
    assert all("the file is empty" in reason for reason in reasons(tmp_path / "empty.wav"))
    assert all("no such file" in reason for reason in reasons(tmp_path / "gone.wav"))
    assert all("is a folder" in reason for reason in reasons(tmp_path))
    assert all("holds no samples" in reason for reason in reasons(write(tmp_path / "none.wav", np.zeros(0))))
    with pytest.raises(ClipError, match="no such file"):
        probe(tmp_path / "gone.wav")
