"""Tables as the commands print them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

_PIPE_WIDTH = 160


def new_table(title: str, words: Sequence[str], numbers: Sequence[str], more_words: Sequence[str] = ()) -> Table:
    """An empty table: columns of words, of numbers, and of words again."""
    table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in words:
        table.add_column(heading)
    for heading in numbers:
        table.add_column(heading, justify="right")
    for heading in more_words:
        table.add_column(heading)
    return table


def print_table(table: Table) -> None:
    """Print it, as wide as the terminal; a pipe has no width of its own: nothing is cut or folded there."""
    console = Console()
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table)


def print_line(line: str) -> None:
    """Print a line as it is."""
    Console().print(line, highlight=False, markup=False, soft_wrap=True)


def new_progress(amount: ProgressColumn | None = None) -> Progress:
    """A bar on standard error that says what is done, how far it is, and for how long; nothing if that is a file.

    Args:
        amount: shows how far it is; without it, so many of so many.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), amount or MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def count(value: int | None) -> str:
    """A whole number."""
    return "" if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """A share of the whole."""
    return "" if share is None else f"{100 * share:.1f}"


def decimals(value: Any, places: int) -> str:
    """A number with so many decimal places."""
    return "" if value is None else f"{value:.{places}f}"
