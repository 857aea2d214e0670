"""Sound in MP4 files, several streams in one (the stems of MUSDB18), decoded by FFmpeg's libraries through PyAV."""

import io
from pathlib import Path

import numpy as np
import soundfile

from benchmark.errors import ClipError

SUFFIXES = frozenset({".mp4"})


def read_mp4(path: Path, stream: int = 0) -> tuple[np.ndarray, int]:
    """(samples, channels) float32 of an audio stream, counted from 0, and its rate in Hz.

    Raises:
        ClipError: the file or the stream is not there or cannot be decoded, or PyAV is not installed.
    """
    try:
        import av
    except ImportError:
        raise ClipError(f"{path}: needs PyAV to be read; pip install 'leveret[mp4]'") from None
    if not path.is_file():
        raise ClipError(f"{path}: no such file")
    try:
        with av.open(str(path)) as file:
            streams = file.streams.audio
            if stream >= len(streams):
                raise ClipError(f"{path}: has no audio stream {stream}, but {len(streams)} of them")
            wanted = streams[stream]
            resampler = av.AudioResampler(format="flt", layout=wanted.layout.name, rate=wanted.rate)
            frames = [part for frame in file.decode(wanted) for part in resampler.resample(frame)]
            rate, channels = wanted.rate, wanted.channels
    except av.error.FFmpegError as error:
        raise ClipError(f"{path}: not an MP4 that can be decoded ({error.strerror}); fetch it again") from None
    if not frames:
        raise ClipError(f"{path}: stream {stream} holds no samples")
    return np.concatenate([frame.to_ndarray().reshape(-1, channels) for frame in frames]), rate


def as_wav(path: Path) -> io.BytesIO:
    """The first stream, which is the mixture of MUSDB18, as a WAV file in memory."""
    samples, rate = read_mp4(path)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="FLOAT")
    buffer.seek(0)
    return buffer
