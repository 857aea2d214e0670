"""What a benchmark of speed gives: rows, notes, and the machine that it was measured on."""

import dataclasses
import json
import os
import platform
from pathlib import Path
from typing import Any


@dataclasses.dataclass
class BenchReport:
    """Measurements that belong together.

    Attributes:
        title: what was measured.
        rows: one mapping a line, column -> value; a row may lack columns of others.
        notes: what a reader must know to believe the rows, a sentence each.
        machine: where it was measured, as `machine_facts` tells.
    """

    title: str
    rows: list[dict[str, Any]]
    notes: list[str] = dataclasses.field(default_factory=list)
    machine: dict[str, Any] = dataclasses.field(default_factory=lambda: machine_facts())

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the order in which rows first have them."""
        return list(dict.fromkeys(column for row in self.rows for column in row))

    def to_json(self) -> str:
        """All of it as JSON; numbers are not rounded."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, default=float)

    def to_markdown(self) -> str:
        """A title, the table, the notes and the machine, as Markdown."""
        columns = self.columns
        lines = [f"### {self.title}", ""]
        if columns:
            lines += [_row(columns), _row("---:" if self._is_number(column) else "---" for column in columns)]
            lines += [_row(cell(row.get(column)).replace("|", "\\|") for column in columns) for row in self.rows]
            lines.append("")
        lines += [f"- {note}" for note in [*self.notes, self.machine_line()]]
        return "\n".join(lines) + "\n"

    def machine_line(self) -> str:
        """The machine in one line."""
        return "; ".join(f"{name}: {cell(value)}" for name, value in self.machine.items())

    def _is_number(self, column: str) -> bool:
        values = [row[column] for row in self.rows if row.get(column) is not None]
        return bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def cell(value: Any) -> str:
    """A value as a table shows it: three significant digits, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def machine_facts() -> dict[str, Any]:
    """Processor, cores, threads of PyTorch, accelerator, load averages of 1, 5 and 15 minutes, versions."""
    import torch

    facts = {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "load average": ", ".join(f"{load:.1f}" for load in os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _processor() -> str:
    """The processor's model as it names itself, with the vector instructions that decide how fast it multiplies."""
    information = Path("/proc/cpuinfo")
    if not information.is_file():
        return platform.processor() or platform.machine()
    lines = information.read_text(encoding="utf-8", errors="replace").splitlines()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = set(fields.get("flags", "").split())
    units = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    return " ".join([fields.get("model name", platform.machine()), f"({', '.join(units)})" if units else ""]).strip()


def _row(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"
