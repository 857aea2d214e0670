import hashlib

import numpy as np
import pytest

from benchmark.store.shards import pack, read_shard, write_shard
from benchmark.store.store import Store


def shard(seed=0, lengths=(3, 1, 4), dim=5, dtype="float32", lost=None):
    rng = np.random.default_rng(seed)
    embedded = [(rng.standard_normal((n, dim)).astype(np.float32), np.arange(n) * 0.1) for n in lengths]
    ids = [f"clip-{seed}-{i}" for i in range(len(lengths))]
    return pack(ids, embedded, lost or {}, dtype, {"embedding": "e"}), ids, embedded


def test_frames_come_back_as_written(tmp_path):
    written, ids, embedded = shard(lost={"x": "empty file"})
    store = Store(tmp_path)
    store.write("e", "d", "k", written)
    view = store.open("e", "d", ["k"])
    assert view.clip_ids == ids
    assert view.lost == {"x": "empty file"}
    for clip, (frames, times) in zip(ids, embedded, strict=True):
        got, at = view.frames(clip)
        np.testing.assert_array_equal(got, frames)
        np.testing.assert_array_equal(at, times)


def test_float16_halves_and_rounds(tmp_path):
    written, ids, embedded = shard(dtype="float16")
    store = Store(tmp_path)
    store.write("e", "d", "k", written)
    frames, _ = store.open("e", "d", ["k"]).frames(ids[2])
    assert frames.dtype == np.float16
    np.testing.assert_allclose(frames, embedded[2][0], rtol=1e-3, atol=1e-3)


def test_several_shards_are_one_table(tmp_path):
    store = Store(tmp_path)
    for seed in (1, 2):
        store.write("e", "d", f"k{seed}", shard(seed)[0])
    view = store.open("e", "d", ["k1", "k2"])
    assert len(view.clip_ids) == 6
    np.testing.assert_array_equal(view.frames("clip-2-1")[0], shard(2)[2][1][0])


def test_the_same_content_gives_the_same_bytes(tmp_path):
    digests = set()
    for run in range(5):
        path = tmp_path / f"{run}.safetensors"
        write_shard(path, shard()[0])
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_format_is_safetensors(tmp_path):
    from safetensors.numpy import load_file

    write_shard(tmp_path / "a.safetensors", shard()[0])
    assert load_file(tmp_path / "a.safetensors")["frames"].shape == (8, 5)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:20], lambda b: b"", lambda b: b + b"x", lambda b: b"\x00" * len(b)]
)
def test_a_shard_that_is_not_whole_is_not_there(tmp_path, damage):
    path = tmp_path / "a.safetensors"
    write_shard(path, shard()[0])
    path.write_bytes(damage(path.read_bytes()))
    assert read_shard(path) is None


def test_a_store_with_nothing_in_it(tmp_path):
    store = Store(tmp_path)
    assert not store.has("e", "d", "k")
    with pytest.raises(KeyError):
        store.open("e", "d", ["k"])


def test_a_shard_whose_clips_were_all_lost(tmp_path):
    store = Store(tmp_path)
    store.write("e", "d", "k", pack([], [], {"a": "empty"}, "float32", {}))
    assert store.open("e", "d", ["k"]).lost == {"a": "empty"}


def test_prune_removes_stale_shards_and_what_a_kill_left(tmp_path):
    store = Store(tmp_path)
    for key in ("old", "new"):
        store.write("e", "d", key, shard()[0])
    (tmp_path / "e" / "d" / ".new.safetensors.123").write_bytes(b"half")
    assert store.prune("e", "d", ["new"]) == 1
    assert sorted(p.name for p in (tmp_path / "e" / "d").iterdir()) == ["new.safetensors"]


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError):
        write_shard(tmp_path / "a.safetensors", shard()[0])
    assert list(tmp_path.iterdir()) == []
