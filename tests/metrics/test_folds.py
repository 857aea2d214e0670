"""Folds keep groups together, classes balanced, and do not depend on the order of files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.errors import UserError
from benchmark.metrics.folds import Split, check_splits, downsample, make_splits


def _data(seed, clips=240, groups=40, classes=4, nested=True):
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.arange(clips) % groups)
    label = group % classes if nested else rng.integers(classes, size=clips)
    return [f"clip-{i:04}" for i in range(clips)], label, [f"g{value}" for value in group]


def _share(splits, labels, part="test"):
    total = np.bincount(labels)
    return np.array([np.bincount(labels[getattr(s, part)], minlength=len(total)) / total for s in splits])


@pytest.mark.parametrize("kind", ["grouped", "repeated_holdout"])
@pytest.mark.parametrize("nested", [True, False])
def test_parts_are_disjoint_grouped_and_hold_every_class(kind, nested):
    ids, labels, groups = _data(1, clips=480, groups=80, nested=nested)
    splits = make_splits(ids, labels, groups, kind, k=5, seed=3)
    check_splits(splits, groups)
    for split in splits:
        assert len(split.train) + len(split.valid) + len(split.test) == len(ids)
        for part in (split.train, split.valid, split.test):
            assert set(labels[part]) == set(labels)
            assert part.dtype == np.int64
            assert np.all(np.diff(part) > 0)
        assert abs(len(split.valid) - 48) <= 6
    tests = np.concatenate([split.test for split in splits])
    assert len(set(tests)) == len(tests)
    share = 1 / 5 if kind == "grouped" else 0.1
    assert np.abs(_share(splits, labels) - share).max() < 0.06
    if kind == "grouped":
        assert len(tests) == len(ids)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(2, 6), st.booleans())
def test_any_groups_are_kept_together(seed, k, classes, nested):
    ids, labels, groups = _data(seed, clips=120, groups=8 * classes, classes=classes, nested=nested)
    splits = make_splits(ids, labels, groups, "grouped", k=k, seed=seed)
    check_splits(splits, groups)
    for split in splits:
        assert set(labels[split.train]) == set(labels)
        assert set(labels[split.test]) == set(labels)


def test_folds_do_not_depend_on_the_order_of_clips():
    ids, labels, groups = _data(2)
    order = np.random.default_rng(0).permutation(len(ids))
    for kind in ("grouped", "stratified", "repeated_holdout"):
        one = make_splits(ids, labels, groups, kind, seed=5)
        other = make_splits([ids[i] for i in order], labels[order], [groups[i] for i in order], kind, seed=5)
        for a, b in zip(one, other, strict=True):
            for part in ("train", "valid", "test"):
                assert {ids[i] for i in getattr(a, part)} == {ids[order[i]] for i in getattr(b, part)}
        again = make_splits(ids, labels, groups, kind, seed=6)
        assert any(not np.array_equal(a.test, b.test) for a, b in zip(one, again, strict=True))


@pytest.mark.parametrize("nested", [True, False])
def test_folds_are_better_balanced_than_those_of_scikit_learn(nested):
    from sklearn.model_selection import StratifiedGroupKFold

    ours, theirs = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        group = rng.choice(60, 600, p=rng.dirichlet(np.full(60, 2.0)))
        labels = group % 4 if nested else rng.choice(4, 600, p=[0.5, 0.25, 0.15, 0.1])
        ids, groups = [f"{i:03}" for i in range(600)], [f"g{value}" for value in group]
        splits = make_splits(ids, labels, groups, "grouped", k=5, seed=seed)
        ours.append(((_share(splits, labels) - 0.2) ** 2).mean())
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(ids, labels, group)
        parts = [Split(train, train, test) for train, test in folds]
        theirs.append(((_share(parts, labels) - 0.2) ** 2).mean())
    assert np.mean(ours) < np.mean(theirs)


def test_stratified_folds_are_even():
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    splits = make_splits([f"{i:03}" for i in range(100)], labels, None, "stratified", k=5, seed=0)
    assert np.allclose(_share(splits, labels), 0.2)
    assert [len(split.valid) for split in splits] == [10] * 5


def test_official_folds_are_used_as_given():
    ids, labels, groups = _data(3)
    fold = [f"fold{int(group[1:]) % 5 + 1}" for group in groups]
    splits = make_splits(ids, labels, groups, "official", official=fold)
    assert len(splits) == 5
    for number, split in enumerate(splits):
        assert {fold[i] for i in split.test} == {f"fold{number + 1}"}
        assert {fold[i] for i in split.valid} == {f"fold{(number + 1) % 5 + 1}"}
        assert len(split.train) + len(split.valid) + len(split.test) == len(ids)


def test_official_folds_are_ordered_as_numbers():
    official = [str(i % 10 + 1) for i in range(100)]
    splits = make_splits([f"{i:03}" for i in range(100)], np.arange(100) % 2, None, "official", official=official)
    assert [official[split.test[0]] for split in splits] == [str(i + 1) for i in range(10)]


def test_official_parts_are_used_as_given_and_a_missing_valid_part_is_taken_from_training():
    ids, labels, groups = _data(4)
    official = ["test" if int(group[1:]) % 5 == 0 else "train" for group in groups]
    (split,) = make_splits(ids, labels, groups, "official", official=official)
    assert {official[i] for i in split.valid} == {"train"}
    check_splits([split], groups)
    official = [["Training", "val", "eval"][i % 3] for i in range(len(ids))]
    (split,) = make_splits(ids, labels, None, "official", official=official)
    assert {official[i] for i in split.valid} == {"val"}


def test_official_without_values_is_refused():
    with pytest.raises(UserError, match="2 of 3 clips have no split"):
        make_splits(["a", "b", "c"], np.array([0, 1, 0]), None, "official", official=["train", None, ""])
    with pytest.raises(UserError, match="train and a test part"):
        make_splits(["a", "b"], np.array([0, 1]), None, "official", official=["train", "train"])


def test_too_many_folds_for_the_smallest_class_names_class_count_and_mend():
    labels = np.array(["cat"] * 20 + ["owl"] * 3)
    ids = [f"{i:02}" for i in range(23)]
    with pytest.raises(UserError, match=r"class 'owl' has 3 clips; set k to at most 3"):
        make_splits(ids, labels, None, "stratified", k=5)
    groups = [f"g{i}" for i in range(20)] + ["h1", "h2", "h2"]
    with pytest.raises(UserError, match=r"class 'owl' has 3 clips in 2 groups; set k to at most 2"):
        make_splits(ids, labels, groups, "grouped", k=5)
    with pytest.raises(UserError, match="at most 10"):
        make_splits(ids, labels, None, "repeated_holdout", k=11, test=0.1)


def test_rare_classes_stay_in_every_training_part():
    labels = np.repeat([0, 1], [60, 3])
    splits = make_splits([f"{i:02}" for i in range(63)], labels, None, "grouped", k=3)
    assert all(set(labels[split.train]) == {0, 1} for split in splits)


def test_multilabel_folds_share_every_label():
    labels = (np.random.default_rng(0).random((300, 6)) < [0.5, 0.3, 0.2, 0.1, 0.1, 0.05]).astype(int)
    splits = make_splits([f"{i:03}" for i in range(300)], labels, None, "grouped", k=5)
    share = np.array([labels[split.test].sum(0) / labels.sum(0) for split in splits])
    assert np.abs(share - 0.2).max() < 0.08


def test_check_splits_finds_planted_leaks():
    good = Split(np.array([0, 1]), np.array([2]), np.array([3]))
    check_splits([good], ["a", "a", "b", "c"])
    with pytest.raises(ValueError, match="group a"):
        check_splits([good], ["a", "b", "c", "a"])
    with pytest.raises(ValueError, match="clip 1"):
        check_splits([Split(np.array([0, 1]), np.array([2]), np.array([1]))])
    with pytest.raises(ValueError, match="valid part is empty"):
        check_splits([Split(np.array([0, 1]), np.array([], dtype=int), np.array([2]))])


def test_downsampling_balances_by_seed_and_id():
    labels, ids = np.repeat([0, 1, 2], [50, 20, 30]), [f"{i:03}" for i in range(100)]
    kept = downsample(labels, ids, seed=1)
    assert np.bincount(labels[kept]).tolist() == [20, 20, 20]
    order = np.random.default_rng(0).permutation(100)
    other = downsample(labels[order], [ids[i] for i in order], seed=1)
    assert {ids[i] for i in kept} == {ids[order[i]] for i in other}
    assert not np.array_equal(kept, downsample(labels, ids, seed=2))
    within = np.arange(10, 80)
    assert set(downsample(labels, ids, 1, within)) <= set(within)


def test_only_some_clips_can_be_divided():
    ids, labels, groups = _data(5)
    within = np.flatnonzero(labels < 2)
    splits = make_splits(ids, labels, groups, "grouped", within=within)
    assert set(np.concatenate([split.test for split in splits])) == set(within)
