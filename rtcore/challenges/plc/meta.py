# SPDX-License-Identifier: MIT
"""The csv of the 2024 challenge: a row a clip, with its trace as digits in a column.

The names of the columns were never published. Those who read ``val_meta.csv`` take column 0 for
the file's name and column 3 for the trace; here the columns are recognised by what they hold.
"""

from __future__ import annotations

import csv
import io
import re
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtcore.errors import ConfigError

__all__ = ["MetaRow", "parse_digits", "read_meta", "table_text"]

_NAME = re.compile(r".*\.wav\s*$", re.IGNORECASE | re.DOTALL)
_TRACE = re.compile(r"\s*\[?\s*[01](?:[\s,;]+[01])*\s*\]?\s*$")
_SEVERAL = re.compile(r"\s*\[?\s*[01](?:[\s,;]+[01])+")
_TRACE_WORDS = ("trace", "lost", "loss")
_MAX_BYTES = 256 * 2**20


@dataclass(frozen=True)
class MetaRow:
    """A clip as the csv tells it: its file, its trace as written, and the line for errors."""

    name: str
    trace: str
    line: int


def parse_digits(text: str, where: str) -> np.ndarray:
    """Read a trace written as ``0 0 1 0``.

    Parameters
    ----------
    text : str
        Digits with spaces (or commas) between them.
    where : str
        What an error begins with.

    Returns
    -------
    numpy.ndarray of bool, shape (packets,)

    Raises
    ------
    ConfigError
        Naming the first entry that is neither ``0`` nor ``1``.
    """
    words = re.split(r"[\s,;]+", text.strip().removeprefix("[").removesuffix("]").strip())
    if words == [""]:
        what = "the trace is empty; write a 0 (received) or 1 (lost) for each packet of 20 ms"
        raise ConfigError(where, what)
    for number, word in enumerate(words, start=1):
        if word not in ("0", "1"):
            found = f"packet {number} of the trace is {reprlib.repr(word)}"
            remedy = "write 0 (received) or 1 (lost), with spaces between"
            raise ConfigError(where, f"{found}; {remedy}")
    return np.array([word == "1" for word in words])


def read_meta(path: Path) -> list[MetaRow]:
    """Read the clips that a csv lists.

    A heading is recognised by having no file name in it. Fields may be separated by commas,
    semicolons or tabs. A trace that is damaged is told when it is read, so that one bad row does
    not hide the others.

    Raises
    ------
    ConfigError
        Where the file is no such csv; see :func:`has_traces` for a quiet question.
    """
    rows = _rows(path)
    body = [(line, row) for line, row in rows if any(_NAME.match(cell) for cell in row)]
    if not body:
        what = "no row names a .wav file; this is not the csv of a set of clips"
        raise ConfigError(str(path), what)
    heading = rows[0][1] if rows[0][0] != body[0][0] else []
    cells = [row for _, row in body]
    name, trace = _name_column(cells), _trace_column(path, heading, cells)
    return [MetaRow(_name_in(row, name), _cell(row, trace), line) for line, row in body]


def has_traces(path: Path) -> bool:
    """Tell whether a csv has a column with traces, without complaining."""
    try:
        return bool(read_meta(path))
    except ConfigError:
        return False


def table_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a csv with a heading and Unix line ends."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Read the rows that are not blank, each with its line."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(str(path), "is far too long for a list of clips; name the right csv")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"byte {error.start + 1} is no text in UTF-8; save it as csv in UTF-8"
        raise ConfigError(str(path), what) from None
    except OSError as error:
        what = f"the csv cannot be read ({error.strerror}); check its name and its rights"
        raise ConfigError(str(path), what) from error
    first = text.split("\n", 1)[0]
    separator = max(",\t;", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        what = f"is no csv that can be read ({error}); save it again"
        raise ConfigError(f"{path}, line {reader.line_num}", what) from None
    return [(line, row) for line, row in rows if any(cell.strip() for cell in row)]


def _name_column(cells: list[list[str]]) -> int:
    """Find the column of the files' names: the first that has one in most rows."""
    width = max(map(len, cells))
    counts = [sum(_NAME.match(_cell(row, k)) is not None for row in cells) for k in range(width)]
    return int(np.argmax(counts))


def _trace_column(path: Path, heading: list[str], cells: list[list[str]]) -> int:
    """Find the column of the traces: digits in most rows, and more than one digit somewhere."""
    width = max(map(len, cells))
    likely = []
    for k in range(width):
        entries = [_cell(row, k) for row in cells]
        good = sum(_TRACE.match(entry) is not None for entry in entries)
        if 2 * good >= len(entries) and any(_SEVERAL.match(entry) for entry in entries):
            likely.append(k)
    if len(likely) > 1:
        named = [k for k in likely if any(w in _cell(heading, k).lower() for w in _TRACE_WORDS)]
        likely = named or [k for k in likely if k == 3] or likely
    if len(likely) == 1:
        return likely[0]
    if not likely:
        what = "no column holds traces (0 and 1 with spaces between); name the csv of a 2024 set"
        raise ConfigError(str(path), what)
    places = ", ".join(str(k + 1) for k in likely)
    what = f"columns {places} all look like traces; leave one of them in"
    raise ConfigError(str(path), what)


def _name_in(row: list[str], column: int) -> str:
    """Give the name of a row's file, also where cells before it are missing."""
    if _NAME.match(_cell(row, column)):
        return row[column].strip()
    return next(cell.strip() for cell in row if _NAME.match(cell))


def _cell(row: Sequence[str], column: int) -> str:
    return row[column] if column < len(row) else ""
