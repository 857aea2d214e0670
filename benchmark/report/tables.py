"""The tables in Markdown and in LaTeX (booktabs), under results/tables/."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.report.atomic import write_text
from benchmark.report.blocks import Block, Entry, Row, by_task, front_end_blocks, overview_block, task_blocks
from benchmark.report.grid import Grid
from benchmark.report.rank_blocks import rank_blocks
from benchmark.report.records import RunRecord
from benchmark.report.separator_blocks import separator_blocks
from benchmark.report.standings import Standings

_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "±": r"$\pm$", "–": "--", "†": r"$\dagger$", "²": r"$^2$", "[": "{[}", "]": "{]}",
}  # fmt: skip
_PAGE_LETTERS = 80
_MARKDOWN = {ord(sign): f"\\{sign}" for sign in "\\`*_[]<>|#~"} | {ord(sign): " " for sign in "\r\n"}


def write_tables(records: Iterable[RunRecord], folder: Path) -> tuple[list[Path], list[Path]]:
    """Write overview, ranks, all-tasks and a table a task (in tasks/), and remove those of tasks that are gone.

    Returns:
        The files that belong here, and those that were removed.
    """
    records = list(records)
    grouped = by_task(records)
    of_task = {task: task_blocks(found) for task, found in grouped.items()}
    tables = {
        "overview": [overview_block(records)],
        "ranks": rank_blocks(Standings(Grid(records))),
        "all-tasks": [block for blocks in of_task.values() for block in blocks],
        **{f"tasks/{task}": blocks for task, blocks in of_task.items()},
    }
    if separated := separator_blocks(grouped):
        tables["separators"] = separated
    if heard := front_end_blocks(records):
        tables["front-ends"] = heard
    written = []
    for name, blocks in tables.items():
        for suffix, text in ((".md", markdown(blocks)), (".tex", tex(blocks))):
            written.append(folder / f"{name}{suffix}")
            write_text(written[-1], text)
    kept = [*(folder / "tasks").glob("*"), *folder.glob("separators.*"), *folder.glob("front-ends.*")]
    stale = sorted({path for path in kept if path.suffix in (".md", ".tex")} - set(written))
    for path in stale:
        path.unlink()
    return written, stale


def markdown(blocks: Sequence[Block]) -> str:
    """Blocks as GitHub's Markdown, with the notes that they share at the end."""
    parts = []
    for block in blocks:
        lines = [f"### {markdown_text(block.heading)}", ""]
        lines.append(_markdown_row([block.corner, *block.columns]))
        lines.append("|" + " --- |" + " ---: |" * len(block.columns))
        lines += [_markdown_row([row.name], row.entries) for row in block.rows]
        lines += [_markdown_row([row.name], row.entries) for row in block.below]
        parts.append("\n".join(lines))
    parts += [markdown_text(note) for note in _notes(blocks)]
    return "\n\n".join(parts) + "\n"


def markdown_text(text: str) -> str:
    """Text in which Markdown sees no markup."""
    return text.translate(_MARKDOWN)


def _markdown_row(texts: Sequence[str], entries: Sequence[Entry] = ()) -> str:
    sign = {"best": "**", "near": "*", "": ""}
    cells = [markdown_text(text) for text in texts]
    cells += [f"{sign[entry.mark]}{markdown_text(entry.text)}{sign[entry.mark]}" for entry in entries]
    return "| " + " | ".join(cells) + " |"


def tex(blocks: Sequence[Block]) -> str:
    """Blocks as LaTeX tables; the document loads booktabs and graphicx."""
    parts = [r"% \usepackage{booktabs,graphicx}", *(_tex_block(block) for block in blocks)]
    return "\n\n".join([*parts, *(f"% {' '.join(note.split())}" for note in _notes(blocks))]) + "\n"


def _tex_block(block: Block) -> str:
    # Wide tables are shrunk to the page, which holds about 80 letters of this size.
    width = max(len(row.name) for row in [*block.rows, *block.below]) + 12 * len(block.columns)
    before, after = (r"\resizebox{\linewidth}{!}{", "}") if width > _PAGE_LETTERS else ("", "")
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{tex_text(block.heading)}}}",
        rf"{before}\begin{{tabular}}{{l{'r' * len(block.columns)}}}",
        r"\toprule",
        " & ".join(tex_text(text) for text in [block.corner, *block.columns]) + r" \\",
        r"\midrule",
        *(_tex_row(row) for row in block.rows),
    ]
    if block.below:
        lines += [r"\midrule", *(_tex_row(row) for row in block.below)]
    return "\n".join([*lines, r"\bottomrule", rf"\end{{tabular}}{after}", r"\end{table}"])


def _tex_row(row: Row) -> str:
    form = {"best": r"\textbf{%s}", "near": r"\textit{%s}", "": "%s"}
    return (
        " & ".join([tex_text(row.name), *(form[entry.mark] % tex_text(entry.text) for entry in row.entries)]) + r" \\"
    )


def tex_text(text: str) -> str:
    """Text in which LaTeX sees no markup."""
    return "".join(_TEX.get(sign, sign) for sign in " ".join(text.split()))


def _notes(blocks: Sequence[Block]) -> list[str]:
    return list(dict.fromkeys(note for block in blocks for note in block.notes))
