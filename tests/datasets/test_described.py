"""What descriptions say beyond globs and tables: HEAR's folders, stems, lists, events, labels that are unknown."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.errors import UserError
from tests.datasets.test_read import read, touch


def hear_folder(
    root: Path, parts: dict[str, dict[str, Any]], rates: tuple[str, ...] = ("16000",), **about: Any
) -> Path:
    for part, labels in parts.items():
        for rate in rates:
            touch(root, *(f"{rate}/{part}/{name}" for name in labels))
        (root / f"{part}.json").write_text(json.dumps(labels))
    about = {"task_name": "t", "embedding_type": "scene", "prediction_type": "multiclass", **about}
    (root / "task_metadata.json").write_text(json.dumps(about))
    (root / "labelvocabulary.csv").write_text("idx,label\n0,dog\n1,cat\n")
    # What hear-preprocess also leaves there.
    (root / "labelcount_train.json").write_text("{}")
    return root


def test_a_folder_of_hear_needs_no_description(tmp_path):
    parts = {"fold00": {"a.wav": ["dog"]}, "fold01": {"b.wav": ["cat"], "c.wav": ["dog"]}}
    clips = read(tmp_path, folder=str(hear_folder(tmp_path / "esc50-v2.0.0-full", parts, ("16000", "48000"))))
    assert [(clip.labels["label"], clip.split) for clip in clips] == [
        ("dog", "fold00"),
        ("cat", "fold01"),
        ("dog", "fold01"),
    ]
    assert clips[0].path == tmp_path / "esc50-v2.0.0-full/48000/fold00/a.wav"


def test_hear_multilabel_and_events(tmp_path):
    hear_folder(tmp_path / "x/tasks/m", {"train": {"a.wav": ["dog", "cat"]}}, prediction_type="multilabel")
    event = {"label": "knock", "start": 500.0, "end": 1250.0}
    hear_folder(tmp_path / "x/tasks/e", {"train": {"a.wav": [event]}, "valid": {"b.wav": []}},
                prediction_type="multilabel", embedding_type="event")  # fmt: skip
    clips = read(tmp_path, folder=str(tmp_path / "x"), items=[{"hear": "**"}])
    assert [clip.labels["label"] for clip in clips] == [
        [{"start": 0.5, "end": 1.25, "label": "knock"}], [], ["dog", "cat"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / "train.json").write_text('{"a.wav": ["dog", "cat"]}'), "has 2 labels instead of one"),
        (lambda root: (root / "train.json").write_text("[]"), "holds no object"),
        (lambda root: (root / "train.json").write_text("{"), "cannot be read as JSON"),
        (lambda root: (root / "train.json").unlink(), "has no train.json"),
        (lambda root: (root / "16000").rename(root / "sounds"), "named by its rate"),
        (lambda root: (root / "16000/train/a.wav").unlink(), "1 of 2 files are not there"),
    ],
)
def test_a_folder_of_hear_that_is_not_whole(tmp_path, spoil, words):
    root = hear_folder(tmp_path / "t", {"train": {"a.wav": ["dog"], "b.wav": ["cat"]}})
    spoil(root)
    with pytest.raises(UserError, match=words):
        read(tmp_path, folder=str(root))


def test_stems_beside_a_mixture_are_told_by_their_names(tmp_path):
    touch(tmp_path, *(f"x/f/1_2_{kind}.wav" for kind in ("mixed", "b", "a")), "x/f/1_3_a.wav")
    items = [
        {
            "glob": "**/*_mixed.wav",
            "path_regex": r"(?P<pair>\d_\d)_mixed",
            "siblings": {"glob": "{pair}_*.wav", "exclude": ["*mixed*"], "fields": ["stem_s1", "stem_s2"]},
        }
    ]
    (clip,) = read(tmp_path, folder=str(tmp_path / "x"), items=items)
    assert (clip.labels["stem_s1"], clip.labels["stem_s2"]) == ("f/1_2_a.wav", "f/1_2_b.wav")
    touch(tmp_path, "x/f/1_2_c.wav")
    with pytest.raises(UserError, match="3 files beside it instead of 2"):
        read(tmp_path, folder=str(tmp_path / "x"), items=items)


SUBMIXES = {
    "file": "{dir}/metadata.yaml",
    "path": "{dir}/stems/{stem}.flac",
    "sources": {"drums": "drums", "piano": "0-7", "other": "rest"},
}


def test_submixes_sum_the_stems_of_an_instrument(tmp_path):
    stems = {
        "S00": {"is_drum": True, "program_num": 128},
        "S01": {"is_drum": False, "program_num": 0},
        "S02": {"is_drum": False, "program_num": 7, "audio_rendered": False},
        "S03": {"is_drum": False, "program_num": 40},
        "S04": {"is_drum": False, "program_num": 5},
    }
    touch(tmp_path, "x/T1/mix.flac", *(f"x/T1/stems/S0{i}.flac" for i in (0, 1, 3, 4)))
    (tmp_path / "x/T1/metadata.yaml").write_text(yaml.safe_dump({"UUID": "1a", "stems": stems}))
    items = [{"glob": "*/mix.flac", "submixes": SUBMIXES}]
    (clip,) = read(tmp_path, folder=str(tmp_path / "x"), items=items)
    assert clip.labels == {
        "uuid": "1a",
        "stem_drums": ["T1/stems/S00.flac"],
        "stem_piano": ["T1/stems/S01.flac", "T1/stems/S04.flac"],
        "stem_other": ["T1/stems/S03.flac"],
    }
    (tmp_path / "x/T1/metadata.yaml").write_text("stems: [1]")
    with pytest.raises(UserError, match="cannot be read as metadata"):
        read(tmp_path, folder=str(tmp_path / "x"), items=items)


def test_stems_may_be_channels_and_sums_and_must_be_there(tmp_path):
    touch(tmp_path, "x/a.wav", "x/b.mp4")
    fields = {"stem_voice": "{path}#channel=1", "stem_rest": ["{path}#channel=0", "b.mp4#stream=2"]}
    (clip,) = read(tmp_path, folder=str(tmp_path / "x"), items=[{"glob": "*.wav", "fields": fields}])
    assert clip.labels == {"stem_voice": "a.wav#channel=1", "stem_rest": ["a.wav#channel=0", "b.mp4#stream=2"]}
    with pytest.raises(UserError, match=r"1 of 1 files are not there \(first: c.wav\)"):
        read(tmp_path, folder=str(tmp_path / "x"), items=[{"glob": "*.wav", "fields": {"stem_voice": "c.wav"}}])
    assert [c.id for c in read(tmp_path, folder=str(tmp_path / "x"), items=[{"glob": "*.mp4"}])] == ["b.mp4"]


def test_labels_that_nobody_judged_stay_unknown(tmp_path):
    touch(tmp_path, "x/a.ogg", "x/b.ogg")
    (tmp_path / "x/labels.csv").write_text("key,instrument,relevance\na,banjo,0.5\na,organ,0.2\nb,organ,0.9\n")
    long = {"label": "instrument", "value": "relevance", "field": "tags"}
    tables = [{"file": "labels.csv", "match": "{key}", "with": "{stem}", "long": long}]
    clips = read(tmp_path, folder=str(tmp_path / "x"), items=[{"glob": "*.ogg"}], tables=tables)
    assert [clip.labels["tags"] for clip in clips] == [{"banjo": 1, "organ": 0}, {"organ": 1}]
    for row, words in [("a,banjo,0.1\n", "is there and that it is not"), ("b,banjo,high\n", "'high' is no number")]:
        (tmp_path / "x/labels.csv").write_text(f"key,instrument,relevance\na,banjo,0.5\n{row}b,organ,1\n")
        with pytest.raises(UserError, match=words):
            read(tmp_path, folder=str(tmp_path / "x"), items=[{"glob": "*.ogg"}], tables=tables)


def test_texts_that_are_lists(tmp_path):
    touch(tmp_path, "1.wav", "2.wav")
    (tmp_path / "t.csv").write_text('path,tags\n1.wav,"dog, cat"\n2.wav,\n')
    clips = read(tmp_path, csv=str(tmp_path / "t.csv"), lists={"tags": ","})
    assert [clip.labels["tags"] for clip in clips] == [["dog", "cat"], []]


def test_events_beside_a_sound(tmp_path):
    touch(tmp_path, "x/sound/a.wav", "x/annotation/a.txt")
    (tmp_path / "x/annotation/a.txt").write_text("3.5\t4.0\tphone\n0.5\t1.25\tdoor knock\n")
    sidecar = {"suffix": ".txt", "replace": {"sound/": "annotation/"}, "format": "events", "field": "events"}
    items = [{"glob": "sound/*.wav", "sidecar": sidecar}]
    (clip,) = read(tmp_path, folder=str(tmp_path / "x"), items=items)
    assert clip.labels["events"] == [
        {"start": 0.5, "end": 1.25, "label": "door knock"},
        {"start": 3.5, "end": 4.0, "label": "phone"},
    ]
    (tmp_path / "x/annotation/a.txt").write_text("0.5 1.25 phone\n")
    with pytest.raises(UserError, match=r"line 1: '0\.5 1\.25 phone' is not start, end and label"):
        read(tmp_path, folder=str(tmp_path / "x"), items=items)


def test_lists_of_parts_may_name_what_is_not_a_path(tmp_path):
    touch(tmp_path, "x/a/1.ogg", "x/a/2.ogg", "x/b/3.ogg")
    (tmp_path / "x/lists").mkdir()
    (tmp_path / "x/lists/train.csv").write_text("1\n2\n")
    (tmp_path / "x/lists/test.csv").write_text("3\n")
    lists = {"lists": {"train": "**/train.csv", "test": "lists/test.csv"}, "with": "{stem}"}
    clips = read(tmp_path, folder=str(tmp_path / "x"), items=[{"glob": "**/*.ogg"}], split_lists=lists)
    assert [clip.split for clip in clips] == ["train", "train", "test"]
    (tmp_path / "x/lists/test.csv").write_text("4\n")
    with pytest.raises(UserError, match=r"no file of lists/test\.csv is among the items"):
        read(tmp_path, folder=str(tmp_path / "x"), items=[{"glob": "**/*.ogg"}], split_lists=lists)


def test_values_are_exchanged_and_fields_made_last(tmp_path):
    touch(tmp_path, "x/a/1.wav", "x/b/2.wav", "x/c/3.wav")
    (tmp_path / "x/segments.csv").write_text(
        '# Two lines that\n# tell nothing\n1, 1, "dog,cat"\n2, 2, dog\n3, 3, cat\n'
    )
    (tmp_path / "x/lists.txt").write_text("a/1.wav\tdog\n")
    clips = read(
        tmp_path,
        folder=str(tmp_path / "x"),
        items=[{"glob": "[ab]/*.wav"}, {"glob": "c/*.wav", "fields": {"split": "own"}}],
        tables=[
            {"file": "segments.csv", "columns": ["n", "part", "tags"], "comment": "#", "match": "{n}", "with": "{stem}"}
        ],
        split_lists={"lists": {"valid": "lists.txt"}, "rest": "train"},
        values={"part": {"1": "one", "2": "two"}},
        lists={"tags": ","},
        fields={"use": "{part}-{split}"},
    )
    assert [clip.labels["use"] for clip in clips] == ["one-valid", "two-train", "3-own"]
    assert [clip.split for clip in clips] == ["valid", "train", "own"]
    assert clips[0].labels["tags"] == ["dog", "cat"]
