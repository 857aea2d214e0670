"""A dataset's folder, made whole or not at all: rendered, fetched and unpacked, or a person's own."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from benchmark.config.keys import code_version, content_key
from benchmark.config.schema_dataset import DatasetConfig, SourceConfig
from benchmark.datasets.fetch import Obtained, fetch_sources, file_name
from benchmark.datasets.parquet import unpack_parquet
from benchmark.datasets.places import MARKER, archive_folder, audio_folder, making_folder, manual_folder, root_folder
from benchmark.datasets.transfer import Progress
from benchmark.datasets.unpack import DamagedArchive, is_archive, swap_in, unpack
from benchmark.errors import UserError

# Which sources the sounds in a folder were made from, while mixtures are being made of them.
_SPEECH = ".leveret-speech.json"


@dataclass(frozen=True)
class Prepared:
    """A dataset that is here. `fresh`: it was made now; `notes`: what a person should know."""

    folder: Path
    fresh: bool
    notes: list[str] = field(default_factory=list)


def prepare(
    config: DatasetConfig,
    data_root: Path,
    progress: Progress | None = None,
    *,
    seed: int = 0,
    scale: float = 1.0,
    workers: int = 2,
    keep_archives: bool = False,
    mirrors: Mapping[str, str] | None = None,
) -> Prepared:
    """See that a dataset's files are here: render them, fetch and unpack them, or look whether a person's own are.

    What was made from the same sources is not made again. Processes that want the same dataset wait for each other.

    Args:
        progress: called with the name of a file (or of the dataset, while it is rendered), the bytes (or clips) that
            are done, and all of them; from several threads.
        seed, scale, workers: for rendered datasets; workers also for mixtures that are made here.
        keep_archives: keep what was fetched after it was unpacked.
        mirrors: host -> address of a copy of it; see `benchmark.datasets.mirrors`.

    Raises:
        UserError: it cannot be had; one line that says what to do.
    """
    if config.rendered is None and config.sources is None:
        return _local(config, data_root)
    place = audio_folder(config, data_root)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_name(f".{config.name}.lock")):
        if config.rendered is not None:
            return _rendered(config, place, progress, seed, scale, workers)
        return _fetched(config, place, data_root, progress, keep_archives, workers, mirrors or {})


def is_current(config: DatasetConfig, data_root: Path, *, seed: int = 0, scale: float = 1.0) -> bool:
    """Whether what is here was made as the description, the seed and the code say now, or is a person's own."""
    place = audio_folder(config, data_root)
    if config.rendered is not None:
        return _marker(place) == _rendered_of(config, seed, scale)
    return config.sources is None or _is_made_of(_marker(place), config, data_root)


def _local(config: DatasetConfig, data_root: Path) -> Prepared:
    kind = config.source_kind
    path = Path(str(getattr(config, kind))).expanduser()
    what, there = ("folder", path.is_dir()) if kind == "folder" else ("file", path.is_file())
    if not there:
        raise UserError(f"{config.name}: dataset.{kind}: {path}: no such {what}; mend the path")
    return Prepared(root_folder(config, data_root), False)


def _rendered(
    config: DatasetConfig, place: Path, progress: Progress | None, seed: int, scale: float, workers: int
) -> Prepared:
    made_of = _rendered_of(config, seed, scale)
    if _marker(place) == made_of and (place / "clips.csv").exists():
        return Prepared(place, False)
    from benchmark.datasets.render import render

    # The table says that a rendered dataset is whole; the renderer writes it last, and keeps the clips that are right.
    (place / "clips.csv").unlink(missing_ok=True)
    report = None if progress is None else lambda done, total: progress(config.name, done, total)
    render(made_of["recipe"], place, seed=made_of["seed"], scale=scale, workers=workers, progress=report)
    _write_marker(place, made_of)
    return Prepared(place, True)


def _rendered_of(config: DatasetConfig, seed: int, scale: float) -> dict[str, Any]:
    """What a rendered dataset is made by."""
    assert config.rendered is not None
    seed = seed if config.rendered.seed is None else config.rendered.seed
    code = code_version("benchmark.datasets.render")
    return {"recipe": config.rendered.recipe, "seed": seed, "scale": scale, "code": code}


def _fetched(
    config: DatasetConfig,
    place: Path,
    data_root: Path,
    progress: Progress | None,
    keep_archives: bool,
    workers: int,
    mirrors: Mapping[str, str],
) -> Prepared:
    if _is_made_of(_marker(place), config, data_root):
        return Prepared(place, False)
    notes: list[str] = []
    if config.make is None or not _is_made_of(_speech(place), config, data_root, mixtures=False):
        notes = _fetch_and_unpack(config, place, data_root, progress, mirrors)
    if config.make is not None:
        _mix(config, place, progress, workers)
    if not keep_archives:
        shutil.rmtree(archive_folder(config, data_root), ignore_errors=True)
    return Prepared(place, True, notes)


def _fetch_and_unpack(
    config: DatasetConfig, place: Path, data_root: Path, progress: Progress | None, mirrors: Mapping[str, str]
) -> list[str]:
    obtained, notes = fetch_sources(config, data_root, progress, mirrors)
    part = making_folder(config, data_root)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for one in obtained:
        _install(one, part, place)
    made_of = {"sources": [_describe(config, one.source, data_root, one.sha256) for one in obtained]}
    _write_marker(part, made_of, MARKER if config.make is None else _SPEECH)
    swap_in(part, place)
    return notes


def _mix(config: DatasetConfig, place: Path, progress: Progress | None, workers: int) -> None:
    """Make the mixtures in the dataset's own folder: a person's files can be read only where the links to them lead.

    Until they are whole the folder has no marker, and is not taken for a dataset.
    """
    from benchmark.datasets.mixing import make_mixtures

    assert config.make is not None
    made_of = _speech(place) or {}
    _write_marker(place, {"sources": made_of["sources"]}, _SPEECH)
    (place / MARKER).unlink(missing_ok=True)
    shutil.rmtree(place / config.make.to, ignore_errors=True)
    make_mixtures(config.make, place, config.name, progress, workers)
    _write_marker(place, {"sources": made_of["sources"], **_made(config)})


def _install(one: Obtained, part: Path, place: Path) -> None:
    """Put what was obtained into the folder that is being made."""
    target = part / one.source.to
    target.mkdir(parents=True, exist_ok=True)
    name = one.path.name
    wanted = is_archive(name) if one.source.unpack is None else one.source.unpack
    if one.path.is_file() and wanted:
        try:
            unpack(one.path, target)
        except DamagedArchive as error:
            if not one.ours:
                raise
            bad = one.path.replace(one.path.with_name(name + ".bad"))
            reason = str(error).partition(";")[0]
            raise UserError(f"{reason}; it is set aside as {bad.name}: run the same again") from None
    elif not one.ours:
        # A person's files stay where they are; the link is right once the folder has its name.
        home = place.parent.resolve() / place.name / one.source.to
        (target / name).symlink_to(os.path.relpath(one.path.resolve(), home))
    elif one.path.is_dir():
        hidden = shutil.ignore_patterns(".cache")
        shutil.copytree(one.path, target, copy_function=_link, ignore=hidden, dirs_exist_ok=True)
        if one.source.unpack is not False:
            _unpack_tables(target, part)
    else:
        _link(one.path, target / name)


def _unpack_tables(folder: Path, part: Path) -> None:
    """Put the sounds that lie in parquet files beside them, each file's in a folder of its name."""
    for file in sorted(folder.rglob("*.parquet")):
        own = file.with_suffix("")
        unpack_parquet(file, own, own.relative_to(part).as_posix())
        file.unlink()


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _describe(config: DatasetConfig, source: SourceConfig, data_root: Path, sha256: str | None) -> dict[str, Any]:
    """What a source is, and of what a person put there, when it was changed last."""
    data = source.model_dump(mode="json", exclude_none=True)
    for cosmetic in ("manual", "sha256", "md5", "bytes", "strict", "to", "unpack", "file"):
        data.pop(cosmetic, None)
    layout = content_key([file_name(source), source.to, source.unpack])
    own = manual_folder(config, data_root) / file_name(source)
    stamp = f"{own.stat().st_size} {own.stat().st_mtime_ns}" if source.manual and own.is_file() else None
    return {"origin": content_key(data), "layout": layout, "sha256": sha256, "md5": source.md5, "stamp": stamp}


def _made(config: DatasetConfig) -> dict[str, Any]:
    """What mixtures are made by."""
    if config.make is None:
        return {}
    return {"make": config.make.model_dump(mode="json"), "code": code_version("benchmark.datasets.mixing")}


def _speech(place: Path) -> dict[str, Any] | None:
    """What the sounds are made of that mixtures are made from; they need not be fetched again for other mixtures."""
    return _marker(place, _SPEECH) or _marker(place)


def _is_made_of(marker: dict[str, Any] | None, config: DatasetConfig, data_root: Path, mixtures: bool = True) -> bool:
    """Whether the dataset with this marker is made of the same files; with the same checksum, addresses may differ."""
    made_of, sources = (marker or {}).get("sources", []), config.sources or []
    made = {key: value for key, value in (marker or {}).items() if key != "sources"}
    if len(made_of) != len(sources) or (mixtures and made != _made(config)):
        return False
    for source, then in zip(sources, made_of, strict=True):
        now = _describe(config, source, data_root, source.sha256)
        # A person may delete an archive once it is unpacked, but not exchange it unseen.
        if now["layout"] != then["layout"] or now["stamp"] not in (None, then["stamp"]):
            return False
        known = [key for key in ("sha256", "md5") if now[key] is not None and source.strict] or ["origin"]
        if any(now[key] != then[key] for key in known):
            return False
    return True


def _marker(place: Path, name: str = MARKER) -> dict[str, Any] | None:
    try:
        return json.loads((place / name).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _write_marker(folder: Path, made_of: dict[str, Any], name: str = MARKER) -> None:
    part = folder / f"{name}.part"
    part.write_text(json.dumps(made_of, indent=2, sort_keys=True) + "\n", "utf-8")
    part.replace(folder / name)
