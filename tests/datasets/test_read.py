import json
import time
from pathlib import Path
from typing import Any

import pytest

from benchmark.config.load import parse
from benchmark.config.schema_dataset import DatasetConfig
from benchmark.datasets.clips import Clip
from benchmark.datasets.read import is_ready, read_dataset, unmet_expectations
from benchmark.errors import UserError
from tests.datasets.sounds import tone, write


def config(**keys: Any) -> DatasetConfig:
    return parse({"name": "mine", **keys}, DatasetConfig, "mine.yaml")


def read(root: Path, **keys: Any) -> list[Clip]:
    return read_dataset(config(**keys), root / "data")


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def message(caught: pytest.ExceptionInfo) -> str:
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_folder_has_a_class_a_subfolder(tmp_path):
    touch(
        tmp_path, "cats/1.wav", "cats/deep/er/2.FLAC", "dogs/1.mp3", "dogs/3.ogg", "dogs/notes.txt", "dogs/.hidden.wav"
    )
    touch(tmp_path, "__MACOSX/cats/._1.wav", "cats/._1.wav", ".trash/x.wav")
    clips = read(tmp_path, folder=str(tmp_path))
    assert [(clip.id, clip.labels["label"]) for clip in clips] == [
        ("cats/1.wav", "cats"),
        ("cats/deep/er/2.FLAC", "cats"),
        ("dogs/1.mp3", "dogs"),
        ("dogs/3.ogg", "dogs"),
    ]
    assert clips[0].path == tmp_path / "cats/1.wav"
    assert (clips[0].start, clips[0].end, clips[0].group, clips[0].split) == (None, None, None, None)


def test_links_in_a_circle_end(tmp_path):
    touch(tmp_path, "a/1.wav", "b/2.wav")
    (tmp_path / "a/loop").symlink_to(tmp_path, target_is_directory=True)
    assert [clip.id for clip in read(tmp_path, folder=str(tmp_path))] == ["a/1.wav", "b/2.wav"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "holds no sound"),
        (["a/1.m4a", "b/2.m4a"], "its 2 .m4a files must be converted"),
        (["a/1.wav"], "only one class ('a')"),
        (["a/1.wav", "b/1.wav", "loose.wav"], "lies in no subfolder"),
    ],
)
def test_folders_that_are_no_dataset(tmp_path, files, words):
    (tmp_path / "sounds").mkdir()
    touch(tmp_path / "sounds", *files)
    with pytest.raises(UserError) as caught:
        read(tmp_path, folder=str(tmp_path / "sounds"))
    assert words in message(caught)
    assert "mine: dataset.folder" in message(caught)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        read(tmp_path, folder=str(tmp_path / "gone"))
    assert not is_ready(config(folder=str(tmp_path / "gone")), tmp_path)


def table(root: Path, text: str, name: str = "labels.csv") -> str:
    (root / name).write_text(text, "utf-8")
    return str(root / name)


def test_a_table_gives_fields_groups_and_parts_of_files(tmp_path):
    touch(tmp_path, "wav/a.wav", "wav/b.wav")
    path = table(
        tmp_path,
        "file,digit,speaker,from,to,fold\nwav/b.wav,7,ann,0.5,1.5,2\nwav/a.wav,08,bob,,,1\nwav/b.wav,no,ann,1.5,,2\n",
    )
    clips = read(tmp_path, csv=path, path="file", group="speaker", start="from", end="to", split="fold", label="digit")
    assert [(c.id, c.start, c.end, c.group, c.split, c.labels["digit"]) for c in clips] == [
        ("wav/a.wav", None, None, "bob", "1", "08"),
        ("wav/b.wav@0.5", 0.5, 1.5, "ann", "2", "7"),
        ("wav/b.wav@1.5", 1.5, None, "ann", "2", "no"),
    ]
    assert clips[0].path == tmp_path / "wav/a.wav"
    assert "file" not in clips[0].labels


def test_columns_with_the_usual_names_need_not_be_named(tmp_path):
    touch(tmp_path, "a.wav", "b.wav")
    path = table(tmp_path, "id,path,group,split,start,end\ny,a.wav,g,train,0,1\nx,b.wav,,,,\n")
    clips = read(tmp_path, csv=path)
    assert [(c.id, c.group, c.split, c.start, c.end) for c in clips] == [
        ("x", None, None, None, None),
        ("y", "g", "train", 0.0, 1.0),
    ]
    assert read(tmp_path, csv=path, group=None)[1].group is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "\ufeffpath, label\r\na.wav, x\r\n\r\nb.wav, y\r\n"),
        ("t.csv", "path;label\na.wav;x\nb.wav;y\n"),
        ("t.csv", 'path,label\n"a.wav","x"\n"b.wav","y"\n'),
        ("t.tsv", "path\tlabel\na.wav\tx\nb.wav\ty\n"),
        ("t.jsonl", '{"path": "a.wav", "label": "x"}\n\n{"label": "y", "path": "b.wav"}\n'),
        ("t.json", '[{"path": "a.wav", "label": "x"}, {"path": "b.wav", "label": "y"}]'),
    ],
)
def test_kinds_of_tables(tmp_path, name, text):
    touch(tmp_path, "a.wav", "b.wav")
    clips = read(tmp_path, csv=table(tmp_path, text, name))
    assert [(c.id, c.labels) for c in clips] == [("a.wav", {"label": "x"}), ("b.wav", {"label": "y"})]


def test_numbers_in_json_become_text(tmp_path):
    touch(tmp_path, "a.wav")
    path = table(tmp_path, '{"path": "a.wav", "pitch": 60, "ok": true, "none": null, "tags": ["x", "y"]}', "t.jsonl")
    assert read(tmp_path, csv=path)[0].labels == {"pitch": "60", "ok": "true", "none": "", "tags": ["x", "y"]}


@pytest.mark.parametrize(
    ("text", "keys", "words"),
    [
        ("file,label\na.wav,x\n", {}, "has no column 'path' (mine: path); columns that it has: file, label"),
        ("path,label\na.wav,x\n", {"group": "singer"}, "has no column 'singer'"),
        ("path,label\na.wav,x\n", {"label": "digit"}, "has no column 'digit'"),
        ("path,label\na.wav,x\na.wav,y\n", {}, "the id 'a.wav' is there twice"),
        ("path,id\na.wav,1\nb.wav,1\n", {}, "set `id: null`"),
        (
            "path,label\na.wav,x\n1.wav,\n2.wav,\n3.wav,\n4.wav,\n",
            {},
            "4 of 5 files are not there (first: 1.wav, 2.wav, 3.wav)",
        ),
        ("path,label\n,x\n", {}, "(no path)"),
        ("path,start\na.wav,1:30\n", {}, "give seconds"),
        ("path,start,end\na.wav,2,1\n", {}, "from 2 s to 1 s is no part"),
        ("path,start\na.wav,-1\n", {}, "is no part"),
        ("path,end\na.wav,nan\n", {}, "is no part"),
        ("path,label\na.wav,x,y\n", {}, "line 2: 3 cells instead of 2"),
        ("path,path\na.wav,x\n", {}, "two columns 'path'"),
        ("path,label\n", {}, "has no rows"),
        ("", {}, "has no rows"),
    ],
)
def test_tables_that_are_wrong(tmp_path, text, keys, words):
    touch(tmp_path, "a.wav", "b.wav")
    with pytest.raises(UserError) as caught:
        read(tmp_path, csv=table(tmp_path, text), **keys)
    assert words in message(caught)
    assert "labels.csv" in message(caught)


def test_a_table_that_is_missing_a_folder_or_not_text(tmp_path):
    for name, words in [("gone.csv", "no such file"), (".", "use `folder:`")]:
        with pytest.raises(UserError, match=words):
            read(tmp_path, csv=str(tmp_path / name))
    (tmp_path / "latin.csv").write_bytes("path,label\na.wav,fl\u00f6te\n".encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8"):
        read(tmp_path, csv=str(tmp_path / "latin.csv"))


def test_names_in_paths_become_fields(tmp_path):
    names = ["085__[voi][dru][cou_fol]2394__3.wav", "[voi][jaz_blu]0001__1.wav", "[cel][cla]0001__1.wav"]
    touch(tmp_path, *[f"train/{name.split('[')[1][:3]}/{name}" for name in names], "test/a-1.wav", "train/._x.wav")
    (tmp_path / "test/a-1.txt").write_text("gel\t\nvoi \n\n")
    clips = read(
        tmp_path,
        folder=str(tmp_path),
        group="rec",
        items=[
            {
                "glob": "train/*/*.wav",
                "path_regex": r"/(?P<label>[a-z]{3})/(?:\d+__)?(?:\[[^\]]+\])+(?P<rec>\d{4})__(?P<take>\d+)\.wav$",
                "fields": {"split": "train"},
            },
            {
                "glob": "test/**/*.wav",
                "path_regex": r"(?P<rec>[^/]+)-\d+\.wav$",
                "fields": {"split": "test", "recording": "{split}-{rec}"},
                "sidecar": {"suffix": ".txt", "take": 3},
            },
        ],
    )
    assert [(c.split, c.group, c.labels["label"]) for c in clips] == [
        ("test", "a", ["gel", "voi"]),
        ("train", "0001", "cel"),
        ("train", "2394", "voi"),
        ("train", "0001", "voi"),
    ]
    assert clips[0].labels["recording"] == "test-a"


def test_a_table_lists_the_files_of_a_described_set(tmp_path):
    touch(tmp_path, "esc/audio/1-a.wav", "esc/audio/2-b.wav")
    (tmp_path / "esc/meta.csv").write_text("filename,fold,category,src_file\n1-a.wav,1,dog,11\n2-b.wav,2,rain,22\n")
    items = [{"table": "esc/meta.csv", "path": "esc/audio/{filename}"}]
    clips = read(tmp_path, folder=str(tmp_path), items=items, group="src_file", split="fold", label="category")
    assert [(c.id, c.split, c.group, c.labels["category"]) for c in clips] == [
        ("esc/audio/1-a.wav", "1", "11", "dog"),
        ("esc/audio/2-b.wav", "2", "22", "rain"),
    ]


def test_tables_without_header_and_objects_of_objects(tmp_path):
    touch(tmp_path, "a/1.wav", "b/2.wav")
    (tmp_path / "train_list.txt").write_text("1 a/1.wav\n")
    (tmp_path / "notes.json").write_text(json.dumps({"2": {"pitch": 60}}))
    items = [
        {"table": "*_list.txt", "columns": ["part", "path"], "separator": "space", "fields": {"origin": "{table}"}},
        {"table": "notes.json", "path": "b/{key}.wav"},
    ]
    clips = read(tmp_path, folder=str(tmp_path), items=items)
    assert clips[0].labels == {"part": "1", "path": "a/1.wav", "table": "train_list", "origin": "train_list"}
    assert clips[1].labels["pitch"] == "60"


def test_labels_in_an_object_of_lists(tmp_path):
    touch(tmp_path, "48000/fold00/1.wav", "48000/fold00/2.wav")
    (tmp_path / "fold00.json").write_text(json.dumps({"1.wav": ["dog"], "2.wav": ["cat", "rain"]}))
    items = [{"table": "fold*.json", "path": "48000/{table}/{key}", "fields": {"label": "{value}", "split": "{table}"}}]
    clips = read(tmp_path, folder=str(tmp_path), items=items)
    assert [(c.split, c.labels["label"], c.labels["value"]) for c in clips] == [
        ("fold00", "dog", ["dog"]),
        ("fold00", "cat,rain", ["cat", "rain"]),
    ]


def joined(root: Path, **keys: Any) -> list[Clip]:
    touch(root, "a/1.wav", "a/2.wav")
    (root / "meta.csv").write_text("song,artist\n1,ann\n")
    tables = [{"file": "meta.csv", "match": "{song}", "with": "{stem}", **keys}]
    return read(root, folder=str(root), items=[{"glob": "**/*.wav"}], tables=tables)


def test_joins(tmp_path):
    with pytest.raises(UserError, match=r"has no row for 1 of 2 files \(first: a/2.wav\)"):
        joined(tmp_path)
    assert [clip.labels for clip in joined(tmp_path, missing="drop")] == [{"song": "1", "artist": "ann"}]
    assert [clip.labels for clip in joined(tmp_path, missing="keep", fields={"who": "artist"})] == [{"who": "ann"}, {}]
    with pytest.raises(UserError, match="columns that it has: song, artist"):
        joined(tmp_path, fields={"who": "singer"})
    with pytest.raises(UserError, match="no field 'track'"):
        joined(tmp_path, match="{track}")


def lists(root: Path, **keys: Any) -> list[Clip]:
    touch(root, "set/yes/1.wav", "set/yes/2.wav", "set/no/3.wav")
    (root / "valid.txt").write_text("yes/2.wav\n")
    split_lists = {"lists": {"valid": "valid.txt"}, "base": "set", **keys}
    return read(root, folder=str(root), items=[{"glob": "set/*/*.wav"}], split_lists=split_lists)


def test_split_lists(tmp_path):
    assert [(c.id[-5], c.split) for c in lists(tmp_path, rest="train")] == [
        ("3", "train"),
        ("1", "train"),
        ("2", "valid"),
    ]
    assert [(c.id[-5], c.split) for c in lists(tmp_path)] == [("2", "valid")]
    with pytest.raises(UserError, match="mend `base`"):
        lists(tmp_path, base="")
    with pytest.raises(UserError, match="no other"):
        lists(tmp_path, lists={"valid": "other.txt"})


def test_long_files_are_cut_into_clips(tmp_path):
    write(tmp_path / "noise/long.wav", tone(2.2))
    write(tmp_path / "noise/short.wav", tone(0.4))
    touch(tmp_path, "noise/broken.wav")
    items = [{"glob": "noise/*.wav", "slice_s": 1.0, "hop_s": 0.5, "fields": {"label": "_silence_"}}]
    clips = read(tmp_path, folder=str(tmp_path), items=items)
    assert [(c.id, c.start, c.end) for c in clips] == [
        ("noise/broken.wav@0", 0.0, 1.0),
        ("noise/long.wav@0", 0.0, 1.0),
        ("noise/long.wav@0.5", 0.5, 1.5),
        ("noise/long.wav@1", 1.0, 2.0),
        ("noise/short.wav@0", 0.0, 1.0),
    ]
    assert {c.labels["label"] for c in clips} == {"_silence_"}


def test_what_is_dropped_is_gone(tmp_path):
    touch(tmp_path, "a/1.wav", "a/2.wav", "a/3.wav", "b/4.wav")
    drop = [{"path": "a/1.wav", "reason": "x"}, {"regex": "/2", "reason": "x"}, {"id": "a/3.wav", "reason": "x"}]
    clips = read(tmp_path, folder=str(tmp_path), items=[{"glob": "**/*.wav"}], drop=drop)
    assert [clip.id for clip in clips] == ["b/4.wav"]


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ({"glob": "none/*.wav"}, "no sound matches none/*.wav"),
        (
            {"glob": "**/*.wav", "path_regex": r"(?P<n>\d+)\.wav"},
            "path_regex does not fit 1 of 2 files (first: a/x.wav)",
        ),
        ({"glob": "**/*.wav", "sidecar": {"suffix": ".txt"}}, "there is no a/1.txt"),
        ({"glob": "**/*.wav", "fields": {"label": "{genre}"}}, "no field 'genre'"),
        ({"table": "gone.csv"}, "no table gone.csv"),
        ({"table": "list.csv"}, "1 of 1 files are not there (first: gone.wav)"),
    ],
)
def test_descriptions_that_do_not_fit(tmp_path, items, words):
    touch(tmp_path, "a/1.wav", "a/x.wav")
    (tmp_path / "list.csv").write_text("path\ngone.wav\n")
    with pytest.raises(UserError) as caught:
        read(tmp_path, folder=str(tmp_path), items=[items])
    assert words in message(caught)
    assert message(caught).startswith("mine: items.0") or "mine: 1 of 1" in message(caught)


def test_paths_that_do_not_fit_may_be_skipped(tmp_path):
    touch(tmp_path, "a/1.wav", "a/x.wav")
    items = [{"glob": "**/*.wav", "path_regex": r"(?P<n>\d+)\.wav", "unmatched": "skip"}]
    assert [clip.labels for clip in read(tmp_path, folder=str(tmp_path), items=items)] == [{"n": "1"}]


def test_expectations(tmp_path):
    touch(tmp_path, "a/1.wav", "a/2.wav", "b/3.wav")
    fine = {"clips": 3, "classes": {"a": 2, "b": 1}}
    assert len(read(tmp_path, folder=str(tmp_path), expect=fine)) == 3
    wrong = {"clips": 4, "classes": {"a": 2, "c": 1}, "splits": {"train": 1}}
    with pytest.raises(UserError) as caught:
        read(tmp_path, folder=str(tmp_path), expect=wrong)
    assert "3 clips instead of 4; 0 clips of split train instead of 1; 0 clips of class c instead of 1" in message(
        caught
    )
    unverified = config(folder=str(tmp_path), expect={"classes": 5}, verified=False)
    assert unmet_expectations(unverified, read_dataset(unverified, tmp_path)) == ["2 classes instead of 5"]


def test_sets_that_are_not_here_yet(tmp_path):
    for keys in ({"rendered": "speech-music"}, {"sources": [{"http": "http://x/a.zip"}], "items": [{"glob": "*"}]}):
        assert not is_ready(config(**keys), tmp_path)
        with pytest.raises(UserError, match="run `leveret download`"):
            read(tmp_path, **keys)


def test_twenty_thousand_rows_take_seconds(tmp_path):
    (tmp_path / "wav").mkdir()
    names = [f"wav/{i:05d}.wav" for i in range(20_000)]
    for name in names:
        (tmp_path / name).touch()
    path = table(tmp_path, "path,label,group\n" + "".join(f"{name},{i % 7},{i % 99}\n" for i, name in enumerate(names)))
    start = time.process_time()
    clips = read(tmp_path, csv=path)
    items = [{"glob": "wav/*.wav", "path_regex": r"(?P<number>\d+)\.wav"}]
    assert len(read(tmp_path, folder=str(tmp_path), items=items)) == len(clips) == 20_000
    assert time.process_time() - start < 10
