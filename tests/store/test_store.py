import hashlib

import numpy as np
import pytest

from benchmark.errors import ClipError
from benchmark.store.shards import ShardWriter, read_shard
from benchmark.store.store import Store


def clips(seed=0, lengths=(3, 1, 4), dim=5):
    rng = np.random.default_rng(seed)
    return {
        f"clip-{seed}-{i}": (rng.standard_normal((n, dim)).astype(np.float32), np.arange(n) * 0.1)
        for i, n in enumerate(lengths)
    }


def fill(writer, embedded, lost=None):
    with writer:
        for clip, (frames, times) in embedded.items():
            writer.append(clip, frames, times)
        for clip, reason in (lost or {}).items():
            writer.lose(clip, reason)
        writer.finish()


def put(path, **kwargs):
    fill(ShardWriter(path, "float32", {"embedding": "e"}), clips(**kwargs))


def test_frames_come_back_as_written(tmp_path):
    embedded = clips()
    store = Store(tmp_path)
    fill(store.writer("e", "d", "k"), embedded, {"x": "empty file"})
    view = store.open("e", "d", ["k"])
    assert view.clip_ids == list(embedded)
    assert view.lost == {"x": "empty file"}
    for clip, (frames, times) in embedded.items():
        got, at = view.frames(clip)
        np.testing.assert_array_equal(got, frames)
        np.testing.assert_array_equal(at, times)


def test_float16_halves_and_rounds(tmp_path):
    embedded = clips()
    store = Store(tmp_path)
    fill(store.writer("e", "d", "k", "float16"), embedded)
    frames, _ = store.open("e", "d", ["k"]).frames("clip-0-2")
    assert frames.dtype == np.float16
    np.testing.assert_allclose(frames, embedded["clip-0-2"][0], rtol=1e-3, atol=1e-3)


def test_what_float16_cannot_hold_is_the_clips_fault(tmp_path):
    store = Store(tmp_path)
    with store.writer("e", "d", "k", "float16") as writer, pytest.raises(ClipError, match="up to 70000, too great"):
        writer.append("a", np.full((1, 2), 70_000, np.float32), np.zeros(1))


def test_clips_in_pieces_and_one_that_is_lost_after_some(tmp_path):
    store = Store(tmp_path)
    embedded = clips(lengths=(6, 5))
    with store.writer("e", "d", "k") as writer:
        for clip, (frames, times) in embedded.items():
            for start in range(0, len(frames), 2):
                writer.append(clip, frames[start : start + 2], times[start : start + 2])
            writer.append("broken", 9 * frames, times)
            writer.lose("broken", "truncated")
        assert not store.has("e", "d", "k")
        writer.finish()
    view = store.open("e", "d", ["k"])
    assert (view.clip_ids, view.lost) == (list(embedded), {"broken": "truncated"})
    for clip, (frames, times) in embedded.items():
        np.testing.assert_array_equal(view.frames(clip)[0], frames)
        np.testing.assert_array_equal(view.frames(clip)[1], times)


def test_several_shards_are_one_table(tmp_path):
    store = Store(tmp_path)
    for seed in (1, 2):
        fill(store.writer("e", "d", f"k{seed}"), clips(seed))
    view = store.open("e", "d", ["k1", "k2"])
    assert len(view.clip_ids) == 6
    np.testing.assert_array_equal(view.frames("clip-2-1")[0], clips(2)["clip-2-1"][0])


def test_the_same_content_gives_the_same_bytes(tmp_path):
    digests = set()
    for run in range(5):
        path = tmp_path / f"{run}.safetensors"
        put(path)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_format_is_safetensors(tmp_path):
    from safetensors.numpy import load_file

    put(tmp_path / "a.safetensors")
    assert load_file(tmp_path / "a.safetensors")["frames"].shape == (8, 5)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-1], lambda b: b[:20], lambda b: b"", lambda b: b + b"x", lambda b: b"\x00" * len(b)]
)
def test_a_shard_that_is_not_whole_is_not_there(tmp_path, damage):
    path = tmp_path / "a.safetensors"
    put(path)
    path.write_bytes(damage(path.read_bytes()))
    assert read_shard(path) is None


def test_a_store_with_nothing_in_it(tmp_path):
    store = Store(tmp_path)
    assert not store.has("e", "d", "k")
    with pytest.raises(KeyError):
        store.open("e", "d", ["k"])


def test_a_shard_whose_clips_were_all_lost(tmp_path):
    store = Store(tmp_path)
    fill(store.writer("e", "d", "k"), {}, {"a": "empty"})
    assert store.open("e", "d", ["k"]).lost == {"a": "empty"}


def test_prune_removes_stale_shards_and_what_a_kill_left(tmp_path):
    store = Store(tmp_path)
    for key in ("old", "new"):
        fill(store.writer("e", "d", key), clips())
    for name in (".new.safetensors.123", ".new.safetensors.123-frames"):
        (tmp_path / "e" / "d" / name).write_bytes(b"half")
    assert store.prune("e", "d", ["new"]) == 1
    assert sorted(p.name for p in (tmp_path / "e" / "d").iterdir()) == ["new.safetensors"]


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError):
        put(tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_forget_removes_what_nobody_knows_and_nothing_else(tmp_path):
    store = Store(tmp_path)
    for embedding in ("e", "gone"):
        for dataset in ("d", "old"):
            fill(store.writer(embedding, dataset, "k"), clips())
    (tmp_path / "gone" / "old" / "notes.txt").write_text("mine")
    (tmp_path / "readme").write_text("mine")
    assert store.forget({"e": ["d", "another"]}) == 3
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["e/d/k.safetensors", "gone/old/notes.txt", "readme"]
    assert not (tmp_path / "gone" / "d").exists()
