# SPDX-License-Identifier: MIT
"""Two ears of one person, and every way in which a user may name them."""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from rtcore.errors import ConfigError, did_you_mean
from rtcore.hearing.audiogram import CLARITY_FREQUENCIES_HZ, Audiogram
from rtcore.hearing.bisgaard import is_standard_name, standard_audiogram

_FILE_SUFFIXES: Final = (".csv", ".tsv", ".txt", ".json")
_TABLE_KEYS: Final = ("left", "right", "frequencies", "name")
_FORMS: Final = (
    "a listener's id, a standard audiogram such as 'N3', a CSV or JSON file, "
    "or a table {left = [..], right = [..], frequencies = [..]}"
)


@dataclass(frozen=True, slots=True)
class Listener:
    """A person whose hearing was measured.

    Attributes
    ----------
    left, right : Audiogram
        Thresholds of the two ears; channel 0 is the left ear, channel 1 the right one.
    name : str
        What a table shows, such as ``L0064`` or ``N3``.
    id : str
        Key in the listeners file that it came from, else empty.
    """

    left: Audiogram
    right: Audiogram
    name: str = ""
    id: str = ""

    @property
    def ears(self) -> tuple[Audiogram, Audiogram]:
        """The left and the right audiogram."""
        return self.left, self.right

    @classmethod
    def both(cls, audiogram: Audiogram, name: str = "") -> Listener:
        """Give both ears the same audiogram."""
        return cls(audiogram, audiogram, name)

    @classmethod
    def standard(cls, name: str, *, where: str = "audiogram") -> Listener:
        """Give both ears one of the standard audiograms, N1 to N7 or S1 to S3."""
        return cls.both(standard_audiogram(name, where=where), name.strip().upper())

    @classmethod
    def from_levels(
        cls,
        left: str | Iterable[float] | None,
        right: str | Iterable[float] | None,
        frequencies: str | Iterable[float] | None = None,
        *,
        name: str = "",
        keys: tuple[str, str, str] = ("--left", "--right", "--frequencies"),
    ) -> Listener:
        """Make a listener from lists of numbers, or from texts such as ``"40,30,20"``.

        Parameters
        ----------
        left, right : str or iterable of float
            Thresholds in dB HL; in a text, commas, semicolons or blanks part the numbers.
        frequencies : str or iterable of float, optional
            Hz, ascending; Clarity's eight from 250 to 8000 when absent.
        name : str, optional
            What a table shows.
        keys : tuple of three str, optional
            What error messages call the three lists.

        Raises
        ------
        ConfigError
            When an ear is missing or a list is not a proper audiogram.
        """
        axis = CLARITY_FREQUENCIES_HZ if frequencies is None else _numbers(frequencies, keys[2])
        ears = [
            Audiogram(_numbers(ear, key), axis, levels_key=key, frequencies_key=keys[2])
            for ear, key in ((left, keys[0]), (right, keys[1]))
        ]
        return cls(ears[0], ears[1], name)

    @classmethod
    def from_table(cls, table: Mapping[str, object], *, where: str = "audiogram") -> Listener:
        """Make a listener from ``{left = [..], right = [..], frequencies = [..]}``.

        ``frequencies`` and ``name`` may be left out.

        Raises
        ------
        ConfigError
            When a key is unknown or missing, or a list is not a proper audiogram.
        """
        for key in table:
            if key not in _TABLE_KEYS:
                hint = did_you_mean(str(key), _TABLE_KEYS)
                what = f"is an unknown key{hint}; there are {', '.join(_TABLE_KEYS)}"
                raise ConfigError(f"{where}.{key}", what)
        name = table.get("name", "")
        if not isinstance(name, str):
            raise ConfigError(f"{where}.name", f"must be a text, got {reprlib.repr(name)}")
        return cls.from_levels(
            table.get("left"),  # type: ignore[arg-type]  # checked entry by entry
            table.get("right"),  # type: ignore[arg-type]
            table.get("frequencies"),  # type: ignore[arg-type]
            name=name,
            keys=(f"{where}.left", f"{where}.right", f"{where}.frequencies"),
        )


def resolve_listener(
    spec: Listener | Audiogram | Mapping[str, object] | str | os.PathLike[str],
    *,
    listeners: Mapping[str, Listener] | str | os.PathLike[str] | None = None,
    where: str = "audiogram",
    base: str | os.PathLike[str] | None = None,
) -> Listener:
    """Find the listener that a user means.

    Parameters
    ----------
    spec : Listener, Audiogram, mapping, str or path
        A listener; an audiogram for both ears; a standard name (``"N3"``, which wins over an
        id of the same spelling); a path of a CSV or JSON file; an id in `listeners`; or a
        table (see `Listener.from_table`).
    listeners : mapping or path, optional
        Where ids are looked up: a ``listeners.json`` or what `load_listeners` made of it.
    where : str, optional
        What error messages call the place of `spec`, such as ``plugin[0].nalr.audiogram``.
    base : path, optional
        Folder from which relative paths start; the working folder when absent.

    Returns
    -------
    Listener

    Raises
    ------
    ConfigError
        When nothing of the kind exists, or the file does not hold what it should.

    Examples
    --------
    >>> resolve_listener("n3").name
    'N3'
    """
    match spec:
        case Listener():
            return spec
        case Audiogram():
            return Listener.both(spec)
        case Mapping():
            return _from_mapping(spec, where)
        case str():
            return _from_text(spec.strip(), listeners, where, base)
        case os.PathLike():
            return _from_file(spec, base)
    raise ConfigError(where, f"must be {_FORMS}, got {reprlib.repr(spec)}")


def load_listeners(path: str | os.PathLike[str]) -> dict[str, Listener]:
    """Read all listeners of a Clarity or Cadenza ``listeners.json``.

    Parameters
    ----------
    path : path
        A JSON object keyed by listener id, each with ``name``, ``audiogram_cfs``,
        ``audiogram_levels_l`` and ``audiogram_levels_r``. Further keys are ignored.

    Returns
    -------
    dict of str to Listener
        In the order of the file.

    Raises
    ------
    ConfigError
        When the file is missing, is not JSON, names an id twice, or an entry lacks a key or
        holds no proper audiogram.
    """
    return _files().read_listeners_json(Path(path))


def read_listener(path: str | os.PathLike[str]) -> Listener:
    """Read the one listener of a CSV or JSON file.

    A CSV file has a header with the frequencies in Hz and one row per ear (``left`` and
    ``right``, or ``both``)::

        ear,250,500,1000,2000,4000,8000
        left,40,30,20,50,65,75
        right,40,35,30,50,75,80

    or the same turned over, with a column per ear (``frequency,left,right``). Semicolons and
    tabs are taken as well (then a comma is a decimal comma), and so are lines starting with
    ``#``, blank lines and a byte-order mark. A JSON file holds a table as in
    `Listener.from_table`, or Clarity's keys for one listener.

    Raises
    ------
    ConfigError
        When the file cannot be read or holds no proper audiogram.
    """
    return _files().read_listener_file(Path(path))


def _files() -> ModuleType:
    """Import the file formats when a file is named: they cost a tenth of a second."""
    from rtcore.hearing import listener_files

    return listener_files


def _numbers(value: str | Iterable[float] | None, key: str) -> Iterable[float]:
    """Split a text into numbers; anything else is for the audiogram to judge."""
    if value is None:
        what = "is missing; give the levels of both ears (the same twice is fine)"
        raise ConfigError(key, what)
    if not isinstance(value, str):
        return value
    words = [word for word in re.split(r"[,;\s]+", value) if word]
    return [_number(word, f"{key}[{index}]") for index, word in enumerate(words)]


def _number(word: str, key: str) -> float:
    """Read one number of a text."""
    try:
        return float(word)
    except ValueError:
        raise ConfigError(key, f"must be a number, got {reprlib.repr(word)}") from None


def _from_mapping(table: Mapping[str, object], where: str) -> Listener:
    """Read a table in rtcore's own words or in Clarity's."""
    if "audiogram_cfs" in table or "audiogram_levels_l" in table:
        return _files().listener_of_entry(table, where)
    return Listener.from_table(table, where=where)


def _from_file(path: str | os.PathLike[str], base: str | os.PathLike[str] | None) -> Listener:
    """Read a listener's file, relative to the folder that named it."""
    return read_listener(Path(base or "", path))


def _from_text(
    text: str,
    listeners: Mapping[str, Listener] | str | os.PathLike[str] | None,
    where: str,
    base: str | os.PathLike[str] | None,
) -> Listener:
    """Tell names, files and ids apart."""
    if is_standard_name(text):
        return Listener.standard(text)
    if text.lower().endswith(_FILE_SUFFIXES) or "/" in text or os.sep in text:
        return _from_file(text, base)
    if listeners is None:
        what = (
            f"'{text}' is neither a standard audiogram (N1 to N7, S1 to S3) nor a file; "
            "to name a listener by id, give the listeners file as well "
            "(listeners = 'metadata/listeners.json')"
        )
        raise ConfigError(where, what)
    if isinstance(listeners, Mapping):
        return _from_book(text, listeners, where, "the listeners")
    path = Path(base or "", listeners)
    return _from_book(text, load_listeners(path), where, str(path))


def _from_book(id_: str, book: Mapping[str, Listener], where: str, source: str) -> Listener:
    """Look an id up."""
    if id_ in book:
        return book[id_]
    hint = did_you_mean(id_, book)
    what = f"there is no listener '{id_}' in {source}{hint}; it has {len(book)} others"
    raise ConfigError(where, what)
