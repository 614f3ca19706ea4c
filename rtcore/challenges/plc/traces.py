# SPDX-License-Identifier: MIT
"""Trace files: which packets of 20 ms were lost, one ``0`` or ``1`` a line.

A trace is an array of bool, True for a lost packet, as everywhere in this package.
"""

from __future__ import annotations

import codecs
import os
import reprlib
from pathlib import Path

import numpy as np

from rtcore.errors import ConfigError

__all__ = [
    "PACKETS_PER_SECOND",
    "TRACE_SUFFIX",
    "packet_frames",
    "read_trace",
    "trace_text",
    "write_text",
    "write_trace",
]

PACKETS_PER_SECOND = 50
#: Of the trace that lies beside ``54.wav``: ``54_is_lost.txt``.
TRACE_SUFFIX = "_is_lost.txt"
#: A day of packets with all that an editor may put around them; what is longer is no trace.
_MAX_BYTES = 16 * 2**20
_REMEDY = "write one 0 (received) or 1 (lost) a line, a line for each packet of 20 ms"


def packet_frames(sample_rate: int, where: str = "") -> int:
    """Give the length of a packet of 20 ms in frames.

    Parameters
    ----------
    sample_rate : int
        In Hz, a multiple of 50.
    where : str
        What an error begins with.

    Raises
    ------
    ConfigError
        Where a packet would be no whole number of frames.
    """
    if sample_rate % PACKETS_PER_SECOND or sample_rate <= 0:
        what = f"has {sample_rate} Hz, at which 20 ms are no whole number of samples"
        raise ConfigError(where, f"{what}; resample it to 16000 or 48000 Hz")
    return sample_rate // PACKETS_PER_SECOND


def read_trace(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a trace file.

    Line ends of any system are taken, with or without one at the end, blank lines at the end and
    a byte order mark too; nothing else is guessed.

    Parameters
    ----------
    path : path-like
        Such as ``54_is_lost.txt``.

    Returns
    -------
    numpy.ndarray of bool, shape (packets,)
        True where a packet was lost.

    Raises
    ------
    ConfigError
        Where there is no such file, or a line is neither ``0`` nor ``1``, naming file and line.
    """
    file = Path(path)
    lines = _decoded(file).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    words = [line.strip(" \t") for line in lines]
    while words and not words[-1]:
        words.pop()
    if not words:
        raise ConfigError(str(file), f"holds no packets; {_REMEDY}")
    for number, word in enumerate(words, start=1):
        if word not in ("0", "1"):
            found = reprlib.repr(word) if word else "an empty line"
            raise ConfigError(f"{file}, line {number}", f"got {found}; {_REMEDY}")
    return np.array([word == "1" for word in words])


def trace_text(lost: np.ndarray) -> str:
    """Write a trace as the challenge does: CRLF after each digit."""
    return "".join("1\r\n" if entry else "0\r\n" for entry in lost)


def write_trace(path: str | os.PathLike[str], lost: np.ndarray) -> None:
    """Write a trace file as the challenge's are, which is whole or not there.

    Parameters
    ----------
    path : path-like
        The file.
    lost : array of bool, shape (packets,)
        True where a packet was lost.
    """
    write_text(Path(path), trace_text(lost))


def write_text(path: Path, text: str) -> None:
    """Write a small file under a temporary name and rename it; line ends stay as they are."""
    part = path.with_name(f".rtcore-{path.name}.part")
    try:
        part.write_bytes(text.encode("utf-8"))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _decoded(file: Path) -> str:
    """Read a text of bounded length, in UTF-8 or with the mark of UTF-16."""
    try:
        if file.exists() and not file.is_file() and not file.is_dir():
            what = "is not a regular file; copy the trace into one first"
            raise ConfigError(str(file), what)
        with file.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        what = "there is no such trace; each sound needs one beside it"
        raise ConfigError(str(file), f"{what}, named like 54{TRACE_SUFFIX}") from None
    except OSError as error:
        what = f"the trace cannot be read ({error.strerror}); check its name and its rights"
        raise ConfigError(str(file), what) from error
    if len(data) > _MAX_BYTES:
        raise ConfigError(str(file), f"is far too long for a trace; {_REMEDY}")
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(str(file), f"byte {error.start + 1} is no text; {_REMEDY}") from None
