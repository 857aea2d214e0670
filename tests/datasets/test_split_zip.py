"""Zip files in segments, made by this test and, where it is installed, by Info-ZIP."""

import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmark.datasets import split_zip
from benchmark.datasets.split_zip import is_split_zip, make_single
from benchmark.datasets.unpack import unpack
from benchmark.errors import UserError
from tests.datasets.segments import split

RNG = np.random.default_rng(0)
FILES = {f"FSD50K.dev_audio/{i}.wav": RNG.bytes(20_000 + i) for i in range(20)}


def write_zip(path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    return path.read_bytes()


def joined(segments: list[bytes], path: Path) -> Path:
    path.write_bytes(b"".join(segments))
    make_single(path, [len(segment) for segment in segments])
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("count", [2, 5])
def test_segments_become_one_archive(tmp_path, count):
    segments = split(write_zip(tmp_path / "whole.zip"), count)
    assert len(segments) == count
    unpack(joined(segments, tmp_path / "a.zip"), tmp_path / "out")
    assert content(tmp_path / "out") == FILES


def test_offsets_beyond_32_bits_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(split_zip, "_FULL32", 100_000)
    path = joined(split(write_zip(tmp_path / "whole.zip"), 3), tmp_path / "a.zip")
    raw = path.read_bytes()
    # What stands in the place of a large number is of course the real limit; here it is a small one.
    at = raw.rfind(b"PK\x01\x02")
    (name, extra) = struct.unpack_from("<2H", raw, at + 28)
    kind, size, offset = struct.unpack_from("<2HQ", raw, at + 46 + name)
    assert (kind, size, extra) == (1, 8, 12)
    assert raw[offset : offset + 4] == b"PK\x03\x04"
    assert b"PK\x06\x06" in raw


@pytest.mark.skipif(shutil.which("zip") is None, reason="Info-ZIP is not installed")
def test_what_info_zip_splits_is_read(tmp_path):
    folder = tmp_path / "in"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    command = ["zip", "-q", "-0", "-r", "-s", "65k", str(tmp_path / "dev.zip"), "FSD50K.dev_audio"]
    subprocess.run(command, cwd=folder, check=True)
    names = [*sorted(path.name for path in tmp_path.glob("dev.z[0-9]*")), "dev.zip"]
    assert is_split_zip(names) and len(names) > 5
    unpack(joined([(tmp_path / name).read_bytes() for name in names], tmp_path / "a.zip"), tmp_path / "out")
    assert content(tmp_path / "out") == FILES


def test_a_missing_or_exchanged_segment_is_an_error(tmp_path):
    segments = split(write_zip(tmp_path / "whole.zip"), 4)
    with pytest.raises(UserError, match="segments"):
        joined(segments[:-1], tmp_path / "a.zip")
    for wrong in (segments[1:], [segments[1], segments[0], *segments[2:]]):
        with pytest.raises(UserError):
            unpack(joined(wrong, tmp_path / "b.zip"), tmp_path / "out")


def test_pieces_of_other_files_are_left_as_they_are():
    assert is_split_zip(["a.z01", "a.zip"])
    assert not is_split_zip(["mp3.zip.001", "mp3.zip.002"])
    assert not is_split_zip(["vox1_dev_wav_partaa", "vox1_dev_wav_partab"])
