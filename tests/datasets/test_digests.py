import hashlib
import os
from pathlib import Path

import pytest

from benchmark.datasets import digests as module
from benchmark.datasets.digests import Digests


@pytest.fixture
def read(monkeypatch) -> list[Path]:
    """Files whose bytes were read."""
    found: list[Path] = []
    original = module._sha256
    monkeypatch.setattr(module, "_sha256", lambda path: found.append(path) or original(path))
    monkeypatch.setattr(module, "_SETTLED_S", -60)
    return found


def digest(root: Path, *paths: Path) -> list[str]:
    with Digests(root) as ledger:
        of_files = ledger.of_files(paths)
    return [of_files[path] for path in paths]


def test_a_file_is_read_once(tmp_path, read):
    path = tmp_path / "a.wav"
    path.write_bytes(b"sound")
    expected = [hashlib.sha256(b"sound").hexdigest()]
    assert digest(tmp_path / "data", path) == expected
    assert digest(tmp_path / "data", path, path)[:1] == expected
    assert read == [path]


def test_a_change_is_seen_though_size_and_time_are_the_same(tmp_path, read):
    path = tmp_path / "a.wav"
    path.write_bytes(b"sound")
    before = path.stat()
    (first,) = digest(tmp_path / "data", path)
    path.write_bytes(b"noise")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (second,) = digest(tmp_path / "data", path)
    assert first != second == hashlib.sha256(b"noise").hexdigest()


def test_a_file_put_in_anothers_place_is_seen(tmp_path, read):
    for name, content in (("a.wav", b"sound"), ("b.wav", b"noise")):
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (1, 1))
    path = tmp_path / "a.wav"
    (first,) = digest(tmp_path / "data", path)
    (tmp_path / "b.wav").replace(path)
    assert digest(tmp_path / "data", path) != [first]


def test_a_file_that_was_changed_a_moment_ago_is_not_remembered(tmp_path, read, monkeypatch):
    monkeypatch.setattr(module, "_SETTLED_S", 60)
    path = tmp_path / "a.wav"
    path.write_bytes(b"sound")
    digest(tmp_path / "data", path)
    digest(tmp_path / "data", path)
    assert read == [path, path]


def test_files_that_are_not_there(tmp_path, read):
    (tmp_path / "folder").mkdir()
    assert digest(tmp_path / "data", tmp_path / "gone.wav", tmp_path / "folder") == ["missing", "unreadable"]
