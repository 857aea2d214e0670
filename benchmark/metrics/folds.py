"""Folds: which clips train, validate and test a probe."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.errors import UserError
from benchmark.metrics.allocate import allocate

_PARTS = {
    "train": ("train", "training", "tr"),
    "valid": ("valid", "validation", "val", "dev", "development"),
    "test": ("test", "testing", "eval", "evaluation"),
}


@dataclass(frozen=True)
class Split:
    """Clips of one fold, as sorted int64 indices."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class _Clips:
    """Clips in the order of their ids, with groups numbered in the order of their names."""

    index: np.ndarray
    labels: np.ndarray
    classes: list
    onehot: np.ndarray
    groups: np.ndarray


def make_splits(
    ids: Sequence[str],
    labels: np.ndarray,
    groups: Sequence[str] | None,
    kind: str,
    k: int = 5,
    seed: int = 0,
    valid: float = 0.1,
    test: float = 0.1,
    official: Sequence[str | int] | None = None,
    within: np.ndarray | None = None,
) -> list[Split]:
    """Divide clips into training, validation and test parts.

    `official`: values of each clip, either folds (test = fold i, validation = fold i + 1, training = the rest) or the
    parts train, valid and test (one split; without a valid part it is taken from the training part). `grouped`: k
    folds with no group in two parts. `stratified`: k folds, groups ignored. `repeated_holdout` (Kehling & Cano): k
    draws, their test parts disjoint. Validation parts come from the training part and keep groups together. Every
    part has its share of every class as far as groups allow. Splits depend on ids, labels, groups and seed, not on
    the order of the clips.

    Args:
        ids: n unique clip ids.
        labels: (n,) classes of any sortable kind, or (n, C) of 0 and 1.
        groups: n groups; None or a None entry: the clip is its own group.
        kind: `official`, `grouped`, `stratified` or `repeated_holdout`.
        k: Number of folds or draws (not `official`).
        seed: Of all random choices.
        valid: Part of all clips in each validation part.
        test: Part of all clips in each test part (`repeated_holdout`).
        official: n values (`official`).
        within: Indices of the clips to be divided; all by default.

    Raises:
        UserError: The clips cannot be divided so; the message names class, count and mend, but no file.
    """
    clips = _order(ids, labels, None if kind == "stratified" else groups, within)
    if kind == "official":
        splits = _official(clips, official, valid, seed)
    elif kind in ("grouped", "stratified"):
        splits = _folds(clips, k, valid, seed)
    elif kind == "repeated_holdout":
        splits = _holdout(clips, k, valid, test, seed)
    else:
        raise ValueError(f"unknown kind of folds {kind!r}")
    return [Split(*(np.sort(clips.index[part]) for part in split)) for split in splits]


def check_splits(splits: Sequence[Split], groups: Sequence[str] | None = None) -> None:
    """Raise ValueError where a clip, or a group, is in two parts of one fold, or a part is empty."""
    for fold, split in enumerate(splits):
        seen: dict = {}
        for name in ("train", "valid", "test"):
            part = getattr(split, name)
            if not len(part):
                raise ValueError(f"fold {fold}: the {name} part is empty")
            members = {("clip", int(i)) for i in part}
            if groups is not None:
                members |= {("group", str(groups[i])) for i in part if groups[i] is not None}
            for what, value in members:
                if seen.setdefault((what, value), name) != name:
                    raise ValueError(f"fold {fold}: {what} {value} is in the {seen[what, value]} and the {name} part")


def downsample(labels: np.ndarray, ids: Sequence[str], seed: int, within: np.ndarray | None = None) -> np.ndarray:
    """Balance classes by drawing as many clips of each as the smallest has.

    Args:
        labels: (n,) classes.
        ids: n clip ids; a draw depends on them and the seed, not on the order of the clips.
        seed: Of the draw.
        within: Indices to draw from; all by default.

    Returns:
        Sorted int64 indices.
    """
    labels = np.asarray(labels)
    within = np.arange(len(labels)) if within is None else np.asarray(within)
    rank = np.array([hashlib.sha256(f"{seed}:{ids[i]}".encode()).hexdigest() for i in within])
    classes, counts = np.unique(labels[within], return_counts=True)
    drawn = []
    for value in classes:
        members = np.flatnonzero(labels[within] == value)
        drawn.append(within[members[np.argsort(rank[members])[: counts.min()]]])
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def _order(ids: Sequence[str], labels: np.ndarray, groups: Sequence[str] | None, within: np.ndarray | None) -> _Clips:
    labels = np.asarray(labels)
    index = np.arange(len(ids)) if within is None else np.asarray(within, dtype=np.int64)
    names = [str(ids[i]) for i in index]
    if len(set(names)) != len(names):
        raise ValueError("clip ids are not unique")
    if not names:
        raise UserError("no clips are left to divide into folds; check `filter`, `classes` and the dataset's labels")
    order = np.argsort(np.array(names))
    index = index[order]
    if labels.ndim == 2:
        classes, onehot = list(range(labels.shape[1])), (labels[index] > 0).astype(np.int64)
    else:
        values, inverse = np.unique(labels[index], return_inverse=True)
        classes, onehot = values.tolist(), np.eye(len(values), dtype=np.int64)[inverse]
    # A clip without a group is a group of its own, whose name is no other group's.
    keys = [
        ("clip", str(ids[i])) if groups is None or groups[i] is None else ("group", str(groups[i]))
        for i in index.tolist()
    ]
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    return _Clips(index, labels[index], classes, onehot, np.array([numbers[key] for key in keys], dtype=np.int64))


def _counts(clips: _Clips, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the groups of the rows as (n,) consecutive numbers, their class counts (G, C) and sizes (G,)."""
    _, inverse = np.unique(clips.groups[rows], return_inverse=True)
    counts = np.zeros((inverse.max() + 1, clips.onehot.shape[1]), dtype=np.int64)
    np.add.at(counts, inverse, clips.onehot[rows])
    return inverse, counts, np.bincount(inverse)


def _need(clips: _Clips, least: int, what: str) -> None:
    """Raise a UserError unless every class has enough groups (multilabel: there are enough groups)."""
    _, counts, _ = _counts(clips, np.arange(len(clips.index)))
    grouped = len(counts) < len(clips.index)
    if len(counts) < least:
        raise UserError(
            f"{what} needs {least} {'groups' if grouped else 'clips'}, but there are {len(counts)}; use a smaller k"
        )
    if clips.labels.ndim == 2:
        return
    clip_counts, group_counts = counts.sum(0), (counts > 0).sum(0)
    smallest = int(np.argmin(group_counts))
    if group_counts[smallest] < least:
        found = f"{clip_counts[smallest]} clips"
        if grouped:
            found += f" in {group_counts[smallest]} groups"
        have = int(group_counts[smallest])
        mend = f"set k to at most {have}, " if have >= 2 else ""
        raise UserError(
            f"{what} needs {least} {'groups' if grouped else 'clips'} of every class, but class "
            f"{clips.classes[smallest]!r} has {found}; {mend}leave the class out with `classes`, or add clips"
        )


def _take_valid(
    clips: _Clips, train: np.ndarray, valid: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Divide rows of the training part into training and validation."""
    numbers, counts, sizes = _counts(clips, train)
    if len(counts) < 2:
        raise UserError(
            "the training part is a single group, so no validation part can be taken from it; use another grouping"
        )
    fraction = min(0.5, valid * len(clips.index) / len(train))
    # It is worse for the training part to lack a class than for the validation part.
    part = allocate(counts, sizes, np.array([1 - fraction, fraction]), rng, np.array([100.0, 1.0]))
    if len(np.unique(part)) < 2:
        part[int(np.argmin(sizes))] ^= 1
    return train[part[numbers] == 0], train[part[numbers] == 1]


def _folds(clips: _Clips, k: int, valid: float, seed: int) -> list[tuple[np.ndarray, ...]]:
    if k < 2:
        raise UserError(f"k is {k}, but at least 2 folds are needed; set k to 2 or more")
    _need(clips, k, f"k = {k}")
    rows = np.arange(len(clips.index))
    numbers, counts, sizes = _counts(clips, rows)
    part = allocate(counts, sizes, np.full(k, 1 / k), np.random.default_rng([seed, 0]))[numbers]
    return [
        (*_take_valid(clips, rows[part != fold], valid, np.random.default_rng([seed, 1, fold])), rows[part == fold])
        for fold in range(k)
    ]


def _holdout(clips: _Clips, k: int, valid: float, test: float, seed: int) -> list[tuple[np.ndarray, ...]]:
    if k * test > 1 + 1e-9:
        raise UserError(
            f"{k} disjoint test parts of {test:g} are more than all clips; set k to at most {int(1 / test + 1e-9)}"
        )
    _need(clips, max(2, k), f"k = {k}")
    rows = np.arange(len(clips.index))
    numbers, counts, sizes = _counts(clips, rows)
    rest = 1 - k * test
    fractions = np.append(np.full(k, test), rest if rest > 1e-9 else [])
    priority = np.append(np.full(k, 10.0), [1.0] if rest > 1e-9 else [])
    part = allocate(counts, sizes, fractions, np.random.default_rng([seed, 0]), priority)[numbers]
    return [
        (*_take_valid(clips, rows[part != draw], valid, np.random.default_rng([seed, 1, draw])), rows[part == draw])
        for draw in range(k)
    ]


def _natural(value: str) -> list:
    return [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in re.split(r"(\d+)", value) if piece]


def _official(
    clips: _Clips, official: Sequence[str | int] | None, valid: float, seed: int
) -> list[tuple[np.ndarray, ...]]:
    given = [None if official is None else official[i] for i in clips.index.tolist()]
    missing = sum(value is None or str(value).strip() == "" for value in given)
    if missing:
        raise UserError(
            f"folds are `official`, but {missing} of {len(given)} clips have no split; use `grouped` or `stratified`"
        )
    texts = np.array([str(value).strip().lower() for value in given])
    names = {alias: part for part, aliases in _PARTS.items() for alias in aliases}
    rows = np.arange(len(texts))
    found = sorted(set(texts.tolist()), key=_natural)
    if all(text in names for text in found):
        parts = np.array([names[text] for text in texts])
        train, held, test = (rows[parts == name] for name in ("train", "valid", "test"))
        if not len(train) or not len(test):
            raise UserError(f"official parts are {', '.join(found)}, but a train and a test part are needed")
        if not len(held):
            train, held = _take_valid(clips, train, valid, np.random.default_rng([seed, 1, 0]))
        return [(train, held, test)]
    if len(found) < 2 or any(text in names for text in found):
        raise UserError(
            f"official splits are {', '.join(found)}: neither two folds or more, nor train, valid and test; "
            "mend the split column, or use `grouped` or `stratified`"
        )
    splits = []
    for fold, name in enumerate(found):
        following = found[(fold + 1) % len(found)]
        if len(found) == 2:
            train, held = _take_valid(clips, rows[texts == following], valid, np.random.default_rng([seed, 1, fold]))
        else:
            train, held = rows[(texts != name) & (texts != following)], rows[texts == following]
        splits.append((train, held, rows[texts == name]))
    return splits
