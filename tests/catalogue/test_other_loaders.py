"""Descriptions against the indexes that mirdata 0.3 and soundata 0.1 ship: the same files, the same labels.

Skipped where they are not installed; `make crosscheck` installs them without what they need, since they are not imported.
"""

import importlib.util
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from benchmark.config.load import parse
from benchmark.config.schema_dataset import DatasetConfig
from benchmark.datasets.clips import Clip
from benchmark.datasets.read import read_dataset
from benchmark.engine.contents import unlearnt_classes
from benchmark.engine.items import task_items
from benchmark.engine.splits import task_splits
from tests.catalogue.miniature import sound, table, write_folder
from tests.catalogue.stage import catalogue, tasks_of


def index(package: str, name: str) -> dict[str, dict]:
    """An index: tracks or clips -> kind of file -> path and md5. The package itself is not imported: it needs much."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None or spec.loader is None:
        pytest.skip(f"{package} is not installed")
    path = Path(spec.origin).parent / "datasets" / "indexes" / name
    try:
        return json.loads(spec.loader.get_data(str(path)))  # type: ignore[attr-defined]
    except OSError:
        pytest.skip(f"this {package} has no indexes: mirdata 0.3 and soundata 0.1 have")


def read(dataset: str, root: Path, files: dict[str, bytes], **keys: object) -> list[Clip]:
    """The clips that the catalogue's description finds among the files, all of them empty or tables."""
    for folder in {str(Path(name).parent) for name in files}:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name).write_bytes(content)
    data = catalogue().datasets[dataset].model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"sources"})
    return read_dataset(parse({**data, "folder": str(root), **keys}, DatasetConfig, dataset), root)


def assert_folds(dataset: str, clips: list[Clip]) -> None:
    """The tasks can be folded on the real files, every class in every training part."""
    for task in tasks_of(dataset):
        items = task_items(task, clips, task.name)
        splits = task_splits(task, items, task.name)
        assert not unlearnt_classes(splits, items), task.name


def test_irmas(tmp_path):
    tracks = index("mirdata", "irmas_index_1.0.json")["tracks"]
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
    assert_folds("irmas", list(clips.values()))


def test_gtzan_genre(tmp_path):
    tracks = index("mirdata", "gtzan_genre_index_1.0.json")["tracks"]
    files = {entry["audio"][0].removeprefix("gtzan_genre/"): b"" for entry in tracks.values()}
    clips = read("gtzan-genre", tmp_path, files, expect={"clips": 1000, "classes": 10}, split_lists=None)
    assert {Path(clip.path).stem: clip.labels["genre"] for clip in clips} == {t: t.partition(".")[0] for t in tracks}


def test_gtzan_mini(tmp_path):
    tracks = index("mirdata", "gtzan_genre_1.0_mini_index.json")["tracks"]
    clips = read("gtzan-mini", tmp_path, {entry["audio"][0]: b"" for entry in tracks.values()})
    assert {Path(clip.path).stem: clip.labels["genre"] for clip in clips} == {t: t.partition(".")[0] for t in tracks}
    assert_folds("gtzan-mini", clips)


def test_vocadito(tmp_path):
    tracks = index("mirdata", "vocadito_index_1.json")["tracks"]
    rows = [[track, f"S{min(i, 29)}", 60, "none"] for i, track in enumerate(sorted(tracks, key=int), 1)]
    files = {entry["audio"][0]: b"" for entry in tracks.values()}
    files["vocadito_metadata.csv"] = table(rows, ["track_id", "singer_id", "average_pitch", "language"])
    # The numbers that the description expects are those of the real files.
    assert {clip.id for clip in read("vocadito", tmp_path, files)} == set(tracks)


def test_medley_solos_db(tmp_path):
    tracks = index("mirdata", "medley_solos_db_index_1.2.json")["tracks"]
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


def test_tinysol_and_openmic(tmp_path):
    tracks = index("mirdata", "tinysol_index_6.0.json")["tracks"]
    paths = [entry["audio"][0] for entry in tracks.values()]
    rows = [[path.removeprefix("audio/"), i % 5, *"abcdefghijk", "FALSE"] for i, path in enumerate(paths)]
    rows = [[*row[:4], path.split("/")[2], *row[5:]] for row, path in zip(rows, paths, strict=True)]
    files = dict.fromkeys(paths, b"") | {"annotation/TinySOL_metadata.csv": table(rows)}
    assert {clip.path.stem for clip in read("tinysol", tmp_path / "tinysol", files)} == set(tracks)
    keys = index("mirdata", "openmic2018_index.json")["tracks"]
    paths = [entry["audio"][0] for entry in keys.values()]
    files = dict.fromkeys(paths, b"") | {
        "openmic-2018-metadata.csv": table([[key, i // 3] for i, key in enumerate(keys)], ["sample_key", "artist_id"]),
        "openmic-2018-aggregated-labels.csv": table(
            [[key, "piano", 0.9] for key in keys], ["sample_key", "instrument", "relevance"]
        ),
        "partitions/split01_train.csv": table([[key] for i, key in enumerate(keys) if i % 3]),
        "partitions/split01_test.csv": table([[key] for i, key in enumerate(keys) if not i % 3]),
    }
    assert {clip.id for clip in read("openmic-2018", tmp_path / "openmic", files)} == set(keys)


def test_good_sounds(tmp_path):
    """The index holds the real tables."""
    found = index("mirdata", "good_sounds_index_1.0.json")
    files = {entry["audio"][0]: b"" for entry in found["tracks"].values()}
    files |= {f"{name}.json": json.dumps(found[name]).encode() for name in ("takes", "sounds")}
    clips = read("good-sounds", tmp_path, files)
    sounds, takes = found["sounds"], found["takes"]
    assert {clip.id: clip.labels["instrument"] for clip in clips} == {
        take: sounds[str(about["sound_id"])]["instrument"] for take, about in takes.items()
    }
    assert_folds("good-sounds", clips)


def test_mridangam(tmp_path):
    tracks = index("mirdata", "mridangam_stroke_index_1.5.json")["tracks"]
    clips = read("mridangam", tmp_path, dict.fromkeys((e["audio"][0] for e in tracks.values()), b""), expect={})
    assert {clip.path.name.split("__")[0] for clip in clips} == set(tracks)
    # The index lacks one of the 6,977 strokes; the counts of the others are those that are expected of all.
    expected = Counter(catalogue().datasets["mridangam"].expect.classes)
    assert (expected - Counter(clip.labels["stroke"] for clip in clips)).total() == 1
    assert_folds("mridangam", clips)


def test_ikala(tmp_path):
    tracks = index("mirdata", "ikala_index_1.0.json")["tracks"]
    clips = read("ikala", tmp_path, dict.fromkeys((e["audio"][0] for e in tracks.values()), b""))
    assert {f"{clip.labels['song']}_{clip.labels['section']}" for clip in clips} == set(tracks)
    assert len({clip.group for clip in clips}) == 177
    assert_folds("ikala", clips)


@pytest.mark.parametrize(
    ("dataset", "name"), [("slakh2100", "slakh_index_2100-redux.json"), ("babyslakh", "slakh_index_baby.json")]
)
def test_slakh(tmp_path, dataset, name):
    """Every stem that mirdata knows is in a submix, in the part that mirdata has it in."""
    found = index("mirdata", name)
    # Stems that were not rendered have no file.
    stems = {entry["audio"][0] for entry in found["tracks"].values() if entry["audio"][0] is not None}
    files = dict.fromkeys(stems, b"")
    about: dict[str, list[str]] = {}
    for entry in found["tracks"].values():
        if entry["audio"][0] is not None:
            about.setdefault(entry["metadata"][0], []).append(Path(entry["audio"][0]).stem)
    for path, names in about.items():
        lines = [f"  {stem}: {{is_drum: false, program_num: {i * 9}}}" for i, stem in enumerate(names)]
        files[path] = "\n".join([f"UUID: {path}", "stems:", *lines]).encode()
        files[str(Path(path).parent / ("mix" + Path(next(iter(stems))).suffix))] = b""
    clips = read(dataset, tmp_path, files, expect={})
    tracks = {entry["metadata"][0].split("/")[-2] for entry in found["tracks"].values()}
    if dataset == "babyslakh":
        assert {clip.id for clip in clips} == tracks and len(clips) == 20
    else:
        # The description leaves the tracks out that the redux split omits.
        parts = Counter(clip.split for clip in clips)
        assert parts == {"train": 1289, "valid": 270, "test": 151}
        omitted = {path.split("/")[-2] for path in about if "/omitted/" in path}
        assert {clip.id for clip in clips} == tracks - omitted
    for clip in clips:
        own = [path for key, value in clip.labels.items() if key.startswith("stem_") for path in value]
        assert own and len(own) == len(set(own)) and set(own) <= stems


def test_esc_50_of_soundata(tmp_path):
    clips_of = index("soundata", "esc50_index.json")["clips"]
    paths = {entry["audio"][0] for entry in clips_of.values()}
    rows = []
    for path in sorted(paths):
        fold, source, take, target = Path(path).stem.split("-")
        rows.append([Path(path).name, fold, target, f"class {target}", int(target) < 10, source, take])
    head = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    clips = read("esc-50", tmp_path, dict.fromkeys(paths, b"") | {"meta/esc50.csv": table(rows, head)})
    assert {clip.path.stem for clip in clips} == set(clips_of)
    # Four recordings are in two folds, under two classes.
    hares = catalogue().tasks["hares-esc50"]
    assert [len(split.test) for split in task_splits(hares, task_items(hares, clips, ""), "")] == [400] * 5


def test_fsd50k_of_soundata(tmp_path):
    clips_of = index("soundata", "fsd50k_index.json")["clips"]
    files = dict.fromkeys((entry["audio"][0] for entry in clips_of.values()), b"")
    for part in ("dev", "eval"):
        names = sorted(Path(path).stem for path in files if f".{part}_audio/" in path)
        split = ["split"] if part == "dev" else []
        rows = [
            [name, "Bark,Dog", *(["val" if i % 5 == 0 else "train"] if split else [])] for i, name in enumerate(names)
        ]
        files[f"FSD50K.ground_truth/{part}.csv"] = table(rows, ["fname", "labels", *split])
        about = {name: {"uploader": f"u{i % 99}"} for i, name in enumerate(names)}
        files[f"FSD50K.metadata/{part}_clips_info_FSD50K.json"] = json.dumps(about).encode()
    clips = read("fsd50k", tmp_path, files)
    assert len(set(clips_of) - {clip.id for clip in clips}) == 12


def test_a_person_with_the_data_of_another_loader_points_at_them(tmp_path):
    """The folder of soundata in params.yaml, without any copy."""
    files = {"meta/esc50.csv": table([["1-1-A-0.wav", 1, 0, "dog", True, 1, "A"]],
                                     ["filename", "fold", "target", "category", "esc10", "src_file", "take"]),
             "audio/1-1-A-0.wav": sound("dog")}  # fmt: skip
    write_folder(tmp_path / "sound_datasets/esc50", files)
    config = catalogue().with_folders({"esc-50": str(tmp_path / "sound_datasets/esc50")}).datasets["esc-50"]
    (clip,) = read_dataset(config.model_copy(update={"verified": False}), tmp_path / "elsewhere")
    assert (clip.labels["category"], clip.path) == ("dog", tmp_path / "sound_datasets/esc50/audio/1-1-A-0.wav")
