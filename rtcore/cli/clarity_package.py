# SPDX-License-Identifier: MIT
"""``rtcore clarity package``: the folder that is handed in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtcore.cli.clarity_set import PATH, Where, set_options
from rtcore.cli.output import json_option, print_json, progress

if TYPE_CHECKING:
    from rtcore.challenges.clarity.package import Checked

_SHOWN = 20


@click.command()
@click.argument("source", type=PATH, metavar="SET")
@click.argument("target", type=PATH, metavar="OUT")
@click.argument("submission", type=PATH, required=False, metavar="[TEAM]")
@click.option("--check", "only_check", is_flag=True, help="Check the folder OUT, and make nothing.")
@click.option("--archive", "kind", type=click.Choice(["zip", "tar", "none"]), default="none",
              show_default=True, help="Pack a good one into TEAM.zip or TEAM.tar.")  # fmt: skip
@set_options
@json_option
def package(
    source: Path, target: Path, submission: Path | None, where: Where, as_json: bool,
    only_check: bool, kind: str,
) -> None:  # fmt: skip
    r"""Make the folder TEAM from OUT/enhanced_signals, and check it.

    One WAV file for each pair of SET, of 16 bits, 32 kHz and two channels, and no others. Outputs
    of another rate are resampled (1 ms of look-ahead). Clipped samples are listed. Leaves with 1
    where the folder would be refused.

    \b
    rtcore clarity package clarity_data/ out/ E001/ --split eval --archive zip
    rtcore clarity package clarity_data/ E001/ --check
    """
    from rtcore.challenges.clarity import package as work

    if only_check == (submission is not None):
        what = "name the folder to be made: SET OUT TEAM; or the one to be checked: SET TEAM"
        raise click.UsageError(f"{what} --check")
    found, pairs = where.find(source)
    counts: dict[str, int] = {}
    faults: list[str] = []
    folder = target
    if submission is not None:
        folder = submission
        with progress("packing", len(pairs), "files") as advance:
            counts, faults = work.make_submission(
                pairs, target / found.edition.folder, folder, on_file=advance
            )
    with progress("checking", len(pairs), "files") as advance:
        checked = work.check_folder(found, pairs, folder, on_file=advance)
    checked.faults[:0] = faults
    packed = None
    if checked.faults and submission is not None:
        work.take_away(folder)
    if kind != "none" and not checked.faults:
        packed = work.archive(folder.resolve(), kind)
    if as_json:
        print_json({**checked.as_dict(), **counts, "archive": packed})
    else:
        _tell(checked, len(pairs), counts, packed)
        if checked.faults and submission is not None:
            click.echo(f"{folder} was taken away again: it would be refused")
    click.get_current_context().exit(1 if checked.faults else 0)


def _tell(checked: Checked, wanted: int, counts: dict[str, int], packed: Path | None) -> None:
    for fault in checked.faults[:_SHOWN]:
        click.echo(f"error: {fault}", err=True)
    if len(checked.faults) > _SHOWN:
        more = f"{len(checked.faults) - _SHOWN} more faults"
        click.echo(f"error: {more}; --json lists all of them", err=True)
    if counts:
        told = {word: count for word, count in counts.items() if count or word != "failed"}
        click.echo(", ".join(f"{count} {word}" for word, count in told.items()))
    click.echo(f"{checked.folder}: {checked.files} of {wanted} outputs are good")
    if checked.clipped:
        click.echo(f"clipped in {len(checked.clipped)} files:")
        for name, samples in sorted(checked.clipped.items(), key=lambda e: -e[1])[:_SHOWN]:
            click.echo(f"  {name}: {samples} samples at full scale")
    if packed is not None:
        click.echo(f"packed: {packed}")
