# SPDX-License-Identifier: MIT
"""``rtcore plc``: the packet-loss concealment challenges from end to end."""

from __future__ import annotations

import click

from rtcore.cli.root import LazyGroup

#: Name to where the command lies and the line that ``rtcore plc --help`` shows.
COMMANDS: dict[str, tuple[str, str]] = {
    "make": ("rtcore.cli.plc_make:make", "Make a set from clean speech and traces of loss."),
    "conceal": ("rtcore.cli.plc_conceal:conceal", "Conceal a set's losses with a plugin or chain."),
    "evaluate": ("rtcore.cli.plc_scores:evaluate", "Score concealed clips: PLCMOS, PESQ, .."),
    "compare": ("rtcore.cli.plc_compare:compare", "Compare concealed sets, and listen to them."),
}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
def plc() -> None:
    """Make, conceal and score sets of the PLC challenges (2022 and 2024)."""
