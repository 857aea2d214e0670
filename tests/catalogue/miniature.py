"""Miniatures: archives of the same layout as those of real datasets, made of a few dozen tiny sounds.

A module `mini_*.py` beside this one registers one function a dataset with `@miniature(name)`; the tests find them by name.
"""

import bz2
import gzip
import hashlib
import importlib
import io
import pkgutil
import tarfile
import wave
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

import tests.catalogue

Folder = Mapping[str, bytes]


@dataclass(frozen=True)
class Miniature:
    """What stands for the real files of a dataset.

    Attributes:
        files: for each source the content of its file, or of its folder for a folder of a `manual` source. Keys are the
            source's `file` (or the end of its first address), with its `to` in front where it has one; parts of a file
            each have their own name.
        expect: what must come out, instead of the description's `expect`.
    """

    files: Mapping[str, bytes | Folder]
    expect: dict = field(default_factory=dict)


_MAKERS: dict[str, Callable[[], Miniature]] = {}


def miniature(name: str) -> Callable[[Callable[[], Miniature]], Callable[[], Miniature]]:
    """Register the miniature of the dataset `name`."""

    def register(make: Callable[[], Miniature]) -> Callable[[], Miniature]:
        assert name not in _MAKERS, f"{name} has two miniatures"
        _MAKERS[name] = make
        return make

    return register


@lru_cache
def makers() -> dict[str, Callable[[], Miniature]]:
    """All miniatures by the name of their dataset."""
    for module in pkgutil.iter_modules(tests.catalogue.__path__):
        if module.name.startswith("mini_"):
            importlib.import_module(f"tests.catalogue.{module.name}")
    return dict(sorted(_MAKERS.items()))


def samples(label: object, seed: object = 0, seconds: float = 0.25, rate: int = 8000, channels: int = 1) -> np.ndarray:
    """(samples, channels) float64 in [-1, 1]: a tone whose pitch tells the label, in noise that tells the seed."""
    pitch = 200 + zlib.crc32(str(label).encode()) % 2000
    rng = np.random.default_rng(zlib.crc32(f"{label} {seed}".encode()))
    time = np.arange(round(seconds * rate)) / rate
    tone = 0.4 * np.sin(2 * np.pi * pitch * time + rng.uniform(0, 6))
    return tone[:, None] + 0.02 * rng.standard_normal((len(time), channels))


def sound(
    label: object,
    seed: object = 0,
    seconds: float = 0.25,
    rate: int = 8000,
    channels: int = 1,
    format: str = "WAV",
    **options: str,
) -> bytes:
    """A small sound file; two calls with other labels or seeds never give the same bytes."""
    content = samples(label, seed, seconds, rate, channels)
    buffer = io.BytesIO()
    if format == "WAV" and not options:
        with wave.open(buffer, "wb") as file:
            file.setparams((channels, 2, rate, 0, "NONE", ""))
            file.writeframes((content * 32767).astype("<i2").tobytes())
    else:
        soundfile.write(buffer, content, rate, format=format, **options)
    return buffer.getvalue()


def table(rows: Iterable[Sequence[object]], header: Sequence[str] = (), separator: str = ",") -> bytes:
    """Lines of cells; cells that hold the separator are quoted."""

    def cell(value: object) -> str:
        text = str(value)
        return f'"{text}"' if separator in text else text

    lines = [header, *rows] if header else rows
    return "".join(separator.join(map(cell, line)) + "\n" for line in lines).encode()


def zip_of(files: Folder) -> bytes:
    """A zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_of(files: Folder, compression: str = "gz") -> bytes:
    """A tar file, compressed by `gz`, `bz2` or not at all (``)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    pack = {"gz": lambda data: gzip.compress(data, 1), "bz2": bz2.compress, "": bytes}[compression]
    return pack(buffer.getvalue())


def cut(content: bytes, pieces: int) -> list[bytes]:
    """The content in pieces of about the same size."""
    size = -(-len(content) // pieces)
    return [content[start : start + size] for start in range(0, len(content), size)]


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def write_folder(folder: Path, files: Folder) -> None:
    """Write the files below `folder`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
