"""Stems of mixtures, from what datasets say of them: files, channels or streams of files, and sums of such."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmark.audio.mp4 import SUFFIXES, read_mp4
from benchmark.errors import ClipError

_SPEC = re.compile(r"(?P<file>.+?)(?:#(?P<what>channel|stream)=(?P<number>\d+))?")


def read_stem(root: Path, stem: str | Sequence[str]) -> tuple[np.ndarray, int]:
    """A stem as (channels, samples) float32, and its rate in Hz.

    Args:
        root: the dataset's folder.
        stem: a path below it (`a.wav`), a channel (`a.wav#channel=1`) or an audio stream (`a.mp4#stream=4`) of a file,
            both counted from 0, or several of these, whose sum it is.

    Raises:
        ClipError: a file, channel or stream is not there or cannot be read, or parts of a sum differ in rate or length.
    """
    parts = [stem] if isinstance(stem, str) else list(stem)
    if not parts:
        raise ClipError(f"{root}: a stem that is the sum of nothing")
    total, rate = _read(root, parts[0])
    for part in parts[1:]:
        samples, other = _read(root, part)
        if other != rate or samples.shape != total.shape:
            raise ClipError(
                f"{root / part}: {samples.shape} samples at {other} Hz cannot be added to {total.shape} at {rate} Hz"
            )
        total = total + samples
    return total, rate


def read_mixture(root: Path, path: Path, labels: Mapping[str, Any], mixture: str = "file") -> tuple[np.ndarray, int]:
    """The mixture of a clip as (channels, samples) float32, and its rate in Hz.

    Args:
        root: the dataset's folder.
        path: the clip's file.
        labels: the clip's fields.
        mixture: `file`: the clip's file is the mixture; `sum`: the sum of its fields `stem_<source>` is.

    Raises:
        ClipError: as `read_stem`.
    """
    if mixture == "file":
        return _read(path.parent, path.name)
    stems = [value for name, value in sorted(labels.items()) if name.startswith("stem_")]
    return read_stem(root, [part for stem in stems for part in ([stem] if isinstance(stem, str) else stem)])


def _read(root: Path, spec: str) -> tuple[np.ndarray, int]:
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise ClipError(f"{root}: {spec!r} names no file")
    path, what, number = root / match["file"], match["what"], int(match["number"] or 0)
    if path.suffix.lower() in SUFFIXES:
        samples, rate = read_mp4(path, number if what == "stream" else 0)
    else:
        if what == "stream":
            raise ClipError(f"{path}: only MP4 files have streams; name a channel")
        try:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError) as error:
            raise ClipError(f"{path}: cannot be read as sound ({error})") from None
    if what == "channel":
        if number >= samples.shape[1]:
            raise ClipError(f"{path}: has no channel {number}, but {samples.shape[1]} of them")
        samples = samples[:, number : number + 1]
    return np.ascontiguousarray(samples.T), rate
