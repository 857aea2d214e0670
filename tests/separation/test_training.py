"""Training: the same weights after a kill as without one, any layout of stems, and examples that depend on the seed."""

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from benchmark.config.schema_separator import SeparatorConfig, TrainingConfig
from benchmark.datasets.clips import Clip
from benchmark.errors import ClipError
from benchmark.separation.families import build_separator
from benchmark.separation.stems import StemReader, Track
from benchmark.separation.training import cut, train_separator

TRAIN = {"steps": 12, "batch": 2, "segment_s": 0.25, "validate_every": 3, "lr": 1e-3}


def write_tracks(folder: Path, count=4, rate=8000) -> list[Track]:
    rng = np.random.default_rng(0)
    tracks = []
    for i in range(count):
        path = folder / f"{i}.wav"
        soundfile.write(path, 0.1 * rng.standard_normal((4000, 2)), rate)
        labels = {"stem_a": f"{path.name}#channel=0", "stem_b": f"{path.name}#channel=1"}
        tracks.append(Track(f"t{i}", folder, path, labels, ("a", "b")))
    return tracks


def small():
    config = SeparatorConfig(
        name="x",
        family="mask_inference",
        args={"units": 8, "layers": 2, "dropout": 0.3},
        sample_rate=8000,
        stft={"size": 64, "hop": 32},
    )
    torch.manual_seed(0)
    return build_separator(config, ["a", "b"], False)


def digest(module) -> str:
    data = b"".join(t.numpy().tobytes() for _, t in sorted(module.state_dict().items()))
    return hashlib.sha256(data).hexdigest()


SCRIPT = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    import torch
    torch.set_num_threads(1)
    from tests.separation.test_training import TRAIN, digest, small, write_tracks
    from benchmark.config.schema_separator import TrainingConfig
    from benchmark.separation.stems import StemReader
    from benchmark.separation.training import train_separator
    folder, state, slow = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    tracks, separator = write_tracks(folder), small()
    train_separator(separator, tracks[:3], tracks[3:], StemReader(8000, 1), TrainingConfig(**TRAIN), 7, state,
                    progress=lambda done, of: time.sleep(slow))
    print(digest(separator))
    """
)


def test_a_killed_training_ends_with_the_same_weights(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def start(name, slow):
        command = [sys.executable, script, tmp_path, tmp_path / name, str(slow)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    whole = start("whole.pt", 0)
    killed = start("state.pt", 0.4)
    deadline = time.monotonic() + 240
    while not (tmp_path / "state.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert (tmp_path / "state.pt").exists()
    resumed, _ = start("state.pt", 0).communicate(timeout=240)
    undisturbed, _ = whole.communicate(timeout=240)
    assert resumed == undisturbed
    assert len(resumed.strip()) == 64
    assert not (tmp_path / "state.pt").exists()


def test_another_seed_is_another_training(tmp_path):
    tracks = write_tracks(tmp_path)
    config = TrainingConfig(**{**TRAIN, "steps": 4})
    found = set()
    for seed in (0, 0, 1):
        separator = small()
        train_separator(separator, tracks, [], StemReader(8000, 1), config, seed)
        found.add(digest(separator))
    assert len(found) == 2


def test_the_best_validation_is_kept_and_patience_ends(tmp_path):
    tracks = write_tracks(tmp_path)
    config = TrainingConfig(**{**TRAIN, "steps": 400, "lr": 3.0, "patience": 2, "halve_after": 1})
    report = train_separator(small(), tracks[:3], tracks[3:], StemReader(8000, 1), config, 0)
    assert report.steps < 400
    assert report.best_loss == min(loss for _, _, loss in report.losses)
    assert report.best_step == next(step for step, _, loss in report.losses if loss == report.best_loss)


def test_stems_are_read_as_the_dataset_says(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("drums", "bass", "mix"):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * rng.standard_normal((16000, 2)), 16000)
    fields = {"stem_vocals": "mix.wav#channel=1", "stem_rest": ["drums.wav", "bass.wav"]}
    clip = Clip("x", tmp_path / "mix.wav", start=0.25, end=0.75, labels=fields)
    track = Track.of(clip, ["vocals", "rest"], tmp_path, "file")
    assert [path.name for path in track.files] == ["bass.wav", "drums.wav", "mix.wav"]
    stems = StemReader(16000, 2).stems(track)
    assert stems.shape == (2, 2, 8000)
    drums, bass, mix = (soundfile.read(tmp_path / f"{name}.wav")[0].T for name in ("drums", "bass", "mix"))
    np.testing.assert_allclose(stems[1], (drums + bass)[:, 4000:12000], atol=1e-6)
    np.testing.assert_allclose(stems[0], np.stack([mix[1, 4000:12000]] * 2), atol=1e-6)
    np.testing.assert_allclose(StemReader(16000, 2).mixture(track), mix[:, 4000:12000], atol=1e-6)
    assert StemReader(8000, 1).stems(track).shape == (2, 1, 4000)


def test_one_source_of_a_mixture_leaves_a_rest(tmp_path):
    rng = np.random.default_rng(0)
    speech, noisy = 0.1 * rng.standard_normal((2, 8000))
    soundfile.write(tmp_path / "speech.wav", speech, 8000, subtype="FLOAT")
    soundfile.write(tmp_path / "noisy.wav", noisy, 8000, subtype="FLOAT")
    track = Track("x", tmp_path, tmp_path / "noisy.wav", {"stem_speech": "speech.wav"}, ("speech",), "file")
    reader = StemReader(8000, 1)
    np.testing.assert_allclose(reader.parts(track)[:, 0], [speech, noisy - speech], atol=1e-6)
    np.testing.assert_allclose(reader.mixture(track)[0], noisy, atol=1e-6)
    assert reader.stems(track).shape == (1, 1, 8000)


def test_a_channel_that_is_not_there_and_a_broken_file_are_named(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 8000)
    (tmp_path / "b.wav").write_bytes(b"no sound")
    for place, complaint in (("a.wav#channel=3", "no channel 3"), ("b.wav", "b.wav"), ("c.wav", "c.wav")):
        with pytest.raises(ClipError, match=complaint):
            StemReader(8000, 1).stems(Track("x", tmp_path, tmp_path / "a.wav", {"stem_a": place}, ("a",)))


def test_memory_of_the_reader_is_bounded(tmp_path):
    tracks = write_tracks(tmp_path, count=6)
    reader = StemReader(8000, 1, cache_bytes=3 * 33_000)
    for track in tracks:
        reader.stems(track)
    assert reader._held <= 3 * 33_000
    assert tracks[0].id not in reader._cache


def test_cuts_have_exactly_the_length():
    stems = np.arange(10, dtype=np.float32)[None, None]
    rng = np.random.default_rng(0)
    assert cut(stems, 4)[0, 0].tolist() == [3, 4, 5, 6]
    assert cut(stems, 16, rng).shape == (1, 1, 16)
    assert cut(stems, 4, rng).shape == (1, 1, 4)
