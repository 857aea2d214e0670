import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from benchmark.config.load import parse
from benchmark.config.schema_dataset import DatasetConfig
from benchmark.datasets import sources
from benchmark.datasets.read import is_ready, read_dataset
from benchmark.datasets.sources import prepare
from benchmark.errors import UserError
from tests.datasets.sounds import tone, write

RATE = 16000


def dataset(**make: Any) -> DatasetConfig:
    source = {"manual": "Ask for it", "file": "speech", "unpack": False}
    items = [
        {
            "glob": "mixtures/*/mix/*.wav",
            "path_regex": r"^mixtures/(?P<split>[^/]+)/mix/",
            "fields": {"stem_s1": "mixtures/{split}/s1/{name}", "stem_s2": "mixtures/{split}/s2/{name}"},
        }
    ]
    return parse({"name": "mine", "sources": [source], "items": items, "make": make}, DatasetConfig, "mine.yaml")


def speech(root: Path) -> Path:
    folder = root / "manual/mine/speech"
    write(folder / "a/one.wav", tone(0.3, RATE, 300), RATE, subtype="PCM_16")
    write(folder / "b/two.wav", tone(0.2, RATE, 900, level=0.25), RATE, subtype="PCM_16")
    return folder


def signals(root: Path, name: str, kinds: str = "mix s1 s2") -> list[np.ndarray]:
    read = [soundfile.read(root / f"audio/mine/mixtures/tt/{kind}/{name}") for kind in kinds.split()]
    assert {rate for _, rate in read} == {8000}
    return [samples for samples, _ in read]


WSJ0 = {"recipe": "wsj0-mix", "lists": {"tt": "speech/tt.txt"}, "levels": ["speech/levels.txt"], "audio": "speech"}


def wsj0(root: Path, levels: tuple[float, float] = (0.1, 0.05)) -> None:
    folder = speech(root)
    (folder / "tt.txt").write_text("a/one.wav 1.25 b/two.wav -1.25 \n")
    (folder / "levels.txt").write_text(f"one {levels[0]}\ntwo {levels[1]}\n")


def test_wsj0_mix_follows_the_levels_and_gains(tmp_path):
    wsj0(tmp_path)
    assert prepare(dataset(**WSJ0), tmp_path).fresh
    mix, s1, s2 = signals(tmp_path, "one_1.25_two_-1.25.wav")
    assert len(mix) == len(s1) == len(s2) == 1600
    assert np.abs(mix - s1 - s2).max() < 2 / 2**15
    assert max(np.abs(s).max() for s in (mix, s1, s2)) == pytest.approx(0.9, abs=1e-3)
    middle = slice(400, 1200)
    ratio = np.sqrt(np.mean(s1[middle] ** 2) / np.mean(s2[middle] ** 2))
    # The tones' levels, each over the root of its active level, and 2.5 dB.
    assert ratio == pytest.approx(0.5 / 0.25 * np.sqrt(0.05 / 0.1) * 10 ** (2.5 / 20), rel=0.01)
    (clip,) = read_dataset(dataset(**WSJ0), tmp_path)
    assert clip.split == "tt"
    assert clip.labels["stem_s2"] == "mixtures/tt/s2/one_1.25_two_-1.25.wav"


def test_the_longest_source_pads_the_others(tmp_path):
    wsj0(tmp_path)
    prepare(dataset(**WSJ0, length="max"), tmp_path)
    mix, s1, s2 = signals(tmp_path, "one_1.25_two_-1.25.wav")
    assert len(mix) == 2400
    assert not s2[1600:].any()
    assert s1[2000:].any()


@pytest.mark.parametrize("noisy", [False, True])
def test_librimix_follows_the_gains(tmp_path, noisy):
    folder = speech(tmp_path)
    # Shorter than the speech, and stereo: the first channel is repeated.
    hiss = np.random.default_rng(0).uniform(-0.1, 0.1, (round(0.15 * RATE), 2))
    write(folder / "noise/tt/n.wav", hiss, RATE, subtype="PCM_16")
    (folder / "test.csv").write_text(
        "mixture_ID,source_1_path,source_1_gain,source_2_path,source_2_gain,noise_path,noise_gain\n"
        "one_two,a/one.wav,0.5,b/two.wav,1.5,tt/n.wav,2.0\n"
    )
    make = {"recipe": "librimix", "lists": {"tt": "speech/test.csv"}, "audio": "speech", "length": "max"}
    prepare(dataset(**make, **({"noise": "noise"} if noisy else {})), tmp_path)
    mix, s1, s2, *noise = signals(tmp_path, "one_two.wav", "mix s1 s2 noise" if noisy else "mix s1 s2")
    assert np.abs(mix - s1 - s2 - sum(noise)).max() < 3 / 2**15
    assert np.abs(s1[400:1200]).max() == pytest.approx(0.25, rel=0.02)
    assert np.abs(s2[400:1200]).max() == pytest.approx(0.375, rel=0.02)
    if noisy:
        assert np.abs(noise[0][2000:]).max() > 0.02


def test_the_same_lists_give_the_same_bytes_and_are_made_once(tmp_path):
    wsj0(tmp_path)
    path = tmp_path / "audio/mine/mixtures/tt/mix/one_1.25_two_-1.25.wav"
    prepare(dataset(**WSJ0), tmp_path)
    first, made = path.read_bytes(), path.stat().st_mtime_ns
    assert not prepare(dataset(**WSJ0), tmp_path).fresh
    assert path.stat().st_mtime_ns == made
    shutil.rmtree(tmp_path / "audio")
    prepare(dataset(**WSJ0), tmp_path)
    assert path.read_bytes() == first


def test_another_recipe_makes_other_mixtures_without_fetching_again(tmp_path, monkeypatch):
    wsj0(tmp_path)
    prepare(dataset(**WSJ0), tmp_path)
    monkeypatch.setattr(sources, "fetch_sources", lambda *_: pytest.fail("fetched again"))
    assert prepare(dataset(**WSJ0, length="max"), tmp_path).fresh
    assert len(signals(tmp_path, "one_1.25_two_-1.25.wav")[0]) == 2400


def test_mixtures_that_are_half_made_are_not_taken_for_whole(tmp_path, monkeypatch):
    wsj0(tmp_path)
    config = dataset(**WSJ0)
    write = soundfile.write
    monkeypatch.setattr(
        soundfile, "write", lambda path, *rest, **more: _stop() if "s2" in str(path) else write(path, *rest, **more)
    )
    with pytest.raises(KeyboardInterrupt):
        prepare(config, tmp_path)
    assert not is_ready(config, tmp_path)
    monkeypatch.setattr(soundfile, "write", write)
    assert prepare(config, tmp_path).fresh
    assert is_ready(config, tmp_path)


def _stop() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "b/two.wav").unlink(), "1 of 2 sounds are not there (first: b/two.wav)"),
        (lambda folder: (folder / "levels.txt").write_text("one 0.1\n"), "'two' is in no table of levels"),
        (lambda folder: write(folder / "b/two.wav", rate=8000), "is at 8000 Hz instead of 16000"),
        (lambda folder: (folder / "b/two.wav").write_bytes(b"NIST_1A"), "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_persons_speech_is_said_in_a_line(tmp_path, spoil, words):
    wsj0(tmp_path)
    spoil(tmp_path / "manual/mine/speech")
    with pytest.raises(UserError) as caught:
        prepare(dataset(**WSJ0), tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not is_ready(dataset(**WSJ0), tmp_path)
