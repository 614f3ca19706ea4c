# SPDX-License-Identifier: MIT
"""``rtcore bench``: what the shipped chains cost on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rtcore.cli.numbers import Number
from rtcore.cli.output import as_json, print_json, print_table, progress
from rtcore.errors import CheckFailed

_WHAT = "the file of figures"


@click.command(short_help="Measure what the shipped chains cost on this machine.")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--list", "as_list", is_flag=True, help="Name the rows and leave.")
@click.option(
    "--seconds",
    type=Number(0.1, 86400),
    default=10.0,
    show_default=True,
    help="How long each row plays.",
)
@click.option(
    "--block",
    "blocks",
    type=click.IntRange(1, 8192),
    multiple=True,
    help="Frames of a block; give several for a row each.  [default: 64]",
)
@click.option(
    "--rate",
    type=click.IntRange(1000, 384000),
    help="Sample rate in Hz; the chain's own, or 48000.",
)
@click.option(
    "--channels",
    type=click.IntRange(1, 64),
    help="Of the sound; the chain's own, or 2.",
)
@click.option("--hog", "hogged", is_flag=True, help="Again, beside a busy Python thread.")
@click.option("--lookahead", is_flag=True, help="Measure the look-ahead too (half a minute a row).")
@click.option(
    "--json",
    "file",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Write everything, and the machine's data, as JSON; - for standard output.",
)
def bench(
    names: tuple[str, ...],
    as_list: bool,
    blocks: tuple[int, ...],
    file: Path | None,
    **options: Any,
) -> None:
    r"""Measure what the shipped chains cost on this machine, paced like audio.

    Every block is timed on the engine's native thread; declared latency is compared with what is
    measured, and where they differ the exit code is 1. NAME chooses rows.

    \b
    rtcore bench
    rtcore bench hearing_aid --block 32 --block 64 --block 128 --hog
    rtcore bench --seconds 60 --json machine.json
    """
    from rtcore.atomicfile import check_place
    from rtcore.latency.timing import suite

    if as_list:
        print_table(("name", "plays"), suite.rows().items())
        return
    chosen = suite.chosen(names)
    if file is not None and str(file) != "-":
        check_place(file, _WHAT)
    found = _measure(chosen, blocks or (64,), options)
    _write(file, found)
    if str(file) != "-":
        table = [suite.cells(row) for row in found]
        print_table(list(table[0]), [list(cells.values()) for cells in table])
    wrong = suite.disagreements(found)
    if wrong:
        what = f"declared and measured differ: {'; '.join(wrong)}"
        raise CheckFailed(f"{what}; mend what prepare() declares")


def _measure(
    names: list[str], blocks: tuple[int, ...], options: dict[str, Any]
) -> list[dict[str, Any]]:
    """Measure row after row."""
    from rtcore.latency.timing.suite import measure_row

    rate = options.pop("rate")
    each_ms = 1e3 * options["seconds"] * (2 if options["hogged"] else 1)
    with progress("measuring", round(each_ms * len(names) * len(blocks))) as advance:
        options["progress"] = lambda seconds: advance(round(1e3 * seconds))
        return [
            measure_row(name, block_samples=block, sample_rate=rate, **options)
            for name in names
            for block in blocks
        ]


def _write(file: Path | None, found: list[dict[str, Any]]) -> None:
    """Write the figures with what they hold for."""
    from rtcore.atomicfile import write_whole
    from rtcore.machine import machine

    if file is None:
        return
    figures = {"machine": machine(), "rows": found}
    if str(file) == "-":
        print_json(figures)
    else:
        write_whole(file, as_json(figures) + "\n", _WHAT)
