"""Descriptions against the indexes that mirdata 0.3 ships: the same files, the same labels. Skipped where it is not installed."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from benchmark.config.load import parse
from benchmark.config.schema_dataset import DatasetConfig
from benchmark.datasets.clips import Clip
from benchmark.datasets.read import read_dataset
from tests.catalogue.miniature import table
from tests.catalogue.stage import catalogue


def index(name: str) -> dict[str, dict[str, list[str]]]:
    """An index: track -> kind of file -> path and md5. The package itself is not imported: it needs much."""
    spec = importlib.util.find_spec("mirdata")
    if spec is None or spec.origin is None or spec.loader is None:
        pytest.skip("mirdata is not installed")
    path = Path(spec.origin).parent / "datasets" / "indexes" / name
    try:
        return json.loads(spec.loader.get_data(str(path)))["tracks"]  # type: ignore[attr-defined]
    except OSError:
        pytest.skip("this mirdata has no indexes: version 0.3 has")


def read(dataset: str, root: Path, files: dict[str, bytes], **keys: object) -> list[Clip]:
    """The clips that the catalogue's description finds among the files, all of them empty or tables."""
    for folder in {str(Path(name).parent) for name in files}:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name).write_bytes(content)
    data = catalogue().datasets[dataset].model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"sources"})
    return read_dataset(parse({**data, "folder": str(root), **keys}, DatasetConfig, dataset), root)


def test_irmas(tmp_path):
    tracks = index("irmas_index_1.0.json")
    paths = [entry["audio"][0] for entry in tracks.values()]
    tests = [path for path in paths if "Testing" in path]
    files = dict.fromkeys(paths, b"") | {path[:-4] + ".txt": b"cel\t\nvoi\n" for path in tests}
    clips = {clip.path.relative_to(tmp_path).as_posix(): clip for clip in read("irmas", tmp_path, files, expect={})}
    # What is not read is what the description drops on purpose: two labels for one sound.
    dropped = set(paths) - set(clips)
    assert len(dropped) <= 18 and all(re.search(r"/(gac|gel)/", path) for path in dropped)
    for path, clip in clips.items():
        if path in tests:
            assert (clip.split, clip.labels["instruments"]) == ("test", ["cel", "voi"])
        else:
            first_tag = re.search(r"\[([a-z]{3})\]", path)[1]
            assert (clip.split, clip.labels["instruments"]) == ("train", [first_tag])
    assert sum(clip.split == "test" for clip in clips.values()) == 2874


def test_gtzan_genre(tmp_path):
    tracks = index("gtzan_genre_index_1.0.json")
    files = {entry["audio"][0].removeprefix("gtzan_genre/"): b"" for entry in tracks.values()}
    clips = read("gtzan-genre", tmp_path, files, expect={"clips": 1000, "classes": 10}, split_lists=None)
    assert {Path(clip.path).stem: clip.labels["genre"] for clip in clips} == {t: t.partition(".")[0] for t in tracks}


def test_medley_solos_db(tmp_path):
    tracks = index("medley_solos_db_index_1.2.json")
    files = {entry["audio"][0]: b"" for entry in tracks.values()}
    name = re.compile(r"Medley-solos-DB_(\w+)-(\d)_(.+)\.wav")
    said = [name.search(path).groups() for path in files]
    rows = [[part, f"instrument {number}", number, i, uuid] for i, (part, number, uuid) in enumerate(said)]
    files["annotation/Medley-solos-DB_metadata.csv"] = table(
        rows, ["subset", "instrument", "instrument_id", "song_id", "uuid4"]
    )
    # The numbers that the description expects are those of the real files.
    clips = read("medley-solos-db", tmp_path, files)
    assert {clip.id for clip in clips} == set(tracks)
