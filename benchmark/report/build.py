"""The whole report: everything under results/ that is made from the records of runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.report.html import write_page
from benchmark.report.kehling.paper import paper
from benchmark.report.kehling.runs import KehlingRuns
from benchmark.report.kehling.section import KehlingData, write_section
from benchmark.report.leaderboard import Pending, write_leaderboard, write_standings
from benchmark.report.metrics_json import write_metrics
from benchmark.report.plots import write_plots
from benchmark.report.records import RunRecord
from benchmark.report.tables import write_tables


@dataclass(frozen=True)
class Report:
    """What was made.

    Attributes:
        records: the runs that are shown, sorted.
        files: everything that belongs to the report, sorted.
        drawn, kept: plots drawn now, and plots that showed the same already.
        removed: tables and plots of tasks that are gone.
    """

    records: list[RunRecord]
    files: list[Path]
    drawn: list[Path]
    kept: list[Path]
    removed: list[Path]


def build_report(
    records: Iterable[RunRecord],
    out_dir: Path,
    svg: bool = False,
    kehling: KehlingData | None = None,
    pending: Iterable[Pending] = (),
) -> Report:
    """Write leaderboard.csv, standings.csv, metrics.json, tables/, plots/ and index.html into `out_dir`.

    Args:
        records: the runs to show; what else is in `out_dir` of earlier reports is brought in line with them.
        svg: whether the plots are also written as SVG.
        pending: runs that have no result, or a stale one; they are rows of the leaderboard without numbers.
        kehling: what the section of Kehling & Cano shows besides the runs.
    """
    records = sorted(records, key=lambda record: record.identity)
    write_leaderboard(records, out_dir / "leaderboard.csv", pending)
    write_standings(records, out_dir / "standings.csv")
    write_metrics(records, out_dir / "metrics.json")
    tables, stale = write_tables(records, out_dir / "tables")
    plots = write_plots(records, out_dir / "plots", svg)
    kehling = kehling or KehlingData()
    section = write_section(KehlingRuns(paper(), records, kehling.absent), kehling, out_dir)
    write_page(records, out_dir / "index.html", out_dir / "plots", section.page)
    alone = [out_dir / name for name in ("leaderboard.csv", "standings.csv", "metrics.json", "index.html")]
    return Report(
        records, sorted([*alone, *tables, *plots.drawn, *plots.kept, *section.files]), plots.drawn, plots.kept,
        [*stale, *plots.removed, *section.removed],
    )  # fmt: skip
