"""Several questions at once, a probe each; a clip is right when all its answers are (HARES, Fluent Speech Commands)."""

from collections.abc import Sequence

import numpy as np

from benchmark.config.schema_probe import ProbeSettings
from benchmark.metrics.folds import Split
from benchmark.metrics.registry import METRICS
from benchmark.metrics.scorer import Scorer
from benchmark.probes.control import shuffle
from benchmark.probes.data import FrameTable
from benchmark.probes.run import FoldReport, ProbeResult, answer, by_fold, predictions_of


def run_slots(
    table: FrameTable,
    labels: np.ndarray,
    splits: Sequence[Split],
    probe: str,
    settings: ProbeSettings | None,
    metrics: Sequence[str],
    names: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
    shuffle_labels: bool = False,
) -> ProbeResult:
    """Train, choose (each slot by its own accuracy) and score a probe for every slot of every fold.

    Args:
        table: Features.
        labels: (n_clips, S) int.
        splits: Folds over clips.
        probe, settings: See `benchmark.probes.run.run_probe`.
        metrics: Names of metrics of slots.
        names: S names of slots, for the report of what each chose.
        groups: n_clips groups, for the control.
        seed: Of everything random.
        shuffle_labels: Run the control: the answers to all slots change clips together.

    Returns:
        A result whose answers are classes (m, S).
    """
    if shuffle_labels:
        labels = shuffle(labels, splits, groups, seed).labels
    scorer, given, reports = Scorer("multiclass"), [], []
    for slot in range(labels.shape[1]):
        truth = labels[:, slot]
        items, posteriors, report = answer(
            table, truth, splits, probe, settings, False, "accuracy", scorer, int(truth.max()) + 1, seed
        )
        folds = by_fold(items, splits, posteriors, "file")
        given.append([(clip, np.argmax(p.mean(0) if p.ndim == 3 else p, axis=1)) for clip, p in folds])
        reports.append(report)
    answers = [
        (columns[0][0], np.stack([classes for _, classes in columns], axis=1)) for columns in zip(*given, strict=True)
    ]
    scores = {name: [METRICS[name].function(labels[clip], classes) for clip, classes in answers] for name in metrics}
    folds = [
        FoldReport(
            one[0].train, one[0].valid, one[0].test, {name: of.chosen for name, of in zip(names, one, strict=True)}
        )
        for one in zip(*reports, strict=True)
    ]
    return ProbeResult({"file": scores}, {}, folds, predictions_of(answers), {}, {"file": answers})
