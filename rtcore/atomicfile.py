# SPDX-License-Identifier: MIT
"""Files of results: written as a whole or not at all, and refused before minutes of work."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rtcore.errors import RtcoreError


def write_whole(path: Path, text: str, what: str) -> None:
    """Write a text; a file that is there already is replaced at once or not at all.

    Parameters
    ----------
    path : Path
        A file, or a device such as ``/dev/stdout``, which is written to as it is.
    text : str
        All of it.
    what : str
        What it holds, for the error: "the report".

    Raises
    ------
    RtcoreError
        If it cannot be written.
    """
    with _saying(path, what):
        if _is_special(path):
            path.write_text(text, "utf-8", newline="\n")
        else:
            _write_by_rename(path, text)


def check_place(path: Path, what: str) -> None:
    """Refuse a place where :func:`write_whole` could write nothing.

    Raises
    ------
    RtcoreError
        If no file can be made there.
    """
    with _saying(path, what):
        with suppress(FileNotFoundError):
            path.stat()  # refuses names that no file may have
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not _is_special(path):
            handle, name = _draft(path)
            os.close(handle)
            Path(name).unlink()


def _is_special(path: Path) -> bool:
    """Tell of pipes and devices, which a rename would put a plain file in place of."""
    return path.exists() and not path.is_file()


@contextmanager
def _saying(path: Path, what: str) -> Iterator[None]:
    """Say of what goes wrong which file it happened to."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or error
        sentence = f"{path}: {what} cannot be written ({reason}); choose another place for it"
        raise RtcoreError(sentence) from error


def _draft(path: Path) -> tuple[int, str]:
    return tempfile.mkstemp(dir=path.parent, prefix=".rtcore-", suffix=".tmp")


def _write_by_rename(path: Path, text: str) -> None:
    handle, name = _draft(path)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # as any other file: others may read it
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
