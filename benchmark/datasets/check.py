"""What is in a dataset: every file read once, for `leveret check --data`."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.audio.io import Measure, measure
from benchmark.config.schema_dataset import DatasetConfig
from benchmark.datasets.clips import Clip
from benchmark.datasets.digests import Digests
from benchmark.datasets.read import unmet_expectations
from benchmark.datasets.transfer import Progress
from benchmark.errors import ClipError

# A peak below -80 dB of full scale, and less sound than one analysis frame of 25 ms.
SILENT = 1e-4
SHORT_S = 0.025

_THREADS = 2
_MOST_VALUES = 50
# Rounding in annotations may put an end a little behind the file's.
_SLACK_S = 0.05


@dataclass(frozen=True)
class DatasetReport:
    """What a dataset is made of.

    Attributes:
        hours: length of all clips.
        fields: field -> value -> clips; the fields that have few values.
        groups: number of groups; None where no clip has one.
        parts: official part or fold -> clips.
        rates, channels: sample rate in Hz, number of channels -> files.
        duplicates: ids of clips whose files hold the same bytes, in sets.
        lost: id -> why the clip cannot be read.
        warnings: what a person should know.
        problems: what must be mended.
    """

    name: str
    clips: int
    files: int
    hours: float
    shortest_s: float
    longest_s: float
    fields: dict[str, dict[str, int]]
    groups: int | None
    parts: dict[str, int]
    rates: dict[int, int]
    channels: dict[int, int]
    duplicates: list[list[str]] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def check_dataset(
    clips: Sequence[Clip],
    config: DatasetConfig,
    data_root: Path | None = None,
    max_lost: float = 0.01,
    progress: Progress | None = None,
) -> DatasetReport:
    """Read every file of the dataset, in memory that does not grow with its length.

    Args:
        data_root: where checksums of files are kept for the next time; they are not without it.
        max_lost: part of the clips that may be unreadable before that is a problem.
        progress: called with the dataset's name, the files that are read, and all of them.
    """
    paths = sorted({clip.path for clip in clips})
    sounds: dict[Path, Measure] = {}
    reasons: dict[Path, str] = {}
    with ThreadPoolExecutor(_THREADS) as threads:
        for done, (path, sound) in enumerate(zip(paths, threads.map(_listen, paths), strict=True), 1):
            if isinstance(sound, str):
                reasons[path] = sound
            else:
                sounds[path] = sound
            if progress is not None:
                progress(config.name, done, len(paths))
    seconds: dict[str, float] = {}
    lost: dict[str, str] = {}
    for clip in clips:
        if clip.path in reasons:
            lost[clip.id] = reasons[clip.path]
            continue
        length = sounds[clip.path].seconds
        seconds[clip.id] = min(length, length if clip.end is None else clip.end) - (clip.start or 0.0)
        if seconds[clip.id] <= 0:
            lost[clip.id] = f"{clip.path}: is {length:g} s long and has nothing from {clip.start:g} s on"
            del seconds[clip.id]
    groups = {clip.group for clip in clips} - {None}
    duplicates = _duplicates(clips, data_root)
    warnings, problems = _oddities(clips, sounds, seconds, config, duplicates), []
    if unmet := unmet_expectations(config, clips):
        # A verified description was refused when it was read.
        warnings.append(f"not as the description expects: {'; '.join(unmet)}")
    if lost:
        text = f"{len(lost)} of {len(clips)} clips cannot be read (first: {next(iter(lost.values()))})"
        (problems if len(lost) > max_lost * len(clips) else warnings).append(text)
    lengths = list(seconds.values()) or [0.0]
    return DatasetReport(
        name=config.name,
        clips=len(clips),
        files=len(paths),
        hours=sum(seconds.values()) / 3600,
        shortest_s=min(lengths),
        longest_s=max(lengths),
        fields=_fields(clips, config),
        groups=len(groups) or None,
        parts=_count(clip.split for clip in clips if clip.split is not None),
        rates=_count(sound.rate for sound in sounds.values()),
        channels=_count(sound.channels for sound in sounds.values()),
        duplicates=duplicates,
        lost=lost,
        warnings=[f"{config.name}: {text}" for text in warnings],
        problems=[f"{config.name}: {text}" for text in problems],
    )


def _listen(path: Path) -> Measure | str:
    try:
        return measure(path)
    except ClipError as error:
        return str(error)


def _duplicates(clips: Sequence[Clip], data_root: Path | None) -> list[list[str]]:
    """Ids of clips of the same part of files with the same bytes."""
    with Digests(data_root) as ledger:
        digests = ledger.of_files({clip.path for clip in clips})
    same: dict[tuple, list[str]] = defaultdict(list)
    for clip in clips:
        if len(digests[clip.path]) == 64:
            same[digests[clip.path], clip.start, clip.end].append(clip.id)
    return sorted(ids for ids in same.values() if len(ids) > 1)


def _oddities(
    clips: Sequence[Clip],
    sounds: Mapping[Path, Measure],
    seconds: Mapping[str, float],
    config: DatasetConfig,
    duplicates: Sequence[Sequence[str]],
) -> list[str]:
    by_id = {clip.id: clip for clip in clips}
    label = config.label or "label"
    torn = [ids for ids in duplicates if len({str(by_id[i].labels.get(label)) for i in ids}) > 1]
    leaky = [ids for ids in duplicates if len({by_id[i].group or i for i in ids}) > 1]
    heard = [clip for clip in clips if clip.path in sounds]
    kinds: list[tuple[str, list[str]]] = [
        ("clips are silent", [c.id for c in heard if sounds[c.path].peak < SILENT]),
        (f"clips are shorter than {SHORT_S * 1000:g} ms", [i for i, length in seconds.items() if length < SHORT_S]),
        ("clips end behind their file", [c.id for c in heard if (c.end or 0) > sounds[c.path].seconds + _SLACK_S]),
        ("sets of clips hold the same bytes", [" = ".join(ids) for ids in duplicates]),
        (f"sets of the same bytes have different values of {label!r}", [" = ".join(ids) for ids in torn]),
        ("sets of the same bytes are in different groups, so folds may share them", [" = ".join(ids) for ids in leaky]),
    ]
    return [f"{len(found)} {what} (first: {', '.join(found[:3])})" for what, found in kinds if found]


def _fields(clips: Sequence[Clip], config: DatasetConfig) -> dict[str, dict[str, int]]:
    """Counts of the values of those fields that look like classes."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for clip in clips:
        for name, value in clip.labels.items():
            for one in value if isinstance(value, list) else [value]:
                if not isinstance(one, dict | list):
                    counts[name][str(one)] += 1
    few = min(_MOST_VALUES, len(clips) // 2)
    return {
        name: dict(sorted(found.items()))
        for name, found in counts.items()
        if name == config.label or (1 < len(found) <= few and name not in {config.start, config.end, config.id})
    }


def _count(values: Iterable) -> dict:
    return dict(sorted(Counter(values).items()))
