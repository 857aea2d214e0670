"""The label-shuffled control: a probe of labels that mean nothing must score at chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.metrics.folds import Split


@dataclass(frozen=True)
class Shuffle:
    """Labels permuted over units within cells.

    Attributes:
        labels: (n,) or (n, C) permuted labels.
        unit: (n,) int64 what keeps one label: a group where labels are constant within groups, else a clip.
        cell: (n,) int64 units change labels only within a cell.
    """

    labels: np.ndarray
    unit: np.ndarray
    cell: np.ndarray


@dataclass(frozen=True)
class Null:
    """What accuracy the control is expected to reach, given how often it answers each class."""

    expected: float
    standard_error: float

    def agrees(self, score: float, errors: float = 3.0) -> bool:
        """Tell whether an accuracy is within so many standard errors of the expected one."""
        return abs(score - self.expected) <= errors * self.standard_error + 1e-9


def shuffle(labels: np.ndarray, splits: Sequence[Split], groups: Sequence[str] | None, seed: int) -> Shuffle:
    """Permute labels so that nothing is left to learn and every part keeps its share of the classes.

    Labels move between whole groups where each group has one label, so that a group in two parts of a fold (a leak)
    still shows. They move within test parts: drawn over all clips, a class frequent in a test part by chance would be
    rare in its training part, and the control would score below chance. Where groups cross test parts there is one
    cell.

    Args:
        labels: (n,) int, or (n, C) of 0 and 1.
        splits: Folds.
        groups: n groups or None.
        seed: Of the permutation.
    """
    labels = np.asarray(labels)
    clips = len(labels)
    unit = np.arange(clips)
    if groups is not None:
        names = [f"clip {i}" if group is None else f"group {group}" for i, group in enumerate(groups)]
        by_group = np.unique(names, return_inverse=True)[1]
        first = np.unique(by_group, return_index=True)[1]
        if np.array_equal(labels, labels[first][by_group]):
            unit = by_group
    cell = np.zeros(clips, dtype=np.int64)
    for fold, split in enumerate(splits):
        cell[split.test] = fold + 1
    if len(splits) == 1:
        cell[splits[0].valid] = 2
    first, unit = np.unique(unit, return_index=True, return_inverse=True)[1:]
    if np.any(cell != cell[first][unit]):
        cell[:] = 0
    order = np.arange(len(first))
    for value in np.unique(cell):
        members = np.flatnonzero(cell[first] == value)
        # Seeded by the cell, so that one cell's draw does not depend on how many others there are.
        order[members] = np.random.default_rng([seed, int(value)]).permutation(members)
    return Shuffle(labels[first][order][unit], unit, cell)


def null_accuracy(shuffled: Shuffle, splits: Sequence[Split], counts: Sequence[tuple[np.ndarray, np.ndarray]]) -> Null:
    """Find mean and standard error of the accuracy under all permutations of the test labels (Hoeffding 1951).

    Scores of folds correlate, since the test clips of one train the others, by as much as the features cluster. The
    standard error is the mean of the folds' own, which bounds that of their mean whatever the correlation.

    Args:
        shuffled: The control's labels, multiclass.
        splits: Folds.
        counts: For each fold the predicted classes (m,) of its test items, and the clip (m,) of each.
    """
    labels, first = shuffled.labels, np.unique(shuffled.unit, return_index=True)[1]
    n_classes = int(labels.max()) + 1
    mean, deviation = 0.0, 0.0
    for split, (predicted, clip) in zip(splits, counts, strict=True):
        units = np.flatnonzero(np.isin(shuffled.cell[first], np.unique(shuffled.cell[split.test])))
        place = np.searchsorted(units, shuffled.unit[clip])
        known = predicted < n_classes
        hits = np.zeros((len(units), n_classes))
        np.add.at(hits, (place[known], predicted[known]), 1 / len(clip))
        share = np.bincount(labels[first[units]], minlength=n_classes) / len(units)
        row, column = hits @ share, hits.mean(0)
        mean += row.sum()
        if len(units) > 1:
            centred = hits - row[:, None] - column + row.mean()
            deviation += np.sqrt((centred**2 @ share).sum() * len(units) / (len(units) - 1))
    return Null(mean / len(splits), float(deviation) / len(splits))
