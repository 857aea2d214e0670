from pathlib import Path

import pytest

from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.clips import Clip
from benchmark.engine.items import task_items
from benchmark.errors import UserError


def clips(rows):
    return [
        Clip(f"c{i:02}", Path(f"c{i:02}.wav"), None, None, labels, group, None)
        for i, (labels, group) in enumerate(rows)
    ]


BIRDS = clips(
    [({"bird": "owl", "site": "a"}, "g1"), ({"bird": "owl", "site": "b"}, "g2"), ({"bird": "wren", "site": "a"}, "g1")]
    * 4
)


def task(**fields):
    return TaskConfig.model_validate({"name": "t", "domain": "environment", "dataset": "d", "label": "bird", **fields})


def test_classes_are_sorted_and_labels_index_them():
    items = task_items(task(), BIRDS, "t.yaml")
    assert items.classes == ["owl", "wren"]
    assert items.labels.tolist()[:3] == [0, 0, 1]


def test_the_order_of_the_clips_does_not_matter():
    a, b = task_items(task(), BIRDS, "t.yaml"), task_items(task(), BIRDS[::-1], "t.yaml")
    assert a.ids == b.ids
    assert a.labels.tolist() == b.labels.tolist()


def test_filter_map_and_classes():
    items = task_items(task(filter={"site": "a"}, map={"owl": "big"}, classes=["wren", "big"]), BIRDS, "t.yaml")
    assert items.classes == ["wren", "big"]
    assert {clip.labels["site"] for clip in items.clips} == {"a"}
    assert items.labels.tolist() == [1, 0] * 4


def test_the_task_may_group_by_another_field():
    assert set(task_items(task(group="site"), BIRDS, "t.yaml").groups) == {"a", "b"}


def test_the_task_may_take_its_parts_from_another_field():
    assert task_items(task(split="site"), BIRDS, "t.yaml").parts == [clip.labels["site"] for clip in BIRDS]


def test_a_clip_without_a_group_is_a_group_of_its_own():
    ungrouped = clips([({"bird": "owl"}, None), ({"bird": "wren"}, None)])
    assert task_items(task(), ungrouped, "t.yaml").groups == ["c00", "c01"]


def test_downsample_all_levels_the_classes_the_same_way_each_time():
    a, b = (task_items(task(balance="downsample_all"), BIRDS, "t.yaml") for _ in range(2))
    assert a.labels.tolist().count(0) == a.labels.tolist().count(1) == 4
    assert a.ids == b.ids


def test_shrinking_keeps_classes_level_and_groups_many():
    items = task_items(task(smoke={"max_clips": 4}), BIRDS, "t.yaml", shrink=True)
    assert sorted(items.labels.tolist()) == [0, 0, 1, 1]
    assert len({group for group, label in zip(items.groups, items.labels, strict=True) if label == 0}) == 2


def test_shrinking_is_for_the_profile_that_asks():
    assert len(task_items(task(smoke={"max_clips": 4}), BIRDS, "t.yaml").ids) == 12


@pytest.mark.parametrize(
    ("fields", "mend"),
    [
        ({"label": "brid"}, "no field 'brid'; fields that they have: bird, site"),
        ({"filter": {"site": "z"}}, "no clip is left"),
        ({"classes": ["owl", "hawk"]}, "no clip has the label 'hawk'; labels in the data: owl"),
        ({"filter": {"bird": "owl"}}, "only one class"),
        ({"group": "place"}, "no field 'place'"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(fields, mend):
    with pytest.raises(UserError, match=r"^t\.yaml: ") as caught:
        task_items(task(**fields), BIRDS, "t.yaml")
    assert mend in str(caught.value)
