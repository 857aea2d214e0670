"""The report stage: the records of the selected runs, those that are stale left out, to what people look at."""

from collections.abc import Mapping

from benchmark.engine.kehling_data import kehling_data
from benchmark.engine.outcome import Failure, Outcome
from benchmark.engine.plan import Project
from benchmark.engine.probe import records_folder
from benchmark.engine.runs import RunPlan, plan_runs
from benchmark.engine.separation_plan import plan_separations, separation_record
from benchmark.errors import UserError
from benchmark.report import build_report
from benchmark.report.atomic import remove_leftovers
from benchmark.report.leaderboard import Pending
from benchmark.report.records import RunRecord, read_record, record_path


def report(project: Project, write: bool = True) -> tuple[Outcome, list[RunRecord]]:
    """Write the report under results/; a record whose content key is not the current one is never shown."""
    outcome = Outcome()
    plans, failures = plan_runs(project)
    outcome.failures += failures
    records, pending = [], []
    for plan in plans:
        found = _current(project, plan)
        if isinstance(found, str):
            outcome.failures.append(Failure(plan.name, found))
            pending.append(_pending(plan))
        else:
            records.append(found)
    found, more = _separated(project)
    records += found
    outcome.failures += more
    if write:
        remove_leftovers(project.root / "results")
        build_report(records, project.root / "results", kehling=kehling_data(project), pending=pending)
        outcome.computed = len(records)
    return outcome, records


def _separated(project: Project) -> tuple[list[RunRecord], list[Failure]]:
    """Records of the selected separators, and those that cannot be shown."""
    plans, failures, _ = plan_separations(project)
    records = []
    for plan in plans:
        path = separation_record(project, plan)
        try:
            record = read_record(path)
        except FileNotFoundError:
            failures.append(Failure(plan.name, "has no result; run `leveret separate`"))
            continue
        except UserError as error:
            failures.append(Failure(plan.name, str(error)))
            continue
        if record.key == plan.key:
            records.append(record)
        else:
            failures.append(Failure(plan.name, _stale(plan.ingredients, record, "separate")))
    return records, failures


def _stale(ingredients: Mapping[str, str], record: RunRecord, stage: str) -> str:
    causes = [name for name, value in sorted(ingredients.items()) if record.ingredients.get(name) != value]
    return f"its result is stale ({', '.join(causes)} changed) and left out; run `leveret {stage}`"


def _current(project: Project, plan: RunPlan) -> RunRecord | str:
    """The record of a run; the reason where there is none that may be shown."""
    path = record_path(records_folder(project), plan.task.name, plan.embedding.config.name, plan.strategy, plan.probe)
    try:
        record = read_record(path)
    except FileNotFoundError:
        return "has no result; run `leveret probe`"
    except UserError as error:
        return str(error)
    if record.key == plan.key:
        return record
    return _stale(plan.ingredients, record, "probe")


def _pending(plan: RunPlan) -> Pending:
    """A run's row of the leaderboard while it has no result."""
    task = plan.task
    return Pending(
        task.name, task.domain, plan.embedding.config.name, plan.strategy, plan.probe, tuple(task.levels),
        task.metrics[0], plan.ingredients, task.front_end.text if task.front_end else None,
    )  # fmt: skip
