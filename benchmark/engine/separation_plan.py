"""What there is to separate, and under which content keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmark.config.keys import code_version, content_key
from benchmark.config.schema_separator import SeparatorConfig
from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.digests import Digests
from benchmark.datasets.places import root_folder
from benchmark.embeddings.weight_sources import sha256_file
from benchmark.embeddings.weights import resolve
from benchmark.engine.items import TaskItems
from benchmark.engine.outcome import Failure
from benchmark.engine.plan import Project
from benchmark.engine.runs import SHOWN, project_items
from benchmark.engine.splits import task_splits
from benchmark.errors import UserError
from benchmark.metrics.folds import Split
from benchmark.report.records import record_path
from benchmark.separation.stems import Track

# What turns stems into scores.
_CODE = ("benchmark.engine.separation_job", "benchmark.engine.items", "benchmark.engine.splits")
_COSMETIC = {"title", "licence", "citation", "note", "profiles", "tasks", "smoke", "weights"}
PROBE = "separator"


@dataclass(frozen=True)
class SeparationPlan:
    """A separator on a task, and everything that its result depends on.

    Attributes:
        tracks: of the task's items, in their order.
        splits: the folds that are computed.
        weights: source (or `all`) -> file of published weights.
        lessons: tracks of another task with their groups that it is trained on instead, and `taught`, their sources.
    """

    task: TaskConfig
    config: SeparatorConfig
    items: TaskItems
    tracks: tuple[Track, ...]
    splits: Sequence[Split]
    weights: Mapping[str, Path]
    ingredients: Mapping[str, str]
    lessons: tuple[tuple[Track, str], ...] | None = None
    taught: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        return content_key(dict(self.ingredients))

    @property
    def strategy(self) -> str:
        """`trained` here, `published` weights, or `oracle`."""
        return "oracle" if self.config.family == "oracle" else "published" if self.config.weights else "trained"

    @property
    def name(self) -> str:
        return f"{self.task.name} x {self.config.name}"


def separation_record(project: Project, plan: SeparationPlan) -> Path:
    """Where the record of a separator on a task is."""
    folder = project.root / "results" / "runs" / "separate"
    return record_path(folder, plan.task.name, plan.config.name, plan.strategy, PROBE)


def plan_separations(project: Project) -> tuple[list[SeparationPlan], list[Failure], list[str]]:
    """Every selected separator on every selected separation task, failures, and notes of what is left out on purpose."""
    plans: list[SeparationPlan] = []
    failures: list[Failure] = []
    notes: list[str] = []
    code = code_version(*_CODE) if project.separators else ""
    for task in project.tasks:
        if task.kind != "separation":
            continue
        fitting = [c for c in project.separators if any(fnmatchcase(task.name, glob) for glob in c.tasks)]
        if not fitting:
            continue
        try:
            planned = _plan_task(project, task)
        except UserError as error:
            failures.append(Failure(task.name, str(error)))
            continue
        items, tracks, splits, common = planned
        dataset = project.catalogue.dataset_of(task).name
        for config in fitting:
            of_task = common
            if dataset in config.seen:
                notes.append(f"{config.name} is not scored on {task.name}: its weights were trained on that test part")
                continue
            try:
                weights = _weights(project, config)
            except UserError as error:
                failures.append(Failure(config.name, str(error)))
                continue
            lessons = None
            if config.train_on is not None:
                try:
                    lessons = _plan_task(project, _lesson(project, config))
                except UserError as error:
                    failures.append(Failure(config.name, str(error)))
                    continue
                of_task = {**of_task, "audio": content_key([of_task["audio"], lessons[3]["audio"]])}
            ingredients = {
                **of_task,
                **_of_separator(config, weights),
                "probe": PROBE,
                "probe_code": code,
            }
            learned = tuple(zip(lessons[1], lessons[0].groups, strict=True)) if lessons else None
            taught = tuple(_lesson(project, config).sources) if lessons else ()
            plans.append(SeparationPlan(task, config, items, tracks, splits, weights, ingredients, learned, taught))
    return plans, sorted(set(failures)), sorted(set(notes))


def _of_separator(config: SeparatorConfig, weights: Mapping[str, Path]) -> dict[str, str]:
    """What a separator adds to the content key."""
    return {
        "embedding": content_key(config.model_dump(mode="json", exclude=_COSMETIC)),
        "weights": content_key({name: sha256_file(path) for name, path in sorted(weights.items())}),
    }


def plan_untrained(project: Project, task: TaskConfig, config: SeparatorConfig) -> SeparationPlan | None:
    """A separator that learns nothing here, on the sources of a task whose data need not be here; None where it learns.

    Raises:
        UserError: its weights cannot be had.
    """
    if config.family != "oracle" and not config.weights:
        return None
    weights = _weights(project, config)
    ingredients = {"sources": content_key(task.sources), **_of_separator(config, weights)}
    nothing = TaskItems([], np.zeros(0, np.int64), [], [], [])
    return SeparationPlan(task, config, nothing, (), [], weights, ingredients)


def _plan_task(project: Project, task: TaskConfig) -> tuple[TaskItems, tuple[Track, ...], list[Split], dict[str, str]]:
    dataset = project.catalogue.dataset_of(task)
    items = project_items(project, task)
    root = root_folder(dataset, project.data_root)
    tracks = tuple(Track.of(clip, task.sources, root, dataset.mixture) for clip in items.clips)
    splits = task_splits(task, items, str(project.catalogue.task_file(task)))
    profile = project.params.active
    splits = splits[: profile.separation_folds or (task.smoke.folds if profile.shrink else None)]
    with Digests(project.data_root) as ledger:
        digests = ledger.of_files({path for track in tracks for path in track.files})
    audio = [[t.id, t.start, t.end, [[str(p.relative_to(root)), digests[p]] for p in t.files]] for t in tracks]
    stems = [{key: value for key, value in track.labels.items() if key.startswith("stem_")} for track in tracks]
    return (
        items,
        tracks,
        splits,
        {
            "audio": content_key(audio),
            "annotation": content_key([items.annotation, stems, dataset.mixture]),
            "task": content_key([task.model_dump(mode="json", exclude=SHOWN), len(splits)]),
            "seed": content_key(project.params.seed),
        },
    )


def _lesson(project: Project, config: SeparatorConfig) -> TaskConfig:
    for task in project.tasks:
        if task.name == config.train_on and task.kind == "separation":
            return task
    raise UserError(
        f"separators/{config.name}.yaml: train_on: {config.train_on!r} is no selected separation task; name one, or select it"
    )


def _weights(project: Project, config: SeparatorConfig) -> dict[str, Path]:
    where = f"separators/{config.name}.yaml"
    found = {name: resolve(weights, where) for name, weights in (config.weights or {}).items()}
    return {name: path for name, path in found.items() if path is not None}
