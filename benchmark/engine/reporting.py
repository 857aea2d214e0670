"""The report stage: the records of the selected runs, those that are stale left out, to what people look at."""

from benchmark.engine.kehling_data import kehling_data
from benchmark.engine.outcome import Failure, Outcome
from benchmark.engine.plan import Project
from benchmark.engine.probe import records_folder
from benchmark.engine.runs import plan_runs
from benchmark.errors import UserError
from benchmark.report import build_report
from benchmark.report.atomic import remove_leftovers
from benchmark.report.records import RunRecord, read_record, record_path


def report(project: Project, write: bool = True) -> tuple[Outcome, list[RunRecord]]:
    """Write the report under results/; a record whose content key is not the current one is never shown."""
    outcome = Outcome()
    plans, failures = plan_runs(project)
    outcome.failures += failures
    records = []
    for plan in plans:
        path = record_path(
            records_folder(project), plan.task.name, plan.embedding.config.name, plan.strategy, plan.probe
        )
        try:
            record = read_record(path)
        except FileNotFoundError:
            outcome.failures.append(Failure(plan.name, "has no result; run `leveret probe`"))
            continue
        except UserError as error:
            outcome.failures.append(Failure(plan.name, str(error)))
            continue
        if record.key != plan.key:
            outcome.failures.append(Failure(plan.name, "its result is stale and left out; run `leveret probe`"))
            continue
        records.append(record)
    if write:
        remove_leftovers(project.root / "results")
        build_report(records, project.root / "results", kehling=kehling_data(project))
        outcome.computed = len(records)
    return outcome, records
