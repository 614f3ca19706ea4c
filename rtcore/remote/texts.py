# SPDX-License-Identifier: MIT
"""Texts that come over the network and name files of the server.

Chains name files: audiograms, impulse responses, model bundles.  To open a pipe would wait for
ever, and to read a device would fill the memory, so texts that name such things are refused before
any plugin sees them.
"""

from __future__ import annotations

import os
import reprlib
import stat
from pathlib import Path
from typing import Any

from rtcore.errors import RemoteError

_LARGEST_BYTES = 1 << 30
_SYSTEM = ("/dev", "/proc", "/sys")


def check_texts(value: Any, where: str) -> None:
    """Refuse a value in which a text names a file that cannot be read to its end.

    Parameters
    ----------
    value : object
        Whatever JSON can hold.
    where : str
        What the message begins with.

    Raises
    ------
    RemoteError
        Naming the text.
    """
    if isinstance(value, str):
        _check(value, where)
    elif isinstance(value, dict):
        for key, entry in value.items():
            check_texts(entry, f"{where}.{key}")
    elif isinstance(value, list):
        for k, entry in enumerate(value):
            check_texts(entry, f"{where}[{k}]")


def _check(text: str, where: str) -> None:
    try:
        found = Path(text).stat()
        real = os.path.realpath(text)
    except (OSError, ValueError):  # it names nothing here
        return
    ordinary = stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)
    system = any(real == folder or real.startswith(f"{folder}/") for folder in _SYSTEM)
    if not ordinary or system or found.st_size > _LARGEST_BYTES:
        msg = (
            f"{where[:80]}: {reprlib.repr(text)} is no ordinary file of at most 1 GiB on the "
            "server; name another"
        )
        raise RemoteError(msg)
