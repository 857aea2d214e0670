"""Weights and multiply-accumulates of embeddings, counted and kept for `leveret list embeddings`."""

from collections.abc import Sequence
from pathlib import Path

from benchmark.bench.extract import selected
from benchmark.bench.report import BenchReport
from benchmark.embeddings.costs import Cost, count, remember
from benchmark.errors import UserError


def run(root: Path, select: Sequence[str] = (), *, catalogue: bool = False) -> BenchReport:
    """Count embeddings and keep the counts.

    Args:
        root: the project.
        select: names or globs of embeddings; all by default.
        catalogue: keep them in the file that comes with the package, not under LEVERET_HOME.

    Raises:
        UserError: nothing is selected.
    """
    report = BenchReport("Cost of embeddings", [])
    for config in selected(root, select):
        try:
            cost: Cost = count(config)
        except UserError as error:
            report.notes.append(str(error))
            continue
        path = remember([(config, cost)], catalogue)
        report.rows.append({"embedding": config.name, "parameters": cost.parameters, "MACs a second": cost.macs_per_s})
    if report.rows:
        report.notes.append(f"kept in {path}")
    return report
