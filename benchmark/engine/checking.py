"""`leveret check`: every YAML against its schema, and the folds of every task whose data are here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.config.catalogue import Catalogue, read_params
from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.check import DatasetReport, check_dataset
from benchmark.datasets.read import is_ready
from benchmark.engine.check_separators import separator_problems
from benchmark.engine.contents import class_counts, fold_balance, hours_of, unlearnt_classes
from benchmark.engine.download import Bars
from benchmark.engine.items import TaskItems
from benchmark.engine.leaks import leak_text, leaked_sounds
from benchmark.engine.plan import Project
from benchmark.engine.runs import project_items
from benchmark.engine.splits import task_splits
from benchmark.errors import UserError
from benchmark.metrics.folds import Split


@dataclass(frozen=True)
class TaskReport:
    """What a task is made of; counts are None where its data are not here."""

    name: str
    file: str
    clips: int | None = None
    hours: str = ""
    classes: dict[str, int] = field(default_factory=dict)
    groups: int | None = None
    folds: list[dict[str, Any]] = field(default_factory=list)
    resolved: dict[str, Any] = field(default_factory=dict)


@dataclass
class CheckReport:
    """Everything that `leveret check` found."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    tasks: list[TaskReport] = field(default_factory=list)
    datasets: list[DatasetReport] = field(default_factory=list)


def check_project(root: Path, tasks: Sequence[str] = (), data: bool = False) -> CheckReport:
    """Validate the project; `data` also reads every audio file of the selected tasks, and looks for sounds that are on
    both sides of a fold: a problem, or a warning where the folds are the official ones.
    """
    report = CheckReport()
    try:
        read_params(root)
    except UserError as error:
        report.problems.append(str(error))
    problems, catalogue = Catalogue.examine(root)
    report.problems += [str(problem) for problem in [*problems, *separator_problems(catalogue)]]
    report.counts = {
        "datasets": len(catalogue.datasets),
        "tasks": len(catalogue.tasks),
        "embeddings": len(catalogue.embeddings),
        "separators": len(catalogue.separators),
    }
    if report.problems:
        return report
    project = Project.read(root, tasks)
    divided: list[tuple[TaskConfig, TaskItems, list[Split]]] = []
    for task in project.tasks:
        where = str(catalogue.task_file(task))
        resolved = task.model_dump(mode="json", exclude_none=True) if tasks else {}
        dataset = project.catalogue.dataset_of(task)
        try:
            # What is to be fetched may not be here yet; a folder or table of the user's own must be.
            if dataset.source_kind not in ("folder", "csv") and not is_ready(dataset, project.data_root):
                report.tasks.append(TaskReport(task.name, where, resolved=resolved))
                continue
            # Labels and folds are those of the dataset, whatever is heard of it.
            items = project_items(project, task.model_copy(update={"front_end": None}))
            splits = task_splits(task, items, where)
        except UserError as error:
            report.problems.append(str(error))
            continue
        divided.append((task, items, splits))
        report.tasks.append(
            TaskReport(
                task.name, where, len(items.clips), hours_of(items.clips),
                class_counts(items) or dict.fromkeys(task.sources, len(items.clips)), len(set(items.groups)),
                [fold_balance(split, items) for split in splits], resolved,
            )
        )  # fmt: skip
        report.warnings += [f"{where}: folds: {text}" for text in unlearnt_classes(splits, items)]
    ready = [name for name in project.dataset_names() if is_ready(project.dataset(name), project.data_root)]
    if old := [name for name in ready if not project.is_current(name)]:
        report.warnings.append(f"{', '.join(old)}: files of another version; `leveret download` makes them anew")
    if data:
        lost_at_most = project.params.extract.max_lost
        for name in ready:
            with Bars() as bars:
                clips, config = project.clips(name), project.dataset(name)
                found = check_dataset(clips, config, project.data_root, lost_at_most, bars)
            report.datasets.append(found)
            report.problems += found.problems
        lost = {found.name: found.lost for found in report.datasets}
        for task, items, splits in divided:
            dataset = catalogue.dataset_of(task).name
            pairs = leaked_sounds(items, splits, project.digests(dataset), lost.get(dataset, ()))
            if pairs:
                text = f"{catalogue.task_file(task)}: folds: {leak_text(pairs, dict(zip(items.ids, items.groups, strict=True)))}"
                # Official parts are what papers report on, whatever is in them.
                (report.warnings if task.folds.kind == "official" else report.problems).append(text)
    return report
