"""Mixtures and their sources, written to disk."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from benchmark.config.schema_dataset import MakeConfig
from benchmark.datasets.mixing.recipes import RATE, RECIPES, Mixture
from benchmark.datasets.transfer import Progress
from benchmark.errors import UserError

# Mixtures in memory at a time.
_BATCH = 64


def make_mixtures(
    config: MakeConfig, root: Path, name: str, progress: Progress | None = None, workers: int = 2
) -> dict[str, int]:
    """Write the mixtures of every list below `root`, as 16-bit WAV; the same lists and speech give the same bytes.

    `<to>/<part>/mix/<id>.wav` is the sum of `<to>/<part>/s1/<id>.wav`, `s2` and (where there is noise) `noise`, to
    within rounding.

    Args:
        root: folder of the dataset, where the speech lies already.
        name: of the dataset, which opens messages.
        progress: called with the name, the mixtures that are made, and how many there are.

    Returns:
        Mixtures of each part.

    Raises:
        UserError: a list names a sound that is not there, or that is not at 16 kHz.
    """
    todo: list[tuple[str, Mixture]] = []
    for part, file in config.lists.items():
        todo += [(part, mixture) for mixture in RECIPES[config.recipe](config, root, root / file)]
    _see_that_they_are_there(config, root, name, [mixture for _, mixture in todo])
    counts = dict.fromkeys(config.lists, 0)
    one = partial(_make, config, root, name)
    with ThreadPoolExecutor(workers) as threads:
        for batch in _batches(todo):
            for part in threads.map(one, batch):
                counts[part] += 1
            if progress is not None:
                progress(name, sum(counts.values()), len(todo))
    return counts


def _batches(todo: Sequence[tuple[str, Mixture]]) -> Iterator[list[tuple[str, Mixture]]]:
    rest = iter(todo)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _see_that_they_are_there(config: MakeConfig, root: Path, name: str, mixtures: Sequence[Mixture]) -> None:
    wanted = {path for mixture in mixtures for path in mixture.paths}
    wanted |= {mixture.noise[0] for mixture in mixtures if mixture.noise is not None}
    absent = sorted(path for path in wanted if not (root / config.audio / path).is_file())
    if absent:
        raise UserError(
            f"{name}: make: {len(absent)} of {len(wanted)} sounds are not there (first: {absent[0]}); "
            f"paths are below {root / config.audio}"
        )


def _make(config: MakeConfig, root: Path, name: str, todo: tuple[str, Mixture]) -> str:
    part, mixture = todo
    audio = root / config.audio
    sources = [_read(audio / path, name) for path in mixture.paths]
    if mixture.noise is not None:
        longest = max(map(len, sources))
        sources.append(_extended(_read(audio / mixture.noise[0], name)[:longest], longest))
    gains = [*mixture.gains, *([mixture.noise[1]] if mixture.noise is not None else [])]
    signals = [resample_poly(source, config.rate, RATE) * gain for source, gain in zip(sources, gains, strict=True)]
    length = (min if config.length == "min" else max)(map(len, signals))
    stems = np.stack([np.pad(signal[:length], (0, max(0, length - len(signal)))) for signal in signals])
    mix = stems.sum(axis=0)
    if mixture.peak is not None:
        factor = mixture.peak / max(1.0, float(np.abs(mix).max()), float(np.abs(stems).max()))
        stems, mix = stems * factor, mix * factor
    names = [f"s{i}" for i in range(1, len(mixture.paths) + 1)] + (["noise"] if mixture.noise is not None else [])
    for kind, signal in [("mix", mix), *zip(names, stems, strict=True)]:
        path = root / config.to / part / kind / f"{mixture.id}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = np.clip(np.round(signal * 2**15), -(2**15), 2**15 - 1).astype(np.int16)
        soundfile.write(path, samples, config.rate, subtype="PCM_16")
    return part


def _read(path: Path, name: str) -> np.ndarray:
    """(samples,) float64 of the first channel."""
    try:
        samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise UserError(f"{name}: make: {path}: cannot be read ({error}); convert it to WAV or FLAC") from None
    if rate != RATE:
        raise UserError(f"{name}: make: {path}: is at {rate} Hz instead of {RATE}; convert it")
    return samples[:, 0]


def _extended(noise: np.ndarray, length: int) -> np.ndarray:
    """Noise repeated with half a second of cross-fade until it is long enough, as LibriMix does."""
    window = np.hanning(RATE + 1)
    rise, fall = window[: RATE // 2 + 1], window[RATE // 2 :]
    fade = len(rise)
    longer = noise
    while len(longer) < length and len(noise) > fade:
        seam = longer[-fade:] * fall + noise[:fade] * rise
        longer = np.concatenate([longer[:-fade], seam, noise[fade:]])
    return np.resize(longer, length) if len(longer) < length else longer[:length]
