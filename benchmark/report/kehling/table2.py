"""Table 2 beside ours: per cell the paper's number, ours, the difference and its standard error."""

import csv
import io
import math
from dataclasses import dataclass

from benchmark.report.blocks import Block, Entry, Row
from benchmark.report.kehling.runs import Cell, KehlingRuns

STRATEGIES = ("frozen", "partial", "full", "scratch")
LABELS = {"frozen": "FZ", "partial": "IN", "full": "FT", "scratch": "from scratch"}
COLUMNS = [
    "task", "model", "strategy", "paper_mean", "paper_std", "our_task", "our_embedding", "our_probe", "our_level",
    "our_mean", "our_std", "folds", "difference", "standard_error", "distance", "note",
]  # fmt: skip
_CAPTION = (
    "Accuracy (%), mean ± std over folds: the paper's number, ours, and their difference with its standard error (the "
    "root of the sum of both squared standard errors of the mean). A task in brackets stands for the paper's where that "
    "one's data are not here: a difference there is one of the data as well."
)


@dataclass(frozen=True)
class Comparison:
    """A cell of Table 2 and ours; `difference` is ours less the paper's, `distance` the same in standard errors."""

    role: str
    title: str
    model: str
    strategy: str
    paper_mean: float
    paper_std: float
    ours: Cell | None
    task: str | None
    note: str
    difference: float | None
    standard_error: float | None

    @property
    def distance(self) -> float | None:
        """Difference in standard errors; None where there is no spread."""
        return self.difference / self.standard_error if self.difference is not None and self.standard_error else None


def compare(runs: KehlingRuns) -> list[Comparison]:
    """Every cell of Table 2, in its order."""
    found = []
    for target in runs.paper.targets:
        task = runs.task(target.tasks)
        for model, cells in runs.paper.table2[target.role].items():
            for strategy, (mean, std) in cells.items():
                ours = runs.cell(task, model, strategy)
                difference = error = None
                if ours is not None and ours.mean is not None:
                    difference = ours.mean - mean
                    if ours.standard_error is not None:
                        error = math.hypot(std / math.sqrt(runs.paper.folds), ours.standard_error)
                note = runs.why_not(model, strategy) if ours is None else ""
                found.append(
                    Comparison(
                        target.role, target.title, model, strategy, mean, std, ours, task, note, difference, error
                    )
                )
    return found


def table2_csv(runs: KehlingRuns) -> str:
    """One row a cell; numbers in per cent with two decimals, what is not known is left empty."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for cell in compare(runs):
        ours = cell.ours
        writer.writerow(
            {
                "task": cell.role,
                "model": cell.model,
                "strategy": cell.strategy,
                "paper_mean": cell.paper_mean,
                "paper_std": cell.paper_std,
                "our_task": cell.task or "",
                "our_embedding": ours.embedding if ours else "",
                "our_probe": ours.probe if ours else "",
                "our_level": ours.level if ours else "",
                "our_mean": _number(ours.mean if ours else None),
                "our_std": _number(ours.std if ours else None),
                "folds": len(ours.folds) if ours else "",
                "difference": _number(cell.difference),
                "standard_error": _number(cell.standard_error),
                "distance": _number(cell.distance),
                "note": cell.note,
            }
        )
    return out.getvalue()


def table2_blocks(runs: KehlingRuns) -> list[Block]:
    """A block a target task: models in rows; for each strategy the paper's, ours and the difference below each other."""
    titles = {model.name: model.title for model in runs.paper.models}
    blocks = []
    cells = compare(runs)
    for target in runs.paper.targets:
        of_target = [cell for cell in cells if cell.role == target.role]
        rows = []
        for model in dict.fromkeys(cell.model for cell in of_target):
            by_strategy = {cell.strategy: cell for cell in of_target if cell.model == model}
            for name, text in (("paper", _paper), ("ours", _ours), ("difference", _difference)):
                entries = [Entry(text(by_strategy[s]) if s in by_strategy else "") for s in STRATEGIES]
                rows.append(Row(f"{titles[model]}, {name}", entries))
        blocks.append(Block(runs.titled(target), "model", [LABELS[s] for s in STRATEGIES], rows, notes=[_CAPTION]))
    return blocks


def _paper(cell: Comparison) -> str:
    return f"{cell.paper_mean:.1f} ± {cell.paper_std:.1f}"


def _ours(cell: Comparison) -> str:
    if cell.ours is None:
        return cell.note
    if cell.ours.mean is None:
        return "not defined"
    return f"{cell.ours.mean:.1f}" if cell.ours.std is None else f"{cell.ours.mean:.1f} ± {cell.ours.std:.1f}"


def _difference(cell: Comparison) -> str:
    if cell.difference is None:
        return ""
    error = "" if cell.standard_error is None else f" ± {cell.standard_error:.1f}"
    distance = "" if cell.distance is None else f" ({cell.distance:+.1f} SE)"
    return f"{cell.difference:+.1f}{error}{distance}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value + 0.0:.2f}"
