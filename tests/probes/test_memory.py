"""A big table takes little more memory than its own size: the part of 6 GB that a million frames of 768 may take."""

import subprocess
import sys

import numpy as np
import pytest

_FRAMES, _DIM = 100_000, 768

_PROBE = """
import resource, sys
import numpy as np, torch
from benchmark.config.schema_probe import LogisticSettings
from benchmark.metrics.folds import make_splits
from benchmark.probes.data import FrameTable
from benchmark.probes.run import run_probe
import benchmark.probes.logistic
torch.set_num_threads(1)
frames = np.memmap(sys.argv[1], np.float32, "r", shape=(int(sys.argv[2]), int(sys.argv[3])))
clips = len(frames) // 100
labels = np.arange(clips) % 3
splits = make_splits([str(i) for i in range(clips)], labels, None, "stratified", k=5)
table = FrameTable.from_clips([frames[i * 100 : (i + 1) * 100] for i in range(clips)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = run_probe(table, labels, splits, "logistic", LogisticSettings(C=[1e-4, 1e-3]), ("file", "frame"))
assert np.mean(result.scores["file"]["accuracy"]) > 0.9
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.slow
def test_frames_of_a_mapped_file_are_probed_in_their_own_size_and_a_bit(tmp_path):
    rng = np.random.default_rng(0)
    frames = np.memmap(tmp_path / "frames", np.float32, "w+", shape=(_FRAMES, _DIM))
    centres = rng.normal(size=(3, _DIM)).astype(np.float32) * 0.1
    for start in range(0, _FRAMES, 10_000):
        labels = (np.arange(start, start + 10_000) // 100) % 3
        frames[start : start + 10_000] = centres[labels] + rng.standard_normal((10_000, _DIM), np.float32)
    frames.flush()
    del frames
    arguments = [str(tmp_path / "frames"), str(_FRAMES), str(_DIM)]
    done = subprocess.run([sys.executable, "-c", _PROBE, *arguments], capture_output=True, text=True, check=True)
    # 5.5 GB a million frames, which leaves half a gigabyte to the interpreter and its libraries.
    assert float(done.stdout) < 5.5e9 * _FRAMES / 1e6
