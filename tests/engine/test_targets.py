"""What each kind of task reads in the data, how it is divided, and what is said of wrong annotations."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmark.config.load import parse
from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.clips import Clip
from benchmark.engine.contents import class_counts, fold_balance
from benchmark.engine.items import task_items
from benchmark.engine.splits import task_splits
from benchmark.engine.targets import class_values
from benchmark.errors import UserError


def clips(values, field="y", groups=None):
    return [
        Clip(f"c{i:03}", Path(f"c{i:03}.wav"), None, None, value if isinstance(value, tuple) else {field: value},
             groups[i] if groups else None, None)
        for i, value in enumerate(values)
    ]  # fmt: skip


def task(**fields):
    return parse({"name": "t", "domain": "music", "dataset": "d", "label": "y", **fields}, TaskConfig, "t.yaml")


def items(values, shrink=False, folder=None, groups=None, **fields):
    return task_items(task(**fields), clips(values, groups=groups), "t.yaml", shrink, folder)


def test_a_list_says_all_and_a_mapping_what_is_known():
    values = [["flute", "piano"], [], {"flute": 0, "violin": "1"}, {"piano": None, "flute": "1"}, "", "piano; violin"]
    made = items(values, kind="multilabel")
    assert made.classes == ["flute", "piano", "violin"]
    assert made.ids == ["c000", "c001", "c002", "c003", "c005"]
    assert made.labels.tolist() == [[1, 1, 0], [0, 0, 0], [0, -1, 1], [1, -1, -1], [0, 1, 1]]
    assert class_counts(made) == {
        "flute": 2, "piano": 2, "violin": 2, "(clips without any)": 1, "(labels that nobody knows)": 3,
    }  # fmt: skip


def test_tables_hold_lists_as_json():
    assert items(['["a", "b"]', '{"a": 0, "b": 1}'], kind="multilabel").labels.tolist() == [[1, 1], [0, 1]]


def test_classes_of_a_multilabel_task_are_columns():
    made = items([["a", "b"], ["c"], ["b"]], kind="multilabel", classes=["b", "a"], map={"c": "a"})
    assert made.labels.tolist() == [[1, 1], [0, 1], [1, 0]]


def test_numbers_may_be_text_and_stand_behind_a_map():
    made = items(["60", 61.5, "low", None], kind="regression", map={"low": "24"})
    assert made.labels.tolist() == [60.0, 61.5, 24.0]
    assert made.classes == []


def test_slots_are_classes_of_each_field():
    made = task_items(
        task(kind="slots", label=["act", "what"]),
        [
            Clip("a", Path("a"), labels={"act": "on", "what": "lamp"}),
            Clip("b", Path("b"), labels={"act": "off", "what": "door"}),
            Clip("c", Path("c"), labels={"act": "on", "what": ""}),
            Clip("d", Path("d"), labels={"act": "on", "what": "door"}),
        ],
        "t.yaml",
    )
    assert [(slot.name, slot.classes) for slot in made.slots] == [("act", ["off", "on"]), ("what", ["door", "lamp"])]
    assert made.labels.tolist() == [[1, 1], [0, 0], [1, 0]]
    assert made.strata.tolist() == [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 1, 0]]


def test_events_are_sorted_and_numbered():
    two = [{"start": 1.5, "end": "2", "label": "dog"}, {"start": 0, "end": 1, "label": "cat"}]
    made = items([two, [], json.dumps(two[:1])], kind="events")
    assert made.classes == ["cat", "dog"]
    assert [found.tolist() for found in made.events] == [[[0, 1, 0], [1.5, 2, 1]], [], [[1.5, 2, 1]]]
    assert made.labels.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert items([two, []], kind="events", classes=["dog"]).events[0].tolist() == [[1.5, 2, 0]]


def test_identities_are_never_in_two_parts():
    made = items([f"s{i % 12}" for i in range(60)], kind="verification", groups=[f"text{i // 12}" for i in range(60)])
    for split in task_splits(task(kind="verification", folds={"kind": "grouped", "k": 4}), made, "t.yaml"):
        parts = [
            {made.classes[label] for label in made.labels[part]} for part in (split.train, split.valid, split.test)
        ]
        assert sum(map(len, parts)) == len(set().union(*parts)) == 12
        assert set(fold_balance(split, made)) == {"train", "valid", "test"}


def test_folds_of_numbers_have_their_share_of_low_and_high():
    rng = np.random.default_rng(0)
    made = items(list(rng.exponential(size=200)), kind="regression")
    whole = np.quantile(made.labels, [0.1, 0.9])
    for split in task_splits(task(kind="regression", folds={"kind": "grouped", "k": 5}), made, "t.yaml"):
        assert np.mean(made.labels[split.test] < whole[0]) == pytest.approx(0.1, abs=0.03)
        assert np.mean(made.labels[split.test] > whole[1]) == pytest.approx(0.1, abs=0.03)
        balance = fold_balance(split, made)
        assert 0.15 <= balance["smallest share of a class"] <= balance["largest share of a class"] <= 0.25


def test_folds_of_many_labels_have_their_share_of_each():
    rng = np.random.default_rng(1)
    values = [
        [name for name, p in zip("abcd", (0.5, 0.3, 0.1, 0.06), strict=True) if rng.random() < p] for _ in range(300)
    ]
    made = items(values, kind="multilabel")
    for split in task_splits(task(kind="multilabel", folds={"kind": "grouped", "k": 5}), made, "t.yaml"):
        assert fold_balance(split, made)["smallest share of a class"] > 0.14


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("multilabel", [["a"], ["a", "b"], ["b"], []] * 10),
        ("regression", list(range(40))),
        ("events", [[{"start": 0, "end": 1, "label": name}] for name in "abcd"] * 10),
        ("verification", [f"s{i % 4}" for i in range(40)]),
    ],
)
def test_shrinking_takes_of_everything(kind, values):
    made = items(values, shrink=True, kind=kind, smoke={"max_clips": 8})
    assert len(made.ids) == 8
    if kind == "verification":
        assert np.bincount(made.labels).tolist() == [2, 2, 2, 2]
    elif kind == "regression":
        assert made.labels.min() < 10 and made.labels.max() >= 28
    else:
        assert (made.labels.sum(0) >= 2).all()
    assert (made.events is not None) == (kind == "events")


def test_trials_name_clips_and_agree_with_their_labels(tmp_path):
    (tmp_path / "trials.txt").write_text("1 c000 c002\n0 c001 c000\n\n")
    made = items(["x", "y", "x", "y"], kind="verification", trials="trials.txt", folder=tmp_path)
    assert made.trials.tolist() == [[1, 0, 2], [0, 1, 0]]
    assert made.take([0, 2, 3]).trials.tolist() == [[1, 0, 1]]
    for text, mend in [
        ("2 c000 c001", "line 1: '2 c000 c001' is not `0|1 id id`"),
        ("1 c000 c009", "no clip 'c009'"),
        ("1 c000 c001", "contradicts the label"),
    ]:
        (tmp_path / "trials.txt").write_text(text)
        with pytest.raises(UserError, match=r"^t\.yaml: trials: ") as caught:
            items(["x", "y", "x", "y"], kind="verification", trials="trials.txt", folder=tmp_path)
        assert mend in str(caught.value)
    with pytest.raises(UserError, match=r"none\.txt cannot be read"):
        items(["x", "y"], kind="verification", trials="none.txt", folder=tmp_path)


@pytest.mark.parametrize(
    ("kind", "values", "mend"),
    [
        ("multiclass", [["a"], ["b"]], "['a'], not one value (kind multilabel takes lists)"),
        ("multilabel", [{"a": 2}, ["b"]], "is 2, not 0, 1 or empty"),
        ("multilabel", ["[1", "b"], "not JSON"),
        ("multilabel", [["a"], ["a"]], "only one class"),
        ("regression", ["a", 1], "'a', not a number"),
        ("regression", [1, "inf"], "'inf', not a number"),
        ("regression", [1, 1], "every clip has the value 1"),
        ("events", ["dog"], "not a list of {start, end, label}"),
        ("events", [[{"start": 0, "label": "a"}]], "not an event with start, end and label"),
        ("events", [[{"start": 2, "end": 1, "label": "a"}]], "ends after it begins"),
        ("events", [[{"start": "x", "end": 1, "label": "a"}]], "'x', not a time in seconds"),
        ("events", [[]], "no clip has an event"),
    ],
)
def test_a_wrong_annotation_is_named_with_its_clip(kind, values, mend):
    with pytest.raises(UserError, match=r"^t\.yaml: ") as caught:
        items(values, kind=kind)
    assert mend in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "mend"),
    [
        ({"kind": "regression", "metrics": ["accuracy"]}, "metrics: 'accuracy' does not fit kind regression"),
        ({"kind": "verification", "metrics": ["err"]}, "metrics: 'err' is unknown; known metrics: eer"),
        ({"kind": "slots"}, "label: a list of fields for kind slots"),
        ({"kind": "slots", "label": ["y"]}, "label: kind slots needs two different fields"),
        ({"label": ["y", "z"]}, "label: a list of fields for kind slots, one field for every other kind"),
        ({"kind": "regression", "classes": ["a"]}, "classes: is for kind multiclass"),
        ({"trials": "x.txt"}, "trials: is for kind verification, not for multiclass"),
        ({"kind": "events", "levels": ["frame"]}, "levels: frame is for kind multiclass and multilabel"),
        ({"kind": "multilabel", "balance": "downsample"}, "balance: downsample does not fit kind multilabel"),
        ({"kind": "verification", "probes": ["logistic"]}, "write [cosine]"),
        ({"kind": "multilabel", "probes": ["cosine"]}, "probes: cosine compares vectors"),
        ({"probes": ["cosine", "logistic"], "metrics": ["accuracy"]}, "probes: cosine compares vectors"),
        (
            {"probes": ["cosine"], "metrics": ["accuracy"]},
            "metrics: 'accuracy' does not fit kind multiclass with these",
        ),
    ],
)
def test_what_does_not_fit_a_kind_is_one_line(fields, mend):
    with pytest.raises(UserError, match=r"^t\.yaml: ") as caught:
        task(**fields)
    assert mend in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_kind_has_its_metric_and_probe():
    found = {
        kind: (made.metrics, made.probes)
        for kind in ("multiclass", "multilabel", "events", "regression", "verification")
        for made in [task(kind=kind)]
    }
    assert found == {
        "multiclass": (["accuracy"], ["logistic"]),
        "multilabel": (["map"], ["logistic"]),
        "events": (["onset_f_200ms"], ["logistic"]),
        "regression": (["r2"], ["ridge"]),
        "verification": (["eer"], ["cosine"]),
    }
    assert task(probes=["cosine"]).metrics == ["map_at_10"]


def test_identities_cannot_be_stratified():
    made = items([f"s{i % 4}" for i in range(40)], kind="verification")
    with pytest.raises(UserError, match=r"^t\.yaml: folds\.kind: stratified divides identities"):
        task_splits(task(kind="verification", folds={"kind": "stratified"}), made, "t.yaml")


def test_separation_takes_the_clips_that_have_every_stem_and_divides_them_by_group():
    stems = [{"stem_a": "a.wav", "stem_b": ["b.wav", "c.wav"]}, {"stem_a": "a.wav"}] * 12
    found = [Clip(f"c{i:03}", Path("m.wav"), labels=stems[i], group=f"g{i // 4}") for i in range(24)]
    asked = task(kind="separation", sources=["a", "b"], metrics=["bss_v4_sdr"], folds={"k": 3})
    made = task_items(asked, found, "t.yaml")
    assert made.ids == [f"c{i:03}" for i in range(0, 24, 2)]
    for split in task_splits(asked, made, "t.yaml"):
        assert not {made.groups[i] for i in split.train} & {made.groups[i] for i in split.test}
    with pytest.raises(UserError, match="the data have no field 'stem_drums'"):
        task_items(task(kind="separation", sources=["a", "drums"]), found, "t.yaml")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "separation"}, "sources: missing"),
        ({"kind": "multiclass", "sources": ["a"]}, "sources: is for kind separation"),
        ({"kind": "separation", "sources": ["a", "a"]}, "an entry is there twice"),
        ({"kind": "separation", "sources": ["a"], "metrics": ["sdr"]}, "metrics: 'sdr' is unknown"),
    ],
)
def test_what_separation_needs(fields, words):
    with pytest.raises(UserError, match=words):
        task(**fields)


def test_classes_may_be_pitches():
    assert class_values(["midi-60", "61", "a4 69.5"]).tolist() == [60, 61, 69.5]
    with pytest.raises(ValueError, match="'high' does not end with a number"):
        class_values(["60", "high"])


def test_a_metric_of_notes_needs_classes_that_end_with_notes():
    assert items(["midi-60", "midi-61"], metrics=["accuracy", "chroma_accuracy"]).classes == ["midi-60", "midi-61"]
    with pytest.raises(UserError, match=r"^t\.yaml: metrics: chroma_accuracy: class 'low' does not end with a number"):
        items(["low", "60"], metrics=["chroma_accuracy"])
