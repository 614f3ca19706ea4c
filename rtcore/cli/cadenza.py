# SPDX-License-Identifier: MIT
"""``rtcore cadenza``: the Cadenza ICASSP 2024 Grand Challenge from end to end."""

from __future__ import annotations

import click

from rtcore.cli.root import LazyGroup

#: Name to where the command lies and the line that ``rtcore cadenza --help`` shows.
COMMANDS: dict[str, tuple[str, str]] = {
    "make-mini": ("rtcore.cli.cadenza_make:make_mini", "Make a little set, to try everything."),
    "scenes": ("rtcore.cli.cadenza_make:scenes", "Draw scenes and who hears them."),
    "at-mic": ("rtcore.cli.cadenza_make:at_mic", "Bring the music to the microphones."),
    "enhance": ("rtcore.cli.cadenza_enhance:enhance", "Remix and amplify for each listener."),
    "evaluate": ("rtcore.cli.cadenza_scores:evaluate", "Score with the official HAAQI."),
    "merge": ("rtcore.cli.cadenza_scores:merge", "Join the scores of several batches."),
    "package": ("rtcore.cli.cadenza_package:package", "Make and check what is handed in."),
}


@click.group(cls=LazyGroup, commands_at=COMMANDS)
def cadenza() -> None:
    """Make, enhance, score and hand in sets of the Cadenza ICASSP 2024 Challenge."""
