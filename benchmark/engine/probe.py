"""The probe stage: a record for every selected run whose content key no finished record has."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

from tqdm import tqdm

from benchmark.config import kinds
from benchmark.config.schema_probe import solver_of
from benchmark.engine.extract import store_of
from benchmark.engine.finetune_job import FinetuneJob, finetune_job
from benchmark.engine.keep import has_answers, keep_run, predictions_folder
from benchmark.engine.outcome import Failure, Outcome
from benchmark.engine.plan import Project
from benchmark.engine.pool import run_jobs
from benchmark.engine.probe_job import RunInput, run_input, score_run
from benchmark.engine.runs import RunPlan, plan_runs
from benchmark.engine.splits import task_splits
from benchmark.engine.strategies import finetune_input
from benchmark.errors import ClipError, UserError
from benchmark.report.atomic import remove_leftovers
from benchmark.report.predictions import predictions_path
from benchmark.report.records import RunRecord, read_record, record_path, write_record
from benchmark.store.store import Store

# Solvers that train by gradient.
_SLOW = ("mlp", "head")
_VERSIONED = ("numpy", "scikit-learn", "scipy", "torch")


@dataclass(frozen=True)
class ProbeJob:
    """A run for another process: where its frames are, what to compute, and what the record says besides."""

    store: Path
    embedding: str
    dataset: str
    shards: tuple[str, ...]
    run: RunInput
    max_lost: float
    where: str
    record: Mapping[str, Any]
    out: Path


def records_folder(project: Project) -> Path:
    """Where the records of runs are."""
    return project.root / "results" / "runs" / "probe"


def probe(project: Project) -> Outcome:
    """Compute the runs that are missing or stale; a stale record whose run fails is removed, never shown as fresh."""
    outcome = Outcome()
    folder = records_folder(project)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    remove_leftovers(predictions_folder(folder))
    plans, failures = plan_runs(project)
    outcome.failures += failures
    jobs: list[ProbeJob] = []
    tuning: list[FinetuneJob] = []
    splits: dict[str, list] = {}
    for plan in plans:
        path = record_path(folder, *_identity(plan))
        answers = predictions_path(predictions_folder(folder), *_identity(plan))
        if _is_finished(path, plan) and has_answers(answers, plan.key):
            outcome.reused += 1
            continue
        path.unlink(missing_ok=True)
        answers.unlink(missing_ok=True)
        try:
            if plan.task.name not in splits:
                splits[plan.task.name] = task_splits(plan.task, plan.items, str(project.catalogue.task_file(plan.task)))
            if plan.strategy == "frozen":
                jobs.append(_job(project, plan, splits[plan.task.name], path))
            else:
                tuning.append(finetune_input(project, plan, splits[plan.task.name], _described(plan), path.parent))
        except UserError as error:
            failure = Failure(plan.task.name if plan.strategy == "frozen" else plan.name, str(error))
            if failure not in outcome.failures:
                outcome.failures.append(failure)
    # The longest runs first, so that no process is left alone with one at the end.
    jobs.sort(key=lambda job: (solver_of(job.run.probe) not in _SLOW, "frame" not in job.run.levels, -len(job.run.ids)))
    tuning.sort(key=lambda job: (job.strategy == "partial", -(job.config.dim or 0), -len(job.items.clips)))
    total = len(jobs) + len(tuning)
    with tqdm(total=total, unit="run", desc="probe", mininterval=2, disable=not total) as bar:
        for function, some in ((finetune_job, tuning), (probe_job, jobs)):
            for job, _, reason in run_jobs(
                function, some, project.params.engine.workers, project.params.engine.backend
            ):
                bar.update()
                if reason is None:
                    outcome.computed += 1
                else:
                    outcome.failures.append(Failure(_name(job.record), reason))
    return outcome


def _name(record: Mapping[str, Any]) -> str:
    how = record["probe"] if record["strategy"] == "frozen" else record["strategy"]
    return f"{record['task']} x {record['embedding']} ({how})"


def _is_finished(path: Path, plan: RunPlan) -> bool:
    """Whether a record with this key is there; what it shows is brought up to date, which costs nothing."""
    try:
        record = read_record(path)
    except (UserError, FileNotFoundError):
        return False
    if record.key != plan.key:
        return False
    current = RunRecord.model_validate({**record.model_dump(by_alias=True), **shown(plan)})
    if current != record:
        write_record(current, path.parent)
    return True


def _identity(plan: RunPlan) -> tuple[str, str, str, str]:
    return plan.task.name, plan.embedding.config.name, plan.strategy, plan.probe


def shown(plan: RunPlan) -> dict[str, Any]:
    """The fields of a record that are shown and are no part of its key."""
    reference = plan.task.reference
    return {
        "title": plan.task.title,
        "embedding_title": plan.embedding.config.title,
        "domain": plan.task.domain,
        "reference": reference.model_dump(mode="json") if reference else None,
        "front_end": plan.task.front_end.text if plan.task.front_end else None,
    }


def _described(plan: RunPlan) -> dict[str, Any]:
    """What a record says besides its scores."""
    return {
        **shown(plan),
        "task": plan.task.name,
        "kind": plan.task.kind,
        "embedding": plan.embedding.config.name,
        "strategy": plan.strategy,
        "probe": plan.probe,
        "primary": plan.task.metrics[0],
        "classes": plan.items.classes if plan.task.kind in kinds.WITH_CLASSES else None,
        "key": plan.key,
        "ingredients": dict(plan.ingredients),
    }


def _job(project: Project, plan: RunPlan, splits: list, path: Path) -> ProbeJob:
    task = plan.task
    run = run_input(
        task, plan.items, splits, plan.embedding.config.pool, plan.probe, plan.settings, project.params.seed
    )
    shards = tuple(shard.key for shard in project.plan_shards(plan.embedding, plan.dataset))
    return ProbeJob(
        store_of(project).root, plan.embedding.config.name, plan.dataset, shards, run,
        project.params.extract.max_lost, str(project.catalogue.task_file(task)), _described(plan), path.parent,
    )  # fmt: skip


def probe_job(job: ProbeJob) -> None:
    """Compute one run and write its record.

    Raises:
        ClipError: its embedding was not extracted, or too many of its clips could not be read.
    """
    import torch

    torch.set_num_threads(1)
    started = perf_counter()
    try:
        view = Store(job.store).open(job.embedding, job.dataset, job.shards)
    except KeyError:
        raise ClipError(f"{job.dataset} is not extracted under {job.embedding}; run `leveret extract`") from None
    lost = [clip for clip in job.run.ids if clip in view.lost]
    if len(lost) > job.max_lost * len(job.run.ids):
        raise ClipError(
            f"{job.where}: {len(lost)} of {len(job.run.ids)} clips cannot be read, more than max_lost = {job.max_lost:g} allows; "
            f"mend or remove them (first: {lost[0]}: {view.lost[lost[0]]})"
        )
    output = score_run(view, job.run)
    clips = {"used": output.used, "lost": [{"id": clip, "reason": why} for clip, why in sorted(output.lost.items())]}
    record = {**job.record, **output.fields, "clips": clips, **_provenance(started)}
    keep_run(record, job.out, output.answers, output.header)


def _provenance(started: float) -> dict[str, Any]:
    return {
        "provenance": {
            "versions": {name: metadata.version(name) for name in _VERSIONED},
            "device": "cpu",
            "seconds": {"probe": round(perf_counter() - started, 3)},
        }
    }
