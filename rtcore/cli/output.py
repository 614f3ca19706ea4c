# SPDX-License-Identifier: MIT
"""What commands print: tables, JSON, warnings and progress."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

_MINUTE_S = 60.0
_WIDE = 160  # columns of a table in a pipe or a file
_PROSE = 100  # the longest lines that read well
_NARROW = 20  # no terminal is taken for narrower
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:ms|s|Hz|dB|ppm|samples?|frames?)\b)")
_HELD = "\0"  # stands for a space at which no line may break

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    click.echo(as_json(value))


def as_json(value: Any) -> str:
    """Write a value as JSON: paths as texts, numbers that JSON does not know as null."""
    return json.dumps(_jsonable(value), indent=2, ensure_ascii=False, allow_nan=False)


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
    width = None if _is_terminal(sys.stdout) else _WIDE
    console = Console(file=sys.stdout, highlight=False, width=width)
    # Rich itself would take a reader that goes away (``| head``) for a failed check: exit code 1.
    with console.capture() as drawn:
        if title:
            console.print(Text(title))
        console.print(table)
    for line in drawn.get().splitlines():
        click.echo(line.rstrip())


def columns_there() -> int | None:
    """Give the width of the terminal in letters; None where tables go elsewhere."""
    return shutil.get_terminal_size().columns if _is_terminal(sys.stdout) else None


def _is_terminal(stream: Any) -> bool:
    """Tell whether somebody looks at a stream; a closed one is None."""
    return stream is not None and bool(stream.isatty())


def print_prose(text: str, *, indent: str = "", hanging: str | None = None) -> None:
    """Print a sentence, broken between words so that it suits the terminal.

    Parameters
    ----------
    text : str
        One paragraph.
    indent, hanging : str
        What its first line, and the others, begin with; the same where only one is given.
    """
    width = min(_PROSE, columns_there() or _PROSE)
    rest = indent if hanging is None else hanging
    lines = textwrap.wrap(
        _BEFORE_UNIT.sub(_HELD, text),
        max(_NARROW, width),
        initial_indent=indent,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    click.echo("\n".join(lines).replace(_HELD, " "))


def warn(sentence: str) -> None:
    """Print a warning on standard error."""
    click.echo(f"warning: {sentence}", err=True)


@contextmanager
def kept_stdout() -> Iterator[None]:
    """Lead to standard error what anybody's code prints, so that results stand alone.

    It holds for what comes through Python, through C, and through programs that are started.
    """
    try:
        sys.stdout.flush()
        kept = os.dup(1)
    except (OSError, AttributeError):  # it is closed
        yield
        return
    try:
        with suppress(OSError):
            os.dup2(2, 1)
        yield
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        _flush_c()
        os.dup2(kept, 1)
        os.close(kept)


def _flush_c() -> None:
    """Write out what C code has printed and its library still holds."""
    import ctypes

    with suppress(OSError, AttributeError, TypeError):  # where there is no such library
        ctypes.CDLL(None).fflush(None)


@contextmanager
def progress(
    what: str, total: float | None, unit: str = "frames", *, rate: bool = False
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
    rate : bool
        Show how many steps are done in a second, and the time left in lines too.

    Yields
    ------
    function
        To be called with the number of steps done since the last call.
    """
    if not _is_terminal(sys.stderr):
        yield _lines(what, total, unit, rate=rate)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = [TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), Remaining()]
    if rate and total:
        columns.insert(3, TextColumn("{task.completed:g}/{task.total:g} {task.fields[speed]}"))
    begun_s, done = time.monotonic(), 0.0
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, speed="")

        def advance(steps: float) -> None:
            nonlocal done
            done += steps
            bar.update(task, advance=steps, speed=_speed(done, time.monotonic() - begun_s, unit))

        yield advance


def _speed(done: float, taken_s: float, unit: str) -> str:
    """Write a rate so that it is a number above one where that is possible."""
    a_second = done / taken_s if taken_s > 0.0 else 0.0
    if not a_second:
        return ""
    return f"{a_second:.3g} {unit}/s" if a_second >= 1.0 else f"{60.0 * a_second:.3g} {unit}/min"


def _lines(
    what: str, total: float | None, unit: str, *, rate: bool = False
) -> Callable[[float], None]:
    """Report in lines, at most one a minute."""
    done = 0.0
    begun = last = time.monotonic()

    def advance(steps: float) -> None:
        nonlocal done, last
        done += steps
        if time.monotonic() - last >= _MINUTE_S:
            last = time.monotonic()
            share = f"{100.0 * done / total:.0f} %" if total else f"{done:g} {unit}"
            if rate and total and done:
                left_s = (last - begun) * (total - done) / done
                share += f", {_speed(done, last - begun, unit)}, {left_s / _MINUTE_S:.0f} min left"
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
