"""The separate stage: separators trained and scored, a fold at a time, and a record when all folds are there."""

import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmark.engine.extract import device_of
from benchmark.engine.outcome import Failure, Outcome
from benchmark.engine.plan import Project
from benchmark.engine.pool import run_jobs
from benchmark.engine.separation_job import SeparationJob, fold_file, separation_job
from benchmark.engine.separation_plan import PROBE, SeparationPlan, plan_separations, separation_record
from benchmark.errors import UserError
from benchmark.metrics.summary import summarise
from benchmark.report.atomic import remove_leftovers
from benchmark.report.records import RunRecord, read_record, write_record

_VERSIONED = ("numpy", "scipy", "torch")
# Metric -> the package that computes it.
_PACKAGES = {"pesq_wb": "pesq", "stoi": "pystoi"}


def separate(project: Project) -> Outcome:
    """Compute the folds that are missing, and write the record of every separator whose folds are all there."""
    folder = project.root / "results" / "runs" / "separate"
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    (project.data_root / "separators").mkdir(parents=True, exist_ok=True)
    plans, failures, notes = plan_separations(project)
    outcome = Outcome(failures=failures, notes=notes)
    jobs: list[SeparationJob] = []
    waiting: list[SeparationPlan] = []
    for plan in plans:
        if is_finished(project, plan):
            outcome.reused += 1
            continue
        separation_record(project, plan).unlink(missing_ok=True)
        waiting.append(plan)
        wanted = [_job(project, plan, fold) for fold in range(len(plan.splits))]
        jobs += [job for job in wanted if not job.scores_file.is_file()]
    # What is trained takes longest and starts first.
    jobs.sort(key=lambda job: '"train":null' in job.config)
    with tqdm(total=len(jobs), unit="fold", desc="separate", mininterval=2, disable=not jobs) as bar:
        for job, _, reason in run_jobs(
            separation_job, jobs, project.params.engine.workers, project.params.engine.backend
        ):
            bar.update()
            if reason is not None:
                outcome.failures.append(Failure(f"{job.name} (fold {job.fold + 1})", reason))
    for plan in waiting:
        folds = [fold_file(_work(project, plan), fold) for fold in range(len(plan.splits))]
        if all(path.is_file() for path in folds):
            write_record(_record(plan, [json.loads(path.read_text("utf-8")) for path in folds]), folder)
            outcome.computed += 1
    return outcome


def is_finished(project: Project, plan: SeparationPlan) -> bool:
    """Whether a record with the plan's key is there."""
    try:
        return read_record(separation_record(project, plan)).key == plan.key
    except (UserError, FileNotFoundError):
        return False


def weights_file(project: Project, plan: SeparationPlan, fold: int) -> Path:
    """Where the weights are that a fold of a separator was trained to."""
    return _work(project, plan) / f"fold{fold}.safetensors"


def _work(project: Project, plan: SeparationPlan) -> Path:
    return project.data_root / "separators" / f"{plan.task.name}--{plan.config.name}" / plan.key


def _job(project: Project, plan: SeparationPlan, fold: int) -> SeparationJob:
    split = plan.splits[fold]
    train, valid, test = (tuple(plan.tracks[i] for i in part) for part in (split.train, split.valid, split.test))
    if plan.lessons is not None:
        # Whoever is heard in the test part must not be heard in a lesson.
        heard = {plan.items.groups[i] for i in split.test}
        left = [track for track, group in plan.lessons if group not in heard]
        train, valid = tuple(left[i] for i in range(len(left)) if i % 10), tuple(left[::10])
    return SeparationJob(
        plan.name, plan.config.model_dump_json(), tuple(sorted(plan.weights.items())), tuple(plan.task.sources),
        plan.taught or tuple(plan.task.sources), plan.task.order == "fixed", tuple(plan.task.metrics), train, valid, test, fold,
        project.params.seed * 1000 + fold, _work(project, plan), device_of(project),
        project.params.engine.curves, project.data_root / "curves" / _work(project, plan).parent.name,
    )  # fmt: skip


def _record(plan: SeparationPlan, folds: Sequence[dict[str, Any]]) -> RunRecord:
    task = plan.task
    levels = ["track"]
    # Sources that differ by chance alone have no scores of their own.
    if task.order == "fixed" and len(task.sources) > 1:
        levels += task.sources
    scores: dict[str, dict[str, Any]] = {}
    for level in levels:
        of_level = {}
        for metric in task.metrics:
            values = [_fold_score(fold["tracks"], metric, level, task.sources) for fold in folds]
            summary = summarise([np.nan if value is None else value for value in values])
            of_level[metric] = {"folds": values, "mean": summary.mean, "std": summary.std}
        scores[level.replace("-", "_").replace(".", "_")] = of_level
    return RunRecord.model_validate(
        {
            "task": task.name,
            "title": task.title,
            "domain": task.domain,
            "kind": task.kind,
            "embedding": plan.config.name,
            "embedding_title": plan.config.title,
            "strategy": plan.strategy,
            "probe": PROBE,
            "primary": task.metrics[0],
            "scores": scores,
            "clips": {"used": len(plan.tracks), "lost": []},
            "folds": [
                {"train": len(s.train), "valid": len(s.valid), "test": len(s.test), "chosen": fold["training"]}
                for s, fold in zip(plan.splits, folds, strict=True)
            ],
            "reference": task.reference.model_dump(mode="json") if task.reference else None,
            "tracks": [{**track, "fold": number} for number, fold in enumerate(folds) for track in fold["tracks"]],
            "key": plan.key,
            "ingredients": dict(plan.ingredients),
            "provenance": {"versions": {name: metadata.version(name) for name in _versioned(task.metrics)}},
        }
    )


def _versioned(metrics: Sequence[str]) -> list[str]:
    return sorted({*_VERSIONED, *(package for metric, package in _PACKAGES.items() if metric in metrics)})


def _fold_score(tracks: Sequence[dict[str, Any]], metric: str, level: str, sources: Sequence[str]) -> float | None:
    """Mean over tracks (median of BSS Eval v4, as SiSEC has it) of a source, or of the mean over sources."""
    values = []
    for track in tracks:
        of_sources = track["scores"][metric]
        chosen = of_sources if level == "track" else [of_sources[sources.index(level)]]
        there = [value for value in chosen if value is not None]
        if there:
            values.append(float(np.mean(there)))
    if not values:
        return None
    return float(np.median(values) if metric.startswith("bss_v4") else np.mean(values))
