# SPDX-License-Identifier: MIT
"""``rtcore clarity``: the Clarity Enhancement Challenges from end to end."""

from __future__ import annotations

import click

from rtcore.cli.root import LazyGroup

#: Name to where the command lies and the line that ``rtcore clarity --help`` shows.
COMMANDS: dict[str, tuple[str, str]] = {
    "make-mini": ("rtcore.cli.clarity_make:make_mini", "Make a little set, to try everything."),
    "build": ("rtcore.cli.clarity_make:build", "Draw scenes as the official builder does."),
    "render": ("rtcore.cli.clarity_make:render", "Render scenes with the official renderer."),
    "enhance": ("rtcore.cli.clarity_enhance:enhance", "Play scenes through a hearing aid."),
    "evaluate": ("rtcore.cli.clarity_scores:evaluate", "Score with the official HASPI."),
    "package": ("rtcore.cli.clarity_package:package", "Make and check what is handed in."),
}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
def clarity() -> None:
    """Make, enhance, score and hand in sets of the Clarity Enhancement Challenges."""
