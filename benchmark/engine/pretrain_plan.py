"""What the pretraining of an embedding depends on, and where its checkpoint is.

Nothing here imports torch. A checkpoint is called after its content key, so that one that was trained on something else,
or otherwise, is never taken for it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.config.keys import code_version, content_key
from benchmark.config.schema_embedding import TRAINED_HERE, EmbeddingConfig
from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.clips import Clip
from benchmark.datasets.places import root_folder
from benchmark.embeddings.registry import family_module
from benchmark.engine.items import TaskItems, task_items
from benchmark.engine.splits import task_splits
from benchmark.errors import UserError
from benchmark.metrics.folds import Split

if TYPE_CHECKING:
    from benchmark.engine.plan import Project

_CODE = ("benchmark.engine.items", "benchmark.engine.splits")
_FIELDS = ("family", "model", "args", "sample_rate", "version")


@dataclass(frozen=True)
class PretrainPlan:
    """A network that is to be trained.

    Attributes:
        config: its embedding.
        clips: n clips of all source tasks.
        labels: (n,) classes.
        classes: their names.
        tasks: the task that each clip is of.
        splits: parts of each fold, as indices into `clips`.
        limit: patches of a clip, at most.
        key: content key of everything that the network depends on.
        folder: where its checkpoints are.
    """

    config: EmbeddingConfig
    clips: list[Clip]
    labels: np.ndarray
    classes: list[str]
    tasks: list[str]
    splits: list[Split]
    limit: int | None
    key: str
    folder: Path

    @property
    def path(self) -> Path:
        """The checkpoint of the fold in use."""
        return self.folder / f"{self.key}.safetensors"

    def fold_path(self, fold: int) -> Path:
        """The checkpoint of a fold."""
        return self.folder / f"{self.key}-fold{fold}.safetensors"


def source_tasks(project: Project, config: EmbeddingConfig) -> list[TaskConfig]:
    """The tasks that an embedding is trained on.

    Raises:
        UserError: one is unknown, or is not of kind multiclass.
    """
    found = []
    for name in config.pretrain.tasks if config.pretrain else ():
        where = f"{project.root / 'embeddings' / config.name}.yaml: pretrain.tasks"
        if name not in project.catalogue.tasks:
            raise UserError(f"{where}: {name!r} is unknown; `leveret list tasks` shows what there is")
        task = project.catalogue.tasks[name]
        kinds = ("multiclass",) if config.family == "pretrained-here" else ("multiclass", "verification")
        if task.kind not in kinds:
            raise UserError(
                f"{where}: {name} is of kind {task.kind}; family {config.family} is trained on {' and '.join(kinds)} tasks"
            )
        found.append(task)
    return found


def plan_pretraining(project: Project, config: EmbeddingConfig) -> PretrainPlan:
    """The union of an embedding's source tasks, balanced and divided, with its key.

    Raises:
        UserError: the tasks do not fit together, or their data are not here.
    """
    pretrain = config.pretrain
    assert pretrain is not None
    where = f"{project.root / 'embeddings' / config.name}.yaml: pretrain"
    tasks = source_tasks(project, config)
    parts = [_items(project, task) for task in tasks]
    for task, items in zip(tasks, parts, strict=True):
        if sorted(items.classes) != sorted(parts[0].classes):
            raise UserError(
                f"{where}: {task.name} has classes {', '.join(items.classes)}, {tasks[0].name} has "
                f"{', '.join(parts[0].classes)}; give tasks with the same classes, or a `map` to them"
            )
    parts = _balanced(parts, pretrain.balance, project.params.seed)
    clips: list[Clip] = []
    labels: list[int] = []
    names: list[str] = []
    divided: list[list[Split]] = []
    for task, items in zip(tasks, parts, strict=True):
        splits = task_splits(task, items, str(project.catalogue.task_file(task)))
        divided.append([Split(*(part + len(clips) for part in (s.train, s.valid, s.test))) for s in splits])
        clips += items.clips
        labels += [parts[0].classes.index(items.classes[label]) for label in items.labels]
        names += [task.name] * len(items.clips)
    count = min(len(splits) for splits in divided)
    if isinstance(pretrain.use, int) and pretrain.use >= min(count, pretrain.folds or count):
        raise UserError(f"{where}.use: there is no fold {pretrain.use}; the tasks have {count}, numbered from 0")
    merged = [
        Split(
            *(np.concatenate([getattr(splits[i], part) for splits in divided]) for part in ("train", "valid", "test"))
        )
        for i in range(min(count, pretrain.folds or count))
    ]
    limits = [limit for limit in (pretrain.max_frames_per_clip, *(_limit(project, task) for task in tasks)) if limit]
    limit = min(limits, default=None)
    settings = project.params.active_training(config.training).model_dump(mode="json", exclude={"hidden", "control"})
    if config.family != "pretrained-here":
        settings = {}
    described = config.model_dump(mode="json", include=set(_FIELDS))
    digests = {task.name: project.digests(project.sounds_of(task)) for task in tasks}
    key = content_key(
        {
            "embedding": described,
            "clips": [[clip.id, digests[name][clip.id]] for clip, name in zip(clips, names, strict=True)],
            "labels": labels,
            "classes": parts[0].classes,
            "tasks": names,
            "splits": [[part.tolist() for part in (s.train, s.valid, s.test)] for s in merged],
            "limit": limit,
            "use": pretrain.use,
            "version": pretrain.version,
            "metric": pretrain.metric.model_dump(mode="json") if pretrain.metric else None,
            "settings": settings,
            "max_lost": project.params.extract.max_lost,
            "seed": project.params.seed,
            "code": code_version(TRAINED_HERE[config.family], *_CODE, family_module(config)),
        }
    )
    folder = project.data_root / "models" / config.name
    return PretrainPlan(
        config, clips, np.array(labels, np.int64), list(parts[0].classes), names, merged, limit, key, folder
    )


def trained_file(project: Project, config: EmbeddingConfig) -> tuple[Path, str]:
    """The checkpoint of an embedding as the project describes it now, and its content key.

    Raises:
        UserError: it is not trained, or was trained on something else.
    """
    plan = plan_pretraining(project, config)
    if not plan.path.is_file():
        raise UserError(
            f"embeddings/{config.name}.yaml: its network is not trained, or on other data or with other settings than now; "
            f"run `leveret pretrain -e {config.name}`"
        )
    return plan.path, plan.key


def _items(project: Project, task: TaskConfig) -> TaskItems:
    dataset = project.catalogue.dataset_of(task)
    return task_items(
        task, project.clips(project.sounds_of(task)), str(project.catalogue.task_file(task)), project.params.active.shrink,
        root_folder(dataset, project.data_root),
    )  # fmt: skip


def _limit(project: Project, task: TaskConfig) -> int | None:
    shrunk = task.smoke.max_frames_per_clip if project.params.active.shrink else None
    return shrunk or task.max_frames_per_clip


def _balanced(parts: Sequence[TaskItems], balance: str, seed: int) -> list[TaskItems]:
    """The items of each task with as many of every class as there is room for."""
    if balance == "none":
        return list(parts)
    counts = [Counter(items.classes[label] for label in items.labels) for items in parts]
    if balance == "sets":
        least = min(min(count.values()) for count in counts)
        wanted = [dict.fromkeys(count, least) for count in counts]
    else:
        least = min(sum(count[name] for count in counts) for name in counts[0])
        wanted = _shares(parts, least, seed)
    return [_draw(items, want, seed) for items, want in zip(parts, wanted, strict=True)]


def _shares(parts: Sequence[TaskItems], least: int, seed: int) -> list[dict[str, int]]:
    """How many items of each class each task gives, when `least` are drawn of the union."""
    shares: list[dict[str, int]] = [{} for _ in parts]
    for name in parts[0].classes:
        ranked = sorted(
            (_rank(seed, items.ids[i]), number)
            for number, items in enumerate(parts)
            for i in np.flatnonzero(items.labels == items.classes.index(name))
        )
        drawn = Counter(number for _, number in ranked[:least])
        for number, share in enumerate(shares):
            share[name] = drawn[number]
    return shares


def _draw(items: TaskItems, wanted: dict[str, int], seed: int) -> TaskItems:
    chosen: list[int] = []
    for label, name in enumerate(items.classes):
        members = sorted(np.flatnonzero(items.labels == label).tolist(), key=lambda i: _rank(seed, items.ids[i]))
        chosen += members[: wanted[name]]
    return items.take(sorted(chosen))


def _rank(seed: int, clip: str) -> str:
    return hashlib.sha256(f"{seed}:{clip}".encode()).hexdigest()


def provenance(plan: PretrainPlan, settings: dict[str, Any], seed: int) -> dict[str, Any]:
    """What a checkpoint says of its origin, besides its scores."""
    counts = Counter(zip(plan.tasks, (plan.classes[label] for label in plan.labels), strict=True))
    return {
        "key": plan.key,
        "embedding": plan.config.name,
        "clips": {f"{task}: {name}": count for (task, name), count in sorted(counts.items())},
        "max_frames_per_clip": plan.limit,
        "settings": settings,
        "seed": seed,
    }
