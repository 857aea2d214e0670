"""What the page and the tables show of Kehling & Cano: Table 1 and 2, Figures 4 and 5, and the findings in words."""

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmark.report.atomic import write_text
from benchmark.report.blocks import Block
from benchmark.report.kehling.figures import draw_figure4, draw_figure5
from benchmark.report.kehling.findings import Finding, findings
from benchmark.report.kehling.runs import KehlingRuns
from benchmark.report.kehling.table1 import AudioFacts, table1_block
from benchmark.report.kehling.table2 import table2_blocks, table2_csv
from benchmark.report.plots import write_figure
from benchmark.report.tables import markdown, markdown_text, tex

NAMES = ("kehling-table1.md", "kehling-table1.tex", "kehling-table2.md", "kehling-table2.tex", "kehling-table2.csv")
FINDINGS = "kehling-findings.md"
FIGURES = {"kehling-figure4": draw_figure4, "kehling-figure5": draw_figure5}


@dataclass(frozen=True)
class KehlingData:
    """What the section shows besides the runs.

    Attributes:
        absent: embedding -> why it has no runs.
        here: facts of the paper's datasets that are here.
        rendered: facts of the rendered sets that stand for others.
    """

    absent: Mapping[str, str] = field(default_factory=dict)
    here: Mapping[str, AudioFacts] = field(default_factory=dict)
    rendered: Mapping[str, AudioFacts] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """Files of the section, those removed, and what the page's template reads; `page` is None where no run belongs to it."""

    files: list[Path] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    page: dict[str, Any] | None = None


def write_section(runs: KehlingRuns, data: KehlingData, out_dir: Path) -> Section:
    """Write tables/kehling-* and plots/kehling-* below `out_dir`, or remove them where no run belongs to the paper.

    Args:
        runs: the runs at hand.
        data: what is shown besides.
        out_dir: the folder of the report.
    """
    tables, plots = out_dir / "tables", out_dir / "plots"
    possible = [tables / name for name in (*NAMES, FINDINGS)] + [plots / f"{name}.png" for name in FIGURES]
    if not runs.tasks & runs.paper.target_tasks():
        return Section(removed=_remove(possible))
    table1 = [table1_block(runs.paper.table1, data.here, data.rendered)]
    table2 = table2_blocks(runs)
    found = findings(runs)
    texts = {
        "kehling-table1.md": markdown(table1),
        "kehling-table1.tex": tex(table1),
        "kehling-table2.md": markdown(table2),
        "kehling-table2.tex": tex(table2),
        "kehling-table2.csv": table2_csv(runs),
        FINDINGS: findings_markdown(found),
    }
    for name, text in texts.items():
        write_text(tables / name, text)
    files = [tables / name for name in texts]
    figures = {}
    for name, draw in FIGURES.items():
        path = plots / f"{name}.png"
        if write_figure(lambda draw=draw: draw(runs), path):
            files.append(path)
            figures[name] = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
    page = {
        "paper": runs.paper.paper,
        "tables": [_table(block) for block in [*table1, *table2]],
        "figures": figures,
        "findings": [{**asdict(finding), "verdict": finding.verdict} for finding in found],
    }
    return Section(files, _remove([path for path in possible if path not in files]), page)


def findings_markdown(found: list[Finding]) -> str:
    """The findings as a list, each with its verdict, its test and what was compared."""
    sign = {True: "agrees", False: "does not agree", None: "not tested"}
    parts = []
    for finding in found:
        lines = [
            f"{finding.number}. {markdown_text(finding.statement)} **{finding.verdict[:1].upper()}{finding.verdict[1:]}.**",
            f"   Test: {markdown_text(finding.test)}",
        ]
        lines += [f"   - {markdown_text(part.text)}: {sign[part.holds]}" for part in finding.parts]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _remove(paths: list[Path]) -> list[Path]:
    there = [path for path in paths if path.is_file()]
    for path in there:
        path.unlink()
    return there


def _table(block: Block) -> dict[str, Any]:
    rows = [*block.rows, *block.below]
    return {
        "heading": block.heading,
        "corner": block.corner,
        "columns": block.columns,
        "rows": [(row.name, [entry.text for entry in row.entries]) for row in rows],
        "notes": block.notes,
    }
