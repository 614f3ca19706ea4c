# SPDX-License-Identifier: MIT
"""The file formats of listeners: Clarity's JSON, and tables as spreadsheets write them.

Users call `rtcore.hearing.load_listeners`, `read_listener` and `resolve_listener`, which
import this module when a file is named.
"""

from __future__ import annotations

import codecs
import csv
import json
import reprlib
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from rtcore.errors import ConfigError
from rtcore.hearing._schemas import ListenerEntry, first_problem
from rtcore.hearing.audiogram import Audiogram
from rtcore.hearing.listener import Listener

_EARS: Final = {"left": "left", "l": "left", "right": "right", "r": "right", "both": "both"}


def read_listeners_json(path: Path) -> dict[str, Listener]:
    """Read a ``listeners.json`` with many listeners (see `rtcore.hearing.load_listeners`)."""
    content = read_json(path)
    if not isinstance(content, dict):
        what = "must hold one JSON object keyed by listener id"
        raise ConfigError(str(path), f"{what}, got {reprlib.repr(content)}")
    if not content:
        raise ConfigError(str(path), "holds no listener; is it the right file?")
    return {id_: _listener(entry, f"{path}: {id_}", id_) for id_, entry in content.items()}


def read_listener_file(path: Path) -> Listener:
    """Read one listener from JSON or CSV (see `rtcore.hearing.read_listener`)."""
    if path.suffix.lower() != ".json":
        return _parse_csv(_read_text(path), path)
    content = read_json(path)
    if isinstance(content, dict) and "audiogram_levels_l" in content:
        return listener_of_entry(content, str(path))
    if isinstance(content, dict) and {"left", "right"} & content.keys():
        return Listener.from_table(content, where=f"{path}: audiogram")
    book = read_listeners_json(path)
    if len(book) > 1:
        what = f"holds {len(book)} listeners, such as '{next(iter(book))}'"
        raise ConfigError(str(path), f"{what}; name one by its id and give this file as listeners")
    return next(iter(book.values()))


def listener_of_entry(entry: Mapping[str, object], where: str) -> Listener:
    """Make a listener from Clarity's keys."""
    return _listener(dict(entry), where, "")


def _listener(entry: object, where: str, id_: str) -> Listener:
    """Check one entry of a listeners file."""
    try:
        checked = ListenerEntry.model_validate(entry)
    except ValidationError as error:
        key, what = first_problem(error)
        raise ConfigError(f"{where}.{key}" if key else where, what) from None
    left, right = (
        Audiogram(
            levels,
            checked.audiogram_cfs,
            levels_key=f"{where}.{key}",
            frequencies_key=f"{where}.audiogram_cfs",
        )
        for levels, key in (
            (checked.audiogram_levels_l, "audiogram_levels_l"),
            (checked.audiogram_levels_r, "audiogram_levels_r"),
        )
    )
    return Listener(left, right, checked.name, id_ or checked.name)


def _read_text(path: Path) -> str:
    """Read a text file as UTF-8 or, where it says so, UTF-16, without the byte-order mark."""
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(str(path), "is no file; name a CSV or JSON file")
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(str(path), "there is no such file; check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(str(path), f"cannot be read ({reason}); check the path") from None
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(
            str(path), "is not a text file; save it as CSV or JSON in UTF-8"
        ) from None


def read_json(path: Path) -> object:
    """Read JSON, refusing keys that come twice (the first one would be lost in silence).

    Raises
    ------
    ConfigError
        Where the file cannot be read or is no JSON.
    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        table: dict[str, object] = {}
        for key, value in pairs:
            if key in table:
                raise ConfigError(str(path), f"key '{key}' comes twice; remove one of the two")
            table[key] = value
        return table

    text = _read_text(path)
    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigError(str(path), f"is not JSON ({reason}); mend or replace the file") from None


def _parse_csv(text: str, path: Path) -> Listener:
    """Read a table with a row or a column per ear."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    delimiter = next((mark for mark in ";\t" if lines and mark in lines[0]), ",")
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    except csv.Error as error:
        raise ConfigError(str(path), f"is not a CSV file ({error})") from None
    rows = [_without_trailing_blanks(row) for row in rows if any(row)]
    if len(rows) < 2 or len(rows[0]) < 2:
        what = "needs a header with the frequencies, such as 'ear,250,500,1000', and a row per ear"
        raise ConfigError(str(path), what)
    if all(cell.lower() in _EARS for cell in rows[0][1:]):
        rows = [list(column) for column in zip_longest(*rows, fillvalue="")]
    return _listener_of_rows(rows, path, decimal="." if delimiter == "," else ",")


def _without_trailing_blanks(row: list[str]) -> list[str]:
    """Drop the empty cells that spreadsheets leave at the end of a row."""
    while row and not row[-1]:
        row = row[:-1]
    return row


def _listener_of_rows(rows: list[list[str]], path: Path, decimal: str) -> Listener:
    """Read a header of frequencies and the rows of the ears below it."""
    header = rows[0]
    if header[0].lower() in _EARS:
        what = f"begins with '{header[0]}', not with a header such as 'ear,250,500,1000'"
        raise ConfigError(str(path), f"{what}; name the frequencies in the first line")
    # The corner cell may be any word, blank, or absent altogether.
    labels = 1 if len(header) >= len(rows[1]) or not _is_number(header[0], decimal) else 0
    frequencies = _cells(header[labels:], f"{path}: frequencies", decimal)
    ears: dict[str, Audiogram] = {}
    for row in rows[1:]:
        ear = _EARS.get(row[0].lower())
        if ear is None:
            what = f"row '{reprlib.repr(row[0])[1:-1]}' names no ear; begin it with left or right"
            raise ConfigError(str(path), what)
        key = f"{path}: {ear}"
        if ear in ears:
            raise ConfigError(key, "comes twice; give one row for each ear")
        ears[ear] = Audiogram(
            _cells(row[1:], key, decimal),
            frequencies,
            levels_key=key,
            frequencies_key=f"{path}: frequencies",
        )
    return _two_ears(ears, path)


def _two_ears(ears: dict[str, Audiogram], path: Path) -> Listener:
    """Take left and right, or both from one row."""
    if ears.keys() == {"both"}:
        return Listener.both(ears["both"], path.stem)
    if ears.keys() == {"left", "right"}:
        return Listener(ears["left"], ears["right"], path.stem)
    what = f"has {' and '.join(ears)}; give a row 'left' and a row 'right', or one row 'both'"
    raise ConfigError(str(path), what)


def _cells(cells: list[str], key: str, decimal: str) -> list[float]:
    """Read a row of numbers; a unit after a frequency is taken, as in ``250 Hz``."""
    numbers = []
    for index, cell in enumerate(cells):
        if not _is_number(cell, decimal):
            found = reprlib.repr(cell) if cell else "an empty cell"
            raise ConfigError(f"{key}[{index}]", f"must be a number, got {found}")
        numbers.append(float(_plain(cell, decimal)))
    return numbers


def _plain(cell: str, decimal: str) -> str:
    """Write a cell as Python writes numbers."""
    return cell.lower().removesuffix("hz").replace(decimal, ".")


def _is_number(cell: str, decimal: str) -> bool:
    """Tell whether a cell holds a number."""
    try:
        float(_plain(cell, decimal))
    except ValueError:
        return False
    return True
