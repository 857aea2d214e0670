"""The pretrain stage: networks that have no published weights."""

import shutil
from pathlib import Path

from tqdm import tqdm

from benchmark.engine.extract import device_of
from benchmark.engine.outcome import Failure, Outcome
from benchmark.engine.plan import Project
from benchmark.engine.pool import run_jobs
from benchmark.engine.pretrain_plan import PretrainPlan, plan_pretraining, provenance
from benchmark.errors import UserError
from benchmark.report.atomic import remove_leftovers


def pretrain(project: Project) -> Outcome:
    """Train the selected embeddings that say what they are trained on; folds with a checkpoint under their key are kept.

    Of an embedding's folds the one with the best validation accuracy embeds, unless its YAML says otherwise; its
    checkpoint is `data/models/<name>/<key>.safetensors`, and a copy `data/models/<name>.safetensors`.
    """
    from benchmark.engine.pretrain_fold import pretrain_job

    outcome = Outcome()
    models = project.data_root / "models"
    models.mkdir(parents=True, exist_ok=True)
    remove_leftovers(models)
    plans: list[PretrainPlan] = []
    for config in project.embeddings:
        if config.pretrain is None:
            continue
        try:
            plans.append(plan_pretraining(project, config))
        except UserError as error:
            outcome.failures.append(Failure(config.name, str(error)))
    device = device_of(project)
    for plan in plans:
        for path in plan.folder.glob("*.state"):
            if not path.name.startswith(plan.key):
                path.unlink()
    jobs = [job for plan in plans for job in _jobs(project, plan, device)]
    # The longest first: what a network costs grows with its size, which its read-out tells roughly.
    jobs.sort(key=lambda job: -(job.config.dim or 0))
    failed: set[str] = set()
    done = 0
    with tqdm(total=len(jobs), unit="network", desc="pretrain", mininterval=2, disable=not jobs) as bar:
        for job, _, reason in run_jobs(
            pretrain_job, jobs, project.params.engine.workers, project.params.engine.backend
        ):
            bar.update()
            if reason is None:
                done += len(job.folds)
                continue
            failed.add(job.config.name)
            outcome.failures.append(Failure(f"{job.config.name} (fold {', '.join(map(str, job.folds))})", reason))
    for plan in plans:
        if plan.config.name not in failed:
            _choose(plan, models)
    outcome.computed = done
    outcome.reused = sum(len(plan.splits) for plan in plans) - sum(len(job.folds) for job in jobs)
    if not plans and not outcome.failures:
        outcome.notes.append("no selected embedding is trained here")
    return outcome


def _jobs(project: Project, plan: PretrainPlan, device: str) -> list:
    """The folds of a network that have no checkpoint yet: each by itself, or as one program where they are stacked."""
    from benchmark.engine.pretrain_fold import PretrainJob
    from benchmark.training.settings import TrainSettings

    params = project.params.active_training(plan.config.training)
    settings = TrainSettings(**{**params.model_dump(exclude={"control"}), "hidden": tuple(params.hidden)})
    missing = [fold for fold in range(len(plan.splits)) if not plan.fold_path(fold).is_file()]
    groups = [missing] if settings.stacks_on(device) and missing else [[fold] for fold in missing]
    used = plan.config.pretrain.metric or params
    story = provenance(plan, used.model_dump(mode="json"), project.params.seed)
    return [
        PretrainJob(
            plan.config, tuple(plan.clips), plan.labels, tuple(plan.classes), tuple(plan.splits), plan.limit,
            tuple(folds), tuple(plan.fold_path(fold) for fold in folds),
            plan.folder / f"{plan.key}-folds{'-'.join(map(str, folds))}.state", plan.key, settings,
            project.params.seed, device, project.params.extract.max_lost, story,
        )
        for folds in groups
    ]  # fmt: skip


def _choose(plan: PretrainPlan, models: Path) -> None:
    """Put the checkpoint of the fold in use where the key looks for it, and beside the others under the name alone."""
    from benchmark.embeddings.checkpoint import Checkpoint

    use = plan.config.pretrain.use if plan.config.pretrain else 0
    if use == "best":
        scores = [Checkpoint.read(plan.fold_path(fold)).provenance["valid"] for fold in range(len(plan.splits))]
        use = scores.index(max(scores))
    for target in (plan.path, models / f"{plan.config.name}.safetensors"):
        temporary = target.with_name(target.name + ".part")
        shutil.copyfile(plan.fold_path(int(use)), temporary)
        temporary.replace(target)
