"""What tasks with a front end hear: a separator's estimate of a source, or its stem, as files of their own.

They stand for the clips of the dataset from the extraction on, under the name `<dataset>@<front end>`. A clip is
separated by a fold of the separator that learned from nothing of the clip's group. The folder of the files is called
after a content key of the sounds, the separator, its training and the code: if any of it changes there is no such folder,
and what was heard before is never taken for what would be heard now.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from benchmark.config.keys import code_version, content_key
from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.clips import STEM, Clip
from benchmark.datasets.digests import Digests
from benchmark.datasets.places import root_folder
from benchmark.engine.front_end_job import FrontEndJob, front_end_job
from benchmark.engine.items import task_items
from benchmark.engine.outcome import Failure, Outcome
from benchmark.engine.pool import run_jobs
from benchmark.engine.separation_plan import SeparationPlan, plan_separations, plan_untrained
from benchmark.errors import UserError
from benchmark.report.atomic import write_text
from benchmark.separation.stems import Track

if TYPE_CHECKING:
    from benchmark.engine.plan import Project

_CODE = ("benchmark.engine.front_end_job",)
_CLIPS_A_JOB = 32


@dataclass(frozen=True)
class FrontEndPlan:
    """The sounds of a dataset behind a front end.

    Attributes:
        name: `<dataset>@<front end>`.
        task: one of those that hear them.
        clips: of the dataset.
        tracks: where the mixture and the stems of each are.
        separation: the separator on the task that it was trained on; None where the stem itself is heard.
        source: which of its sources.
        folds: the fold of the separator that each clip is given to.
        key: content key.
        folder: where the files are when all are there.
    """

    name: str
    task: TaskConfig
    clips: Sequence[Clip]
    tracks: Sequence[Track]
    separation: SeparationPlan | None
    source: str
    folds: Sequence[int]
    key: str
    folder: Path


def heard_clips(project: Project, task: TaskConfig) -> list[Clip]:
    """The clips of the task's dataset with the files that its front end made of them.

    Raises:
        UserError: the front end is not made, or was made of something else.
    """
    plan = plan_front_end(project, task)
    if not (plan.folder / "made.json").is_file():
        raise UserError(
            f"{project.catalogue.task_file(task)}: front_end: {plan.name} is not here, or was made of other sounds or by "
            f"another separator; run `leveret separate -t {task.name}`"
        )
    return [
        replace(clip, path=plan.folder / _file(number), start=None, end=None) for number, clip in enumerate(plan.clips)
    ]


def plan_front_end(project: Project, task: TaskConfig) -> FrontEndPlan:
    """What a task's front end makes, of what, and under which key.

    Raises:
        UserError: the separator or its task is unknown or does not fit, or has learned from a clip's group in every fold.
    """
    chosen, where = task.front_end, f"{project.catalogue.task_file(task)}: front_end"
    assert chosen is not None
    dataset = project.catalogue.dataset_of(task)
    root, name = root_folder(dataset, project.data_root), project.sounds_of(task)
    clips = _asked_for(project, name, project.clips(dataset.name), root)
    separation = None if chosen.separator is None else separator_of(project, task)
    if separation is None:
        source, needed = str(chosen.stem), [str(chosen.stem)]
    else:
        source = chosen.source or separation.task.sources[0]
        if source not in separation.task.sources:
            raise UserError(f"{where}: source: {source!r} is none of {', '.join(separation.task.sources)}")
        needed = list(separation.task.sources) if separation.strategy == "oracle" else []
    for stem in needed:
        if clips and any(f"{STEM}{stem}" not in clip.labels for clip in clips):
            raise UserError(f"{where}: {dataset.name} has no stem {stem!r} of every clip; name one that it has")
    tracks = [Track.of(clip, needed, root, dataset.mixture) for clip in clips]
    folds = [0] * len(clips) if separation is None else _folds(separation, clips, dataset.name, where)
    with Digests(project.data_root) as ledger:
        digests = ledger.of_files({path for track in tracks for path in track.files})
    stems = [{key: value for key, value in track.labels.items() if key.startswith(STEM)} for track in tracks]
    key = content_key(
        {
            "sounds": [[t.id, t.start, t.end, [digests[path] for path in t.files]] for t in tracks],
            "stems": [stems, dataset.mixture],
            "separator": separation.key if separation else None,
            "source": source,
            "folds": folds,
            "code": code_version(*_CODE),
        }
    )
    folder = project.data_root / "front_ends" / name / key
    return FrontEndPlan(name, task, clips, tracks, separation, source, folds, key, folder)


def _asked_for(project: Project, name: str, clips: Sequence[Clip], root: Path) -> list[Clip]:
    """The clips of a dataset that any task behind this front end keeps, selected or not."""
    kept: set[str] = set()
    for task in project.catalogue.tasks.values():
        if task.front_end is None or project.sounds_of(task) != name:
            continue
        # What is wrong with another task is said where that one is planned.
        with contextlib.suppress(UserError):
            kept.update(task_items(task, clips, str(project.catalogue.task_file(task)), folder=root).ids)
    return [clip for clip in clips if clip.id in kept]


def separator_of(project: Project, task: TaskConfig) -> SeparationPlan:
    """The separator of a task's front end, on the task that it was trained on.

    Raises:
        UserError: either is unknown, or they do not fit together.
    """
    from benchmark.engine.plan import shrunk_separator

    chosen, where = task.front_end, f"{project.catalogue.task_file(task)}: front_end"
    tasks = project.catalogue.tasks
    if chosen.separator not in project.catalogue.separators:
        raise UserError(
            f"{where}: separator {chosen.separator!r} is unknown; `leveret list separators` shows what there is"
        )
    if chosen.trained_on is not None:
        source = tasks.get(chosen.trained_on)
    else:
        name = project.catalogue.dataset_of(task).name
        same = [t for t in tasks.values() if t.kind == "separation" and project.catalogue.dataset_of(t).name == name]
        source = same[0] if len(same) == 1 else None
    if source is None or source.kind != "separation":
        raise UserError(f"{where}: trained_on: {chosen.trained_on!r} is no separation task; name the one it learned on")
    if source.order != "fixed":
        raise UserError(f"{where}: {source.name} has no order of its sources, so that none can be chosen")
    config = shrunk_separator(project, chosen.separator)
    if (heard := project.catalogue.dataset_of(task).name) in config.seen:
        raise UserError(f"{where}: the weights of {config.name} were trained on {heard}; take another separator")
    if (untrained := plan_untrained(project, source, config)) is not None:
        return untrained
    plans, failures, notes = plan_separations(replace(project, tasks=[source], separators=[config]))
    if not plans:
        why = "; ".join([failure.reason for failure in failures] + notes) or f"its `tasks` leave {source.name} out"
        raise UserError(f"{where}: {chosen.separator} on {source.name}: {why}")
    return plans[0]


def make_front_ends(project: Project) -> Outcome:
    """Make the sounds of every selected task with a front end that are not there; older ones are removed."""
    from benchmark.engine.separate import separate

    outcome = Outcome()
    (project.data_root / "front_ends").mkdir(parents=True, exist_ok=True)
    waiting: dict[str, FrontEndPlan] = {}
    for task in project.heard_tasks():
        try:
            if project.sounds_of(task) in waiting:
                continue
            plan = plan_front_end(project, task)
            if plan.separation is not None and plan.separation.strategy == "trained":
                trained = separate(replace(project, tasks=[plan.separation.task], separators=[plan.separation.config]))
                outcome.failures += trained.failures
            waiting[plan.name] = plan
        except UserError as error:
            outcome.failures.append(Failure(task.name, str(error)))
    waiting_plans = [plan for plan in waiting.values() if not (plan.folder / "made.json").is_file()]
    outcome.reused = len(waiting) - len(waiting_plans)
    jobs = [job for plan in waiting_plans for job in _jobs(project, plan)]
    failed: dict[str, str] = {}
    with tqdm(total=len(jobs), unit="piece", desc="front ends", mininterval=2, disable=not jobs) as bar:
        for job, _, reason in run_jobs(
            front_end_job, jobs, project.params.engine.workers, project.params.engine.backend
        ):
            bar.update()
            if reason is not None:
                failed[job.name] = reason
    outcome.failures += [Failure(name, reason) for name, reason in sorted(failed.items())]
    for plan in waiting_plans:
        if plan.name not in failed:
            story = {"source": plan.source, "folds": list(plan.folds), "clips": [clip.id for clip in plan.clips]}
            write_text(plan.folder / "made.json", json.dumps(story, sort_keys=True) + "\n")
            outcome.computed += 1
    for plan in waiting.values():
        for old in plan.folder.parent.iterdir():
            if old != plan.folder:
                shutil.rmtree(old)
    return outcome


def _jobs(project: Project, plan: FrontEndPlan) -> list[FrontEndJob]:
    from benchmark.engine.extract import device_of
    from benchmark.engine.separate import weights_file

    jobs = []
    for fold in sorted(set(plan.folds)):
        mine = [number for number, of in enumerate(plan.folds) if of == fold]
        separation = plan.separation
        for start in range(0, len(mine), _CLIPS_A_JOB):
            part = mine[start : start + _CLIPS_A_JOB]
            jobs.append(
                FrontEndJob(
                    plan.name,
                    separation.config.model_dump_json() if separation else None,
                    tuple(sorted(separation.weights.items())) if separation else (),
                    weights_file(project, separation, fold)
                    if separation and separation.strategy == "trained"
                    else None,
                    tuple(separation.task.sources) if separation else (plan.source,),
                    tuple(separation.taught or separation.task.sources) if separation else (),
                    plan.source,
                    tuple(plan.tracks[number] for number in part),
                    tuple(plan.folder / _file(number) for number in part),
                    device_of(project),
                )
            )
    return jobs


def _file(number: int) -> str:
    return f"{number:06}.wav"


def _folds(plan: SeparationPlan, clips: Sequence[Clip], dataset: str, where: str) -> list[int]:
    """Of each clip the first fold whose training learned from no clip of its group."""
    if plan.strategy != "trained":
        return [0] * len(clips)
    own = plan.items.clips
    learned = []
    for split in plan.splits:
        if plan.lessons is None:
            learned.append({own[i].group or own[i].id for part in (split.train, split.valid) for i in part})
        else:
            tested = {plan.items.groups[i] for i in split.test}
            learned.append({group for _, group in plan.lessons if group not in tested})
    folds, left = [], 0
    for clip in clips:
        fits = [fold for fold, groups in enumerate(learned) if (clip.group or clip.id) not in groups]
        left += not fits
        folds.append(fits[0] if fits else 0)
    if left:
        raise UserError(
            f"{where}: {left} of {len(clips)} clips of {dataset} are of groups that {plan.name} learned from in each of its "
            f"{len(learned)} folds; take one that was trained on another task"
        )
    return folds
