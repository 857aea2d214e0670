"""From the records of runs to what people look at: leaderboard, tables, plots, a page, a summary, a comparison."""

from typing import Any

__all__ = ["build_report"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: who only reads or writes records needs no plotting library.
    if name == "build_report":
        from benchmark.report.build import build_report

        return build_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
