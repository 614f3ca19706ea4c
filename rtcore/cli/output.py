# SPDX-License-Identifier: MIT
"""What commands print: tables, JSON, warnings and progress."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

_MINUTE_S = 60.0

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    click.echo(json.dumps(_jsonable(value), indent=2, ensure_ascii=False, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Print a table; columns of numbers are right-aligned.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : iterable of sequences
        Cells; numbers are written as they should be read.
    title : str
        A line above the table.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [list(row) for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for k, column in enumerate(columns):
        numeric = bool(cells) and all(isinstance(row[k], int | float) for row in cells)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(_cell(cell)) for cell in row))
    width = None if sys.stdout.isatty() else 160
    console = Console(file=sys.stdout, highlight=False, width=width)
    if title:
        console.print(Text(title))
    console.print(table)


def warn(sentence: str) -> None:
    """Print a warning on standard error."""
    click.echo(f"warning: {sentence}", err=True)


@contextmanager
def progress(
    what: str, total: float | None, unit: str = "frames"
) -> Iterator[Callable[[float], None]]:
    """Show how far long work has come: a bar on a terminal, a line a minute elsewhere.

    Parameters
    ----------
    what : str
        What is being done.
    total : float or None
        Steps in all, where that is known.
    unit : str
        What a step is.

    Yields
    ------
    function
        To be called with the number of steps done since the last call.
    """
    if not sys.stderr.isatty():
        yield _lines(what, total, unit)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), Remaining())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda steps: bar.update(task, advance=steps)


def _lines(what: str, total: float | None, unit: str) -> Callable[[float], None]:
    """Report in lines, at most one a minute."""
    done = 0.0
    last = time.monotonic()

    def advance(steps: float) -> None:
        nonlocal done, last
        done += steps
        if time.monotonic() - last >= _MINUTE_S:
            last = time.monotonic()
            share = f"{100.0 * done / total:.0f} %" if total else f"{done:g} {unit}"
            click.echo(f"{what}: {share}", err=True)

    return advance


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _jsonable(value: Any) -> Any:
    """Bring paths to texts and numbers that JSON does not know to null."""
    if isinstance(value, dict):
        return {str(key): _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value) if isinstance(value, Path) else repr(value)
