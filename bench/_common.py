# SPDX-License-Identifier: MIT
"""What the benchmarks share: fair timing, a table for people, JSON with the machine's data."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from rtcore.machine import machine


def arguments(doc: str | None, repeats: int, **more: float) -> argparse.Namespace:
    """Read the command line that benchmarks have in common.

    Parameters
    ----------
    doc : str
        The script's docstring; its first line becomes the help.
    repeats : int
        Default of ``--repeats``.
    **more : number
        Further options that take a number, and their defaults: `seconds` becomes ``--seconds``.
    """
    parser = argparse.ArgumentParser(description=(doc or "").strip().splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here as well")
    for name, default in {"repeats": repeats, **more}.items():
        text = "default: %(default)s"
        parser.add_argument(f"--{name}", type=type(default), default=default, help=text)
    return parser.parse_args()


def rounds(functions: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Time functions in turns, so that a busy moment of the machine hits them all.

    Parameters
    ----------
    functions : mapping
        Name to a function without arguments. Each is called once beforehand.
    repeats : int
        Rounds.

    Returns
    -------
    dict of str to list of float
        Seconds of each round.
    """
    for function in functions.values():
        function()
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def interleave(functions: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Time functions in turns, see :func:`rounds`; give the median seconds of each."""
    return {name: statistics.median(s) for name, s in rounds(functions, repeats).items()}


def table(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print rows that have the same keys; floats get three digits."""
    shown = Table(title=title, title_justify="left", box=box.SIMPLE)
    for key in rows[0]:
        shown.add_column(key, justify="left" if isinstance(rows[0][key], str) else "right")
    for row in rows:
        shown.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    # A pipe has no width: then no column is cut.
    Console(width=None if sys.stdout.isatty() else 160).print(shown)


def write_json(path: Path | None, figures: Mapping[str, Any]) -> None:
    """Write figures together with the machine's data; nothing where no file was asked for."""
    if path is not None:
        path.write_text(json.dumps({"machine": machine(), **figures}, indent=2) + "\n")
