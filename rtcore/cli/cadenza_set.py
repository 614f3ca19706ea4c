# SPDX-License-Identifier: MIT
"""Options that say where a Cadenza set's files lie, for all commands of the challenge."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = ["PATH", "set_options"]

PATH = click.Path(path_type=Path)
_HELP = {
    "listeners": "The listeners' file.  [default: metadata/listeners.SPLIT.json]",
    "at_mic": "Music at the microphones.  [default: audio/at_mic_music]",
    "music": "Music as it was recorded.  [default: audio/music]",
    "hrtf": "Impulse responses.  [default: audio/hrtf]",
}


def set_options(*fields: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--split`` and some places, and hand all to a command as its argument ``where``.

    Parameters
    ----------
    *fields : str
        Of ``listeners``, ``at_mic``, ``music`` and ``hrtf``.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(*args: Any, **given: Any) -> Any:
            where = {name: given.pop(name) for name in ("split", *fields)}
            return function(*args, where=where, **given)

        for name in reversed(fields):
            flag = f"--{name.replace('_', '-')}"
            command = click.option(flag, name, type=PATH, metavar="PATH", help=_HELP[name])(command)
        text = "train, valid, ...; the only one there is by default."
        return click.option("--split", metavar="NAME", help=text)(command)

    return decorate
