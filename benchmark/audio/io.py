"""Decoding: any file that libsndfile reads, and MP4 where PyAV is installed -> mono float32 at the rate that is asked for.

Samples of integer formats lie in [-1, 1]; float files are taken as they are, beyond 1 too, since clipping or scaling
would change what was recorded. Channels are averaged. Resampling is soxr's HQ. Silence and a single sample are sound
like any other. A file that is cut short is refused as a whole, even where the part that is asked for is there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from benchmark.audio.containers import missing_bytes
from benchmark.audio.mp4 import SUFFIXES, as_wav
from benchmark.errors import ClipError

EXTENSIONS = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".au", ".w64", ".rf64", ".caf", ".sph"}
)

_BLOCK_SECONDS = 30.0

# Of the codings that have a number of bits a sample.
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64}

# FLAC files that were written to a pipe claim about 2^63 frames.
_ENDLESS = 1 << 48

# Part of the length in an MP3's header that must be there: encoders may count a frame more than decoders give.
_MP3_SLACK = 0.9


@dataclass(frozen=True)
class Measure:
    """A file of sound: sample rate in Hz, channels, length, and the largest magnitude of the mean of its channels."""

    rate: int
    channels: int
    seconds: float
    peak: float


def probe(path: Path) -> tuple[int, int, int]:
    """Sample rate in Hz, channels, and frames of a file, from its header.

    Raises:
        ClipError: the file is missing, empty, cut short, or not audio that can be read.
    """
    with _open(path) as file:
        return file.samplerate, file.channels, file.frames


def bits_per_sample(path: Path) -> int | None:
    """Bits of a sample as the file stores it; None for codings that have no such number (MP3, Ogg).

    Raises:
        ClipError: the file is missing, empty, cut short, or not audio that can be read.
    """
    with _open(path) as file:
        return _BITS.get(file.subtype)


def decode(path: Path, sample_rate: int, start: float | None = None, end: float | None = None) -> np.ndarray:
    """A file, or its part from `start` to `end` in seconds: (samples,) float32, mono, at `sample_rate` Hz.

    Only that part is read. Where the file ends before `end`, so does the part.

    Raises:
        ClipError: the file is missing, empty, truncated, not audio, holds values that are not finite, or ends before
            `start`.
    """
    with _open(path) as file:
        rate = file.samplerate
        first, last = _part(file, start, end, path)
        if first:
            file.seek(first)
        mono = _read(file, last - first, path)
        _check_length(len(mono), last - first, file.format, path)
    if rate == sample_rate:
        return mono
    resampled = soxr.resample(mono, rate, sample_rate, quality="HQ")
    return resampled if len(resampled) else _next_to_nothing()


def seconds(path: Path, start: float | None = None, end: float | None = None) -> float:
    """Length of what `decode` gives, from the file's header.

    Raises:
        ClipError: the file is missing, empty, cut short, not audio that can be read, or ends before `start`.
    """
    with _open(path) as file:
        first, last = _part(file, start, end, path)
        return (last - first) / file.samplerate


def stream(
    path: Path,
    sample_rate: int,
    block_s: float = _BLOCK_SECONDS,
    start: float | None = None,
    end: float | None = None,
) -> Iterator[np.ndarray]:
    """The samples of `decode` in consecutive blocks of about `block_s` seconds; memory does not grow with the file.

    Raises:
        ClipError: as `decode`, and as late as the block that is wrong.
    """
    with _open(path) as file:
        first, last = _part(file, start, end, path)
        rate, promised, given = file.samplerate, last - first, 0
        if first:
            file.seek(first)
        resampler = None
        if rate != sample_rate:
            resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
        size = max(1, round(block_s * rate))
        read, ended = 0, False
        while not ended:
            block = _read(file, min(size, promised - read), path)
            read += len(block)
            ended = len(block) < size or read == promised
            if resampler is not None:
                block = resampler.resample_chunk(block, last=ended)
            given += len(block)
            if len(block):
                yield block
        _check_length(read, promised, file.format, path)
    if not given:
        yield _next_to_nothing()


def measure(path: Path) -> Measure:
    """Read a file once, at its own rate and in blocks, without keeping it.

    Raises:
        ClipError: as `decode`.
    """
    with _open(path) as file:
        rate, promised, read, peak = file.samplerate, file.frames, 0, 0.0
        while read < promised:
            block = _read(file, min(round(_BLOCK_SECONDS * rate), promised - read), path)
            if not len(block):
                break
            read += len(block)
            peak = max(peak, float(block.max()), -float(block.min()))
        _check_length(read, promised, file.format, path)
        return Measure(rate, file.channels, read / rate, peak)


def _part(file: soundfile.SoundFile, start: float | None, end: float | None, path: Path) -> tuple[int, int]:
    """First frame and the one behind the last of the part from `start` to `end` in seconds."""
    rate = file.samplerate
    first = round((start or 0.0) * rate)
    last = file.frames if end is None else min(round(end * rate), file.frames)
    if last <= first:
        raise ClipError(f"{path}: is {file.frames / rate:g} s long and has nothing from {start or 0:g} s on")
    return first, last


def _open(path: Path) -> soundfile.SoundFile:
    try:
        if path.stat().st_size == 0:
            raise ClipError(f"{path}: the file is empty")
        missing = missing_bytes(path)
        if missing:
            raise ClipError(f"{path}: truncated: {missing} bytes that its header promises are missing; fetch it again")
        file = soundfile.SoundFile(as_wav(path) if path.suffix.lower() in SUFFIXES else path)
    except FileNotFoundError:
        raise ClipError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ClipError(f"{path}: is a folder") from None
    except PermissionError:
        raise ClipError(f"{path}: may not be read; mend its permissions") from None
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        if reason.startswith("File does not exist"):
            # What the MP3 reader says of a file that is no MP3.
            reason = "Format not recognised"
        raise ClipError(f"{path}: not audio that libsndfile reads ({reason}); convert it to FLAC or WAV") from None
    if not 0 < file.frames < _ENDLESS:
        problem = "holds no samples" if file.frames <= 0 else "does not say how long it is; encode it again"
        file.close()
        raise ClipError(f"{path}: {problem}")
    return file


def _read(file: soundfile.SoundFile, frames: int, path: Path) -> np.ndarray:
    """The next `frames` frames, or as many as there are, as the mean of their channels: (frames,) float32."""
    try:
        samples = file.read(frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.removeprefix("Error : ").rstrip(".")
        raise ClipError(f"{path}: truncated or damaged ({reason}); fetch it again") from None
    mono = samples[:, 0]
    if samples.shape[1] > 1:
        # NumPy's mean over so short an axis takes longer than decoding.
        mono = mono.copy()
        for channel in samples.T[1:]:
            mono += channel
        mono /= samples.shape[1]
    if not np.isfinite(mono).all():
        raise ClipError(f"{path}: holds values that are not finite (NaN or infinite)")
    return np.ascontiguousarray(mono)


def _check_length(read: int, promised: int, kind: str, path: Path) -> None:
    if read == 0 or read < promised * (_MP3_SLACK if kind == "MP3" else 1.0):
        missing = promised - read
        raise ClipError(f"{path}: truncated: {missing} samples that its header promises are missing; fetch it again")


def _next_to_nothing() -> np.ndarray:
    """What a few samples become at a lower rate, where they would round to none."""
    return np.zeros(1, np.float32)
