"""Text on a terminal: one console and one plain form of table for everything that is printed."""

from rich import box
from rich.console import Console
from rich.table import Table

# Columns where there is no terminal.
WIDTH = 120


def console(to_stderr: bool = False) -> Console:
    """A console that takes text as it is: a name in brackets is no markup."""
    made = Console(stderr=to_stderr, markup=False, emoji=False, highlight=False)
    if not made.is_terminal:
        made.width = WIDTH
    return made


def plain_table(*columns: str, title: str | None = None) -> Table:
    """A table with one rule under its head; columns are two blanks apart."""
    return Table(
        *columns,
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
