"""Two embeddings of a project against each other, on the answers that their runs kept."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.engine.plan import Project
from benchmark.engine.reporting import report
from benchmark.engine.runs import project_items
from benchmark.errors import UserError
from benchmark.metrics.comparisons import Permutation, permutation_test
from benchmark.metrics.registry import METRICS
from benchmark.report.duel import Duel, duels
from benchmark.report.records import RunRecord, record_path


def duel(project: Project, first: str, second: str) -> tuple[list[Duel], list[RunRecord]]:
    """Every task that both embeddings have a current result on, and the records.

    Raises:
        UserError: an embedding has no current result, or the two share no task.
    """
    _, records = report(project, write=False)
    for name in (first, second):
        if not any(record.embedding == name for record in records):
            raise UserError(f"{name}: has no current result; run `leveret probe --embedding {name}`")
    tasks = {task.name: task for task in project.tasks}
    groups: dict[str, dict[str, str]] = {}

    def permute(one: RunRecord, other: RunRecord, level: str) -> Permutation | None:
        # Of pairs, lists and events the answers are no posteriors, and of slots there are several.
        if one.primary not in METRICS or one.kind not in METRICS[one.primary].kinds:
            return None
        answers = [_answers(project.root / "results" / "predictions", record, level) for record in (one, other)]
        if None in answers:
            return None
        ours, theirs = answers
        # Of two runs that lost other clips the test parts differ.
        if (ours.clips, ours.fold.tolist()) != (theirs.clips, theirs.fold.tolist()):
            return None
        if one.task not in groups:
            items = project_items(project, tasks[one.task])
            groups[one.task] = dict(zip(items.ids, items.groups, strict=True))
        group = [str(groups[one.task][clip]) for clip in ours.clips]
        return permutation_test(one.primary, ours.truth, ours.answer, theirs.answer, ours.fold, group)

    found = duels(records, first, second, permute)
    if not found:
        raise UserError(f"{first}, {second}: share no task under the same strategy and probe; run `leveret probe`")
    return found, records


@dataclass(frozen=True, eq=False)
class _Answers:
    clips: list[str]
    fold: np.ndarray
    truth: np.ndarray
    answer: np.ndarray


def _answers(folder: Path, record: RunRecord, level: str) -> _Answers | None:
    """What a run answered for every test item at a level; None where that is not kept, or is not one answer an item."""
    import pyarrow.parquet as pq

    path = record_path(folder, *record.identity).with_suffix(".parquet")
    try:
        table = pq.read_table(path)
        key = json.loads((table.schema.metadata or {})[b"leveret"])["key"]
    except (OSError, ValueError, KeyError):
        return None
    rows = table.to_pandas()
    rows = rows[rows["level"].astype(str) == level]
    if key != record.key or not len(rows) or rows["draw"].any():
        return None
    rows = rows.assign(clip=rows["clip"].astype(str)).sort_values(["fold", "clip", "frame"], kind="stable")
    return _Answers(
        rows["clip"].tolist(),
        rows["fold"].to_numpy(),
        np.array(rows["target"].tolist()),
        np.array(rows["answer"].tolist(), dtype=np.float64),
    )
