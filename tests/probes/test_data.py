"""Frames are read alike from one matrix, shards and memory maps."""

import numpy as np
import pytest

from benchmark.probes import data, design
from benchmark.probes.data import FrameTable
from benchmark.probes.run import run_probe


def test_shards_and_memory_maps_read_as_one_matrix(tmp_path, made):
    data = made()
    path = tmp_path / "frames.npy"
    np.save(path, data.frames)
    mapped = np.load(path, mmap_mode="r")
    cut = len(data.frames) // 3
    tables = [
        FrameTable(data.frames, data.offsets),
        FrameTable(mapped, data.offsets),
        FrameTable([mapped[:cut], mapped[cut:]], data.offsets),
        FrameTable.from_clips([mapped[a:b] for a, b in zip(data.offsets[:-1], data.offsets[1:], strict=True)]),
    ]
    clips = np.array([0, 3, 50, 119])
    expected = np.concatenate([data.frames[data.offsets[i] : data.offsets[i + 1]] for i in clips])
    for table in tables:
        rows, clip = table.rows(clips)
        assert np.array_equal(table.frames(rows).numpy(), expected)
        assert np.array_equal(np.bincount(clip), np.diff(data.offsets)[clips])


def test_half_precision_becomes_single():
    table = FrameTable(np.ones((4, 2), dtype=np.float16), np.array([0, 4]))
    assert table.frames(np.arange(4)).dtype.itemsize == 4


def test_subsample_is_evenly_spaced():
    table = FrameTable(np.zeros((112, 1), dtype=np.float32), np.array([0, 100, 110, 112]))
    rows, clip = table.rows(np.array([0, 1, 2]), max_frames_per_clip=5)
    assert rows.tolist() == [10, 30, 50, 70, 90, 101, 103, 105, 107, 109, 110, 111]
    assert clip.tolist() == [0] * 5 + [1] * 5 + [2] * 2


def test_bad_tables_are_refused():
    frames = np.zeros((4, 2), dtype=np.float32)
    with pytest.raises(ValueError, match="offsets must rise"):
        FrameTable(frames, np.array([0, 3]))
    with pytest.raises(ValueError, match="one F"):
        FrameTable([frames, frames[:, :1]], np.array([0, 8]))
    with pytest.raises(ValueError, match="3 clip vectors"):
        FrameTable(frames, np.array([0, 4]), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="clip 1 has no frames"):
        FrameTable(frames, np.array([0, 4, 4])).rows(np.array([0, 1]))
    with pytest.raises(ValueError, match="frames or vectors"):
        FrameTable(None)
    frames[2, 1] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity"):
        FrameTable(frames, np.array([0, 4])).frames(np.arange(4))


def test_pages_of_a_mapped_file_are_given_back_and_writable_ones_are_not(tmp_path):
    from benchmark.probes import data

    path = tmp_path / "frames"
    np.arange(600, dtype=np.float32).tofile(path)
    read = np.memmap(path, np.float32, "r", shape=(100, 6))
    assert data._mapped(read[10:20]) is read._mmap
    assert data._mapped(np.memmap(path, np.float32, "c", shape=(100, 6))) is None
    assert data._mapped(np.zeros((3, 6), np.float32)) is None
    table = FrameTable.from_clips([read[i : i + 10] for i in range(0, 100, 10)])
    assert np.array_equal(table.frames(np.arange(100)).numpy(), read)


def test_what_is_too_large_for_memory_is_probed_from_a_file(made, monkeypatch):
    found = made()
    plain = run_probe(FrameTable(found.frames, found.offsets), found.labels, found.splits, levels=("file", "frame"))
    monkeypatch.setattr(data, "_memory", lambda: 4 * found.frames.nbytes - 4)
    monkeypatch.setattr(design, "_COPIED", 0)
    assert isinstance(data._room(*found.frames.shape), np.memmap)
    rows = FrameTable(found.frames, found.offsets).frames(np.arange(len(found.frames)))
    np.testing.assert_array_equal(rows.numpy(), found.frames)
    mapped = run_probe(FrameTable(found.frames, found.offsets), found.labels, found.splits, levels=("file", "frame"))
    assert mapped.scores == plain.scores
    np.testing.assert_allclose(mapped.predictions.posterior, plain.predictions.posterior, atol=1e-4)
