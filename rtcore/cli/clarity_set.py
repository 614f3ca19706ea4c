# SPDX-License-Identifier: MIT
"""Options that say where a Clarity set's files lie, for all commands of the challenge."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rtcore.challenges.clarity.layout import ClaritySet
    from rtcore.challenges.people import Pair

__all__ = ["PATH", "Where", "set_options"]

PATH = click.Path(path_type=Path)
_OWN = ("split", "scenes_at", "listeners", "heard", "names")


class Where:
    """What the options say.

    Parameters
    ----------
    **given
        The options' values.
    """

    def __init__(self, **given: Any) -> None:
        self._given = given

    def find(self, source: Path) -> tuple[ClaritySet, list[Pair]]:
        """Find the set, and the pairs that were asked for."""
        from rtcore.challenges.clarity.layout import find_set

        given = self._given
        found = find_set(
            source,
            split=given["split"],
            scenes=given["scenes_at"],
            listeners=given["listeners"],
            heard=given["heard"],
        )
        return found, found.chosen(given["names"])


def set_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options, and hand them to a command as its argument ``where``."""
    options = (
        click.option("--split", metavar="NAME",
                     help="train, dev or eval; the only one there is by default."),
        click.option("--scene", "names", multiple=True, metavar="ID",
                     help="Only this scene; several are possible."),
        click.option("--scenes", "scenes_at", type=PATH, metavar="FOLDER",
                     help="The scenes' sounds.  [default: SPLIT/scenes in SET]"),
        click.option("--listeners", type=PATH, metavar="FILE",
                     help="Their audiograms.  [default: metadata/listeners.json in SET]"),
        click.option("--scenes-listeners", "heard", type=PATH, metavar="FILE",
                     help="Who hears what.  [default: metadata/scenes_listeners.SPLIT.json]"),
    )  # fmt: skip

    @functools.wraps(function)
    def command(*args: Any, **given: Any) -> Any:
        own = {name: given.pop(name) for name in _OWN}
        return function(*args, where=Where(**own), **given)

    for option in reversed(options):
        command = option(command)
    return command
