# SPDX-License-Identifier: MIT
"""``rtcore cadenza package``: the folder that is handed in, checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.cadenza_set import PATH, set_options
from rtcore.cli.output import json_option, print_json, progress

if TYPE_CHECKING:
    from rtcore.challenges.cadenza.package import Checked

_SHOWN = 20


@click.command()
@click.argument("root", type=PATH, metavar="ROOT")
@click.argument("folder", type=PATH, metavar="OUT")
@click.argument("target", type=PATH, metavar="[PACKAGE]", required=False)
@set_options("listeners", "at_mic")
@json_option
def package(
    root: Path, folder: Path, target: Path | None, where: dict[str, Any], as_json: bool
) -> None:
    r"""Check the answers in OUT, and copy them to PACKAGE where that is named and all are good.

    There must be a file for each scene and listener and no others: 32 kHz, 16 bits, stereo, FLAC,
    as long as the music. Clipped samples are listed for each file; they break no rule.

    \b
    rtcore cadenza package cadenza_data/ out/
    rtcore cadenza package cadenza_data/ out/ E042/
    """
    from rtcore.challenges.cadenza.evaluate import answers_folder
    from rtcore.challenges.cadenza.layout import find_set
    from rtcore.challenges.cadenza.package import Checked, check_folder, copy_answers

    found = find_set(root, where.pop("split"), **where)
    pairs, checked = found.pairs(), Checked()
    with progress("checking", len(pairs), "files") as advance:
        answers, alone = answers_folder(folder), target is None
        for checked in check_folder(found, pairs, answers, as_it_is=alone):  # noqa: B007
            advance(1)
    bad = bool(checked.problems or checked.extra)
    if target is not None and not bad:
        copy_answers(checked, target)
    if as_json:
        print_json({
            "good": len(checked.good),
            "problems": checked.problems,
            "extra": checked.extra,
            "clipped": checked.clipped,
            "package": None if bad else target,
        })  # fmt: skip
    else:
        _tell(checked, folder, None if bad else target)
    click.get_current_context().exit(1 if bad else 0)


def _tell(checked: Checked, folder: Path, target: Path | None) -> None:
    """Print what was found."""
    for sentence in list(checked.problems.values())[:_SHOWN]:
        click.echo(f"error: {sentence}", err=True)
    for name in checked.extra[:_SHOWN]:
        what = "is asked for by no scene and listener; take it out of the folder"
        click.echo(f"error: {folder / name}: {what}", err=True)
    hidden = max(0, len(checked.problems) - _SHOWN) + max(0, len(checked.extra) - _SHOWN)
    if hidden:
        click.echo(f"error: {hidden} more files are wrong; --json lists all of them", err=True)
    for name, count in checked.clipped.items():
        click.echo(f"{name}: {count} samples at full scale")
    counts = f"{len(checked.good)} good, {len(checked.problems)} missing or wrong, "
    click.echo(f"{folder}: {counts}{len(checked.extra)} not asked for")
    if target is not None:
        click.echo(f"{target}: {len(checked.good)} files, ready to be handed in")
