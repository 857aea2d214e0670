"""7z and RAR: the same files, and the same refusals, as of zip and tar."""

import shutil
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from benchmark.datasets import unpack_rules
from benchmark.datasets.unpack import is_archive, unpack
from benchmark.datasets.unpack_rules import DamagedArchive
from benchmark.errors import UserError
from tests.datasets.rar import member, rar_of
from tests.datasets.test_unpack import FILES, NOISE, content

py7zr = pytest.importorskip("py7zr")
pytest.importorskip("rarfile")

KINDS = ["a.7z", "a.rar"]


def make_rar(path: Path, files: dict[str, bytes], *members: bytes) -> Path:
    path.write_bytes(rar_of(files, *members))
    return path


def make(path: Path, files: dict[str, bytes] = FILES) -> Path:
    if path.suffix == ".rar":
        return make_rar(path, files)
    with py7zr.SevenZipFile(path, "w", filters=[{"id": py7zr.FILTER_LZMA2, "preset": 1}]) as archive:
        for name, data in files.items():
            archive.writestr(data, name)
    return path


@pytest.mark.parametrize("name", KINDS)
def test_members_come_out(tmp_path, name):
    unpack(make(tmp_path / name), tmp_path / "out")
    assert content(tmp_path / "out") == FILES
    assert is_archive(name.upper())


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.97, -7, -1])
def test_a_truncated_archive_is_refused(tmp_path, name, part):
    path = make(tmp_path / name)
    whole = path.read_bytes()
    path.write_bytes(whole[: part if part < 0 else int(part * len(whole))])
    with pytest.raises(DamagedArchive, match="damaged or cut short"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("name", KINDS)
def test_a_changed_byte_is_seen(tmp_path, name):
    path = make(tmp_path / name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DamagedArchive):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("name", KINDS)
def test_something_else_under_the_name_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"<html>not found</html>" * 40)
    with pytest.raises(DamagedArchive):
        unpack(tmp_path / name, tmp_path / "out")


@pytest.mark.parametrize("evil", ["../evil.txt", "set/../../evil.txt", "/tmp/evil.txt", "C:\\evil.txt"])
def test_paths_out_of_a_rar_are_refused(tmp_path, evil):
    with pytest.raises(UserError, match="refused"):
        unpack(make_rar(tmp_path / "a.rar", {"a.txt": b"a", evil: b"b"}), tmp_path / "out")
    assert content(tmp_path / "out") == {}


@pytest.mark.parametrize("evil", ["../evil.txt", "/tmp/evil.txt"])
def test_paths_out_of_a_7z_are_refused(tmp_path, monkeypatch, evil):
    # The library does not write such names itself.
    fine = "x" * len(evil)
    path = make(tmp_path / "a.7z", {"a.txt": b"a", fine: b"b"})
    listed = py7zr.SevenZipFile.list

    def evil_list(self):
        return [_renamed(info, evil) if info.filename == fine else info for info in listed(self)]

    monkeypatch.setattr(py7zr.SevenZipFile, "list", evil_list)
    with pytest.raises(UserError, match="refused"):
        unpack(path, tmp_path / "out")
    assert content(tmp_path / "out") == {}


def _renamed(info, name):
    info.filename = name
    return info


def test_links_are_refused(tmp_path):
    path = make_rar(tmp_path / "a.rar", {"a.txt": b"a"}, member("link", b"", link="/etc/passwd"))
    with pytest.raises(UserError, match="'link' is a link"):
        unpack(path, tmp_path / "out")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/link").symlink_to("/etc/passwd")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.writeall(tmp_path / "set", "set")
    with pytest.raises(UserError, match="is a link"):
        unpack(tmp_path / "a.7z", tmp_path / "out")
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


@pytest.mark.parametrize("name", KINDS)
def test_bombs_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(unpack_rules, "FREE_SIZE", 1 << 20)
    if name == "a.7z":
        path = make(tmp_path / name, {f"{i}.wav": bytes(1 << 20) for i in range(8)})
    else:
        path = make_rar(tmp_path / name, {}, member("a.wav", b"abc", method=3, size=8 << 20))
    with pytest.raises(UserError, match="bomb"):
        unpack(path, tmp_path / "out")
    assert content(tmp_path / "out") == {}


@pytest.mark.parametrize("name", KINDS)
def test_a_full_disk_is_seen_before_unpacking(tmp_path, monkeypatch, name):
    path = make(tmp_path / name)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    with pytest.raises(UserError, match="free some"):
        unpack(path, tmp_path / "out")


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    import rarfile

    path = make_rar(tmp_path / "a.rar", {}, member("a.wav", NOISE[:100], method=3))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(rarfile, "CURRENT_SETUP", None)
    with pytest.raises(UserError, match="unrar, unar or 7z; install one"):
        unpack(path, tmp_path / "out")
    for name in KINDS:
        make(tmp_path / name)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, {"a.7z": "py7zr", "a.rar": "rarfile"}[name], None)
            with pytest.raises(UserError, match=r"pip install 'leveret\[archives\]'"):
                unpack(tmp_path / name, tmp_path / "out")


def test_an_encrypted_archive_is_refused(tmp_path):
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w", password="secret") as archive:
        archive.writestr(NOISE, "a.wav")
    with pytest.raises(UserError, match="encrypted; unpack it by hand"):
        unpack(tmp_path / "a.7z", tmp_path / "out")
