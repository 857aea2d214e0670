import errno
import io
import shutil
import stat
import tarfile
import zipfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from benchmark.datasets import unpack as module
from benchmark.datasets import unpack_rules
from benchmark.datasets.unpack import is_archive, swap_in, unpack
from benchmark.errors import UserError

NOISE = np.random.default_rng(0).bytes(200_000)
FILES = {"set/a/1.wav": NOISE, "set/b/2.wav": NOISE[::-1], "set/list.csv": b"x,y\n"}


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path: Path, files: dict[str, bytes], *members: tarfile.TarInfo) -> Path:
    mode = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}[path.suffix]
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in members:
            archive.addfile(member)
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def make(path: Path, files: dict[str, bytes] = FILES) -> Path:
    return make_zip(path, files) if path.suffix == ".zip" else make_tar(path, files)


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"])
def test_every_kind_unpacks_to_the_same_files(tmp_path, name):
    unpack(make(tmp_path / name), tmp_path / "out")
    assert content(tmp_path / "out") == FILES
    assert is_archive(name)


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.97])
def test_a_truncated_archive_is_refused(tmp_path, name, part):
    archive = make(tmp_path / name)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(UserError, match="damaged or cut short") as caught:
        unpack(archive, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_a_tar_cut_between_two_members_is_refused(tmp_path):
    archive = make(tmp_path / "a.tar")
    size = 512 + 512 * -(-len(NOISE) // 512)
    archive.write_bytes(archive.read_bytes()[: 2 * size])
    with pytest.raises(UserError, match="cut short"):
        unpack(archive, tmp_path / "out")


def test_a_changed_byte_in_a_zip_is_seen(tmp_path):
    archive = make(tmp_path / "a.zip")
    data = bytearray(archive.read_bytes())
    data[1000] ^= 255
    archive.write_bytes(bytes(data))
    with pytest.raises(UserError, match="damaged"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_something_else_under_an_archives_name_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"<html>not found</html>" * 100)
    with pytest.raises(UserError, match="damaged"):
        unpack(tmp_path / name, tmp_path / "out")


@pytest.mark.parametrize("kind", ["a.zip", "a.tar.gz"])
@pytest.mark.parametrize("name", ["../evil.txt", "set/../../evil.txt", "/tmp/evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_paths_out_of_the_folder_are_refused(tmp_path, kind, name):
    archive = make(tmp_path / kind, {"set/fine.txt": b"x", name: b"evil"})
    with pytest.raises(UserError, match="leads out"):
        unpack(archive, tmp_path / "in" / "out")
    assert not list(tmp_path.rglob("evil*"))


def test_zips_refuse_before_they_write_anything(tmp_path):
    archive = make(tmp_path / "a.zip", {"set/fine.txt": b"x", "../evil.txt": b"evil"})
    with pytest.raises(UserError):
        unpack(archive, tmp_path / "out")
    assert content(tmp_path / "out") == {}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "../../../../../../etc/passwd"])
def test_links_out_of_a_tar_are_refused(tmp_path, kind, target):
    (tmp_path / "outside").write_text("secret")
    archive = make_tar(
        tmp_path / "a.tar", {"set/x": b"x"}, link("set/sub/l", target.replace("../../o", "../../../o"), kind)
    )
    with pytest.raises(UserError, match="out of its folder"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out/set/sub/l").exists()


def test_writing_through_a_linked_folder_is_impossible(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as file:
        file.addfile(link("set", "."))
        file.addfile(link("door", "set/../outside"))
        member = tarfile.TarInfo("door/evil.txt")
        member.size = 4
        file.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(UserError):
        unpack(archive, tmp_path / "out")
    assert not list(outside.iterdir())
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


def test_links_inside_become_files(tmp_path):
    links = [link("set/b/link.wav", "../a/1.wav"), link("set/hard.wav", "set/a/1.wav", tarfile.LNKTYPE)]
    unpack(make_tar(tmp_path / "a.tar", FILES, *links), tmp_path / "out")
    assert content(tmp_path / "out") == {**FILES, "set/b/link.wav": NOISE, "set/hard.wav": NOISE}
    assert not (tmp_path / "out/set/b/link.wav").is_symlink()


def test_a_link_in_a_zip_is_refused(tmp_path):
    archive = tmp_path / "a.zip"
    member = zipfile.ZipInfo("link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(member, "/etc/passwd")
    with pytest.raises(UserError, match="link"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(tmp_path, kind):
    with pytest.raises(UserError, match="device"):
        unpack(make_tar(tmp_path / "a.tar", {}, link("null", "", kind)), tmp_path / "out")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.xz"])
def test_bombs_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(unpack_rules, "FREE_SIZE", 1 << 20)
    archive = make(tmp_path / name, {f"{i}.wav": bytes(1 << 20) for i in range(8)})
    with pytest.raises(UserError, match="bomb"):
        unpack(archive, tmp_path / "out")
    assert sum(map(len, content(tmp_path / "out").values())) <= 2 << 20


def test_silence_in_a_small_archive_is_no_bomb(tmp_path):
    unpack(make_zip(tmp_path / "a.zip", {"a.wav": bytes(5 << 20)}), tmp_path / "out")
    assert (tmp_path / "out/a.wav").stat().st_size == 5 << 20


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_full_disk_is_seen_before_unpacking(tmp_path, monkeypatch, name):
    archive = make(tmp_path / name)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    with pytest.raises(UserError, match="free some"):
        unpack(archive, tmp_path / "out")


def test_a_disk_that_fills_up_is_one_line(tmp_path, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_member", full)
    with pytest.raises(UserError, match="no space left"):
        unpack(make(tmp_path / "a.zip"), tmp_path / "out")


def test_kinds_that_are_not_known_are_named(tmp_path):
    (tmp_path / "a.lzh").write_bytes(b"x")
    with pytest.raises(UserError, match="by hand"):
        unpack(tmp_path / "a.lzh", tmp_path / "out")


def test_swapping_in_replaces_the_old_folder(tmp_path):
    for name in ("made", "place"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    swap_in(tmp_path / "made", tmp_path / "place")
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["made"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["place"]
