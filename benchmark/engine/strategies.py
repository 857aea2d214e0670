"""The runs of a task under the strategies that train a network on it: partial, full, scratch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.config.keys import code_version, content_key
from benchmark.config.schema_task import TaskConfig
from benchmark.embeddings.weights import resolve
from benchmark.engine.extract import device_of
from benchmark.engine.items import TaskItems
from benchmark.engine.plan import EmbeddingPlan, Project
from benchmark.engine.runs import RunPlan
from benchmark.errors import UserError
from benchmark.metrics.folds import Split

CODE = ("benchmark.engine.finetune_job", "benchmark.engine.items", "benchmark.engine.splits")

# The head behind a pretrained network is the classifier of this probe.
PROBE = "mlp"


def strategy_plans(
    project: Project,
    task: TaskConfig,
    items: TaskItems,
    of_task: Mapping[str, str],
    embeddings: list[EmbeddingPlan],
    limit: int | None,
) -> list[RunPlan]:
    """Runs of `task` under its strategies other than frozen.

    Args:
        project: the project.
        task: of kind multiclass.
        items: of the task.
        of_task: ingredients that the task brings.
        embeddings: those whose weights are here; those that are trained from scratch need none.
        limit: frames of a clip, at most.
    """
    dataset = project.sounds_of(task)
    plans = []
    for strategy in strategies_of(project, task):
        if strategy == "frozen":
            continue
        if strategy == "scratch":
            configs = [
                c for c in project.embeddings if c.trainable and c.follows(strategy) and project.asks(task, c.name)
            ]
            wanted = [project.plan_embedding(config, with_weights=False) for config in configs]
        else:
            wanted = [plan for plan in embeddings if plan.config.trainable and plan.config.follows(strategy)]
        for embedding in wanted:
            settings = project.params.active_training(embedding.config.training).model_dump(mode="json")
            headless = {"hidden"} if strategy == "scratch" else set()
            used = {key: value for key, value in settings.items() if key not in headless}
            keyed = {
                "strategy": strategy,
                "settings": {**used, "control": task.control and settings["control"]},
                "limit": limit,
                "max_lost": project.params.extract.max_lost,
            }
            ingredients = {
                **of_task,
                **embedding.ingredients,
                "probe_code": code_version(*CODE),
                "probe": content_key(keyed),
            }
            chosen = {**settings, "max_frames_per_clip": limit}
            plans.append(RunPlan(task, embedding, dataset, PROBE, items, chosen, ingredients, strategy))
    return plans


def strategies_of(project: Project, task: TaskConfig) -> list[str]:
    """The strategies of a task, as the profile shrinks it."""
    shrunk = task.smoke.strategies if project.params.active.shrink else None
    return list(task.strategies if shrunk is None else shrunk)


def finetune_input(project: Project, plan: RunPlan, splits: list[Split], record: Mapping[str, Any], out: Path) -> Any:
    """The job of a run, with the weights fetched.

    Raises:
        UserError: the weights cannot be had, or the primary metric does not judge posteriors.
    """
    from benchmark.engine.finetune_job import FinetuneJob
    from benchmark.metrics.classification import METRICS
    from benchmark.training.settings import TrainSettings

    config, task = plan.embedding.config, plan.task
    if task.metrics[0] not in METRICS:
        raise UserError(
            f"{project.catalogue.task_file(task)}: strategies: {task.metrics[0]} judges no network; put another metric first"
        )
    settings = dict(plan.settings)
    limit, control = settings.pop("max_frames_per_clip"), settings.pop("control")
    weights = None if plan.strategy == "scratch" else resolve(config.weights, f"embeddings/{config.name}.yaml")
    return FinetuneJob(
        config=config,
        weights=weights,
        items=plan.items,
        splits=tuple(splits),
        strategy=plan.strategy,
        settings=TrainSettings(**{**settings, "hidden": tuple(settings["hidden"])}),
        limit=limit,
        levels=tuple(task.levels),
        metrics=tuple(name for name in task.metrics if name in METRICS),
        # `downsample_all` has taken place when the items were chosen.
        balance="none" if task.balance == "downsample_all" else task.balance,
        control=task.control and control,
        seed=project.params.seed,
        device=device_of(project),
        max_lost=project.params.extract.max_lost,
        where=str(project.catalogue.task_file(task)),
        record=record,
        out=out,
    )
