"""The runs of a project: a task under an embedding and a probe, each with its content key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.config.keys import code_version, content_key
from benchmark.config.schema_probe import PROTOCOLS, protocol_settings, solver_module, solver_of
from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.places import root_folder
from benchmark.datasets.read import is_ready
from benchmark.engine.items import TaskItems, task_items
from benchmark.engine.outcome import Failure
from benchmark.engine.plan import EmbeddingPlan, Project, plan_embeddings
from benchmark.errors import UserError

# What turns frames and annotations into scores. How work is planned and spread over processes changes none of them.
CODE = ("benchmark.engine.items", "benchmark.engine.splits", "benchmark.engine.probe_job")

# Fields of a task's YAML that are shown and change no score; what the data say is keyed by the items themselves.
SHOWN = {
    "title",
    "domain",
    "note",
    "reference",
    "profiles",
    "dataset",
    "probes",
    "smoke",
    "label",
    "group",
    "split",
    "filter",
    "map",
    "trials",
    # Each strategy has runs of its own, as each embedding has.
    "strategies",
    "embeddings",
    # What is heard is keyed by its samples, and what is asked together by the probe's settings.
    "front_end",
    "segments",
}


@dataclass(frozen=True)
class RunPlan:
    """A run that is selected, and everything that its result depends on."""

    task: TaskConfig
    embedding: EmbeddingPlan
    dataset: str
    probe: str
    items: TaskItems
    settings: Mapping[str, Any]
    ingredients: Mapping[str, str]
    strategy: str = "frozen"

    @property
    def key(self) -> str:
        return content_key(dict(self.ingredients))

    @property
    def name(self) -> str:
        how = self.probe if self.strategy == "frozen" else self.strategy
        return f"{self.task.name} x {self.embedding.config.name} ({how})"


def plan_runs(project: Project) -> tuple[list[RunPlan], list[Failure]]:
    """Every selected run, and the tasks and embeddings that cannot be planned, with reasons."""
    failures: list[Failure] = []
    from benchmark.engine.strategies import strategies_of, strategy_plans

    embeddings, failed = plan_embeddings(project, [c for c in project.embeddings if c.strategies != ["scratch"]])
    failures += [Failure(name, reason) for name, reason in failed.items()]
    plans: list[RunPlan] = []
    for task in project.probed_tasks:
        dataset = project.sounds_of(task)
        try:
            items = project_items(project, task)
            digests = project.digests(dataset)
            asked = [plan for plan in embeddings if project.asks(task, plan.config.name)]
        except UserError as error:
            failures.append(Failure(task.name, str(error)))
            continue
        of_task = {
            "audio": content_key([[clip.id, digests[clip.id]] for clip in items.clips]),
            "annotation": content_key(items.annotation),
            "task": content_key(task.model_dump(mode="json", exclude=SHOWN)),
            "seed": content_key(project.params.seed),
        }
        frames = _max_frames(project, task)
        plans += strategy_plans(project, task, items, of_task, asked, frames)
        for embedding in asked if "frozen" in strategies_of(project, task) else []:
            if not embedding.config.follows("frozen"):
                continue
            for probe in _probes(project, task):
                settings = {**probe_settings(project, probe), "max_frames_per_clip": frames}
                if embedding.config.scaling is not None and solver_of(probe) == "mlp":
                    settings["scaling"] = embedding.config.scaling
                if solver_of(probe) == "head" and settings["layers"] is None:
                    settings["layers"] = embedding.config.layers
                if task.segments > 1:
                    settings["segments"] = task.segments
                keyed = {"probe": probe, "settings": settings, "pool": embedding.config.pool}
                ingredients = {
                    **of_task,
                    **embedding.ingredients,
                    "probe_code": code_version(*CODE, solver_module(probe)),
                    "probe": content_key({**keyed, "max_lost": project.params.extract.max_lost}),
                }
                plans.append(RunPlan(task, embedding, dataset, probe, items, settings, ingredients))
    return plans, failures


def project_items(project: Project, task: TaskConfig) -> TaskItems:
    """The items of a selected task, as the profile shrinks them.

    Raises:
        UserError: the data are not here, or are not what the task says.
    """
    dataset = project.catalogue.dataset_of(task)
    where = str(project.catalogue.task_file(task))
    try:
        return task_items(
            task,
            project.clips(project.sounds_of(task)),
            where,
            project.params.active.shrink,
            root_folder(dataset, project.data_root),
        )
    except UserError as error:
        if not is_ready(dataset, project.data_root) or project.is_current(dataset.name):
            raise
        raise UserError(
            f"{where}: the files of {dataset.name} are of another version of it; run `leveret download` "
            f"(with them: {str(error).removeprefix(f'{where}: ')})"
        ) from None


def probe_settings(project: Project, probe: str) -> dict[str, Any]:
    """The settings of a probe: params.yaml's (a protocol's own), with what the profile sets."""
    params = project.params
    settings = protocol_settings(probe) if probe in PROTOCOLS else getattr(params.probe, probe)
    return settings.model_dump(mode="json") | params.active.settings_of(probe)


def _probes(project: Project, task: TaskConfig) -> list[str]:
    """A task's probes; params.yaml's protocol stands in for those that answer with classes."""
    is_classified = task.kind in ("multiclass", "multilabel", "slots") and task.probes != ["cosine"]
    return (project.params.probe.protocol if is_classified else []) or task.probes


def _max_frames(project: Project, task: TaskConfig) -> int | None:
    if project.params.active.shrink and task.smoke.max_frames_per_clip is not None:
        return task.smoke.max_frames_per_clip
    return task.max_frames_per_clip
