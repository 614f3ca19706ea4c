# SPDX-License-Identifier: MIT
"""Side inputs as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.output import print_table

if TYPE_CHECKING:
    from rtcore.sides import SideInput

_COLUMNS = ("side input", "numbers", "at first", "rate Hz", "may be late s", "what it is")


def print_sides(sides: Mapping[str, SideInput]) -> None:
    """Print a table of side inputs, where there are any, and an empty line before it."""
    if sides:
        click.echo()
        print_table(_COLUMNS, [_row(name, side) for name, side in sides.items()])


def _row(name: str, side: SideInput) -> tuple[Any, ...]:
    first = side.first()
    shown = f"{first[0]:g}" if (first == first[0]).all() else f"{first[0]:g}, {first[1]:g}, ..."
    late = "any time" if side.lateness_s is None else side.lateness_s
    return (name, side.width, shown, side.rate_hz or "-", late, side.doc)
