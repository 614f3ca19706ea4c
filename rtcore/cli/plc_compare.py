# SPDX-License-Identifier: MIT
"""``rtcore plc compare``: one table for several systems, and a page to listen to them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.output import json_option, print_json, print_table, warn
from rtcore.cli.plc_scores import mean_cell, measure_names, score_all, shared_options, tell_how
from rtcore.errors import ConfigError, RtcoreError

if TYPE_CHECKING:
    from rtcore.challenges.plc.compare import Comparison
    from rtcore.challenges.plc.listening.excerpts import Excerpt
    from rtcore.challenges.plc.pairing import HeardSet

_PATH = click.Path(path_type=Path)
_MEGABYTE = 1e6


@click.command()
@click.argument("folders", type=_PATH, nargs=-1, required=True, metavar="A B ..")
@shared_options
@click.option("--to", "target", type=_PATH, metavar="FOLDER",
              help="For the scores.  [default: scores/ in each folder]")  # fmt: skip
@click.option("--out", type=_PATH, metavar="PAGE.html", help="Write a page to listen to.")
@click.option("--clips", type=click.IntRange(0, 1000), default=6, show_default=True, help="On it.")
@click.option("--names", metavar="A,B,..", help="These clips and no others, without .wav.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=10, show_default=True,
              help="Of each clip, where most was lost.")  # fmt: skip
@click.option("--audio", type=click.Choice(["flac", "ogg", "wav"]), default="flac",
              show_default=True, help="Format within the page.")  # fmt: skip
@click.option("--megabytes", type=click.FloatRange(0.1, 1000), default=30, show_default=True,
              help="Of the page; it gets fewer clips otherwise.")  # fmt: skip
@json_option
def compare(folders: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    r"""Compare folders of concealed clips on the clips that all of them have.

    Scores each folder as `rtcore plc evaluate` does, and as resumably, into its scores/. The
    differences are taken clip by clip, with paired bootstrap intervals. The page holds tables, a
    chart, and clips with spectrograms side by side.

    \b
    rtcore plc compare out-repeat out-pitch --reference set/clean_signals --out page.html
    rtcore plc compare a b c --trace set/ --measures plcmos --clips 10 --out page.html
    """
    from rtcore.challenges.plc.compare import compare as run
    from rtcore.challenges.plc.compare import system_names
    from rtcore.challenges.plc.pairing import find_heard
    from rtcore.challenges.plc.scores import choose, how

    if len(folders) < 2:
        raise click.UsageError("name two folders or more; `rtcore plc evaluate` scores one")
    _check_page(options["out"])
    systems = system_names(folders)
    found = {
        system: find_heard(folder, options["reference"], options["trace"])
        for system, folder in zip(systems, folders, strict=True)
    }
    compares = all(one.compares for one in found.values())
    measures = choose(measure_names(options["measures"]), compares=compares)
    tallies = {
        system: score_all(one, _target(options["target"], system, one), measures, options)
        for system, one in found.items()
    }
    for tally in tallies.values():
        tally.tell_failures()
    comparison = run({s: tally.scores for s, tally in tallies.items()}, seed=options["seed"])
    rates = [score.sample_rate for scores in comparison.scores.values() for score in scores]
    lines = how(measures, rates)
    left_out = _left_out(comparison)
    if options["out"] is not None:
        _write(options, comparison, found, lines, left_out)
    if as_json:
        counts = {system: tally.as_dict() for system, tally in tallies.items()}
        print_json({**_as_dict(comparison), "scored_with": lines, "folders": counts,
                    "page": options["out"]})  # fmt: skip
    else:
        _tell(comparison, lines, options["out"])
    click.get_current_context().exit(max(tally.exit_code for tally in tallies.values()))


def _target(asked: Path | None, system: str, found: HeardSet) -> Path:
    """Give the folder of a system's scores."""
    return found.folder / "scores" if asked is None else asked / system


def _check_page(path: Path | None) -> None:
    """Refuse a page that could not be written, before minutes of work."""
    if path is None:
        return
    if path.is_dir():
        raise ConfigError("--out", f"{path} is a folder; name a file such as {path / 'page.html'}")
    if not path.parent.is_dir():
        what = f"there is no folder {path.parent} for the page; make it or name another place"
        raise ConfigError("--out", what)


def _left_out(comparison: Comparison) -> list[str]:
    """Say which clips are not compared; give what was said."""
    said = []
    for system, names in comparison.left_out.items():
        if names:
            what = f"{system}: {len(names)} clips are left out ({', '.join(names[:3])})"
            sentence = f"{what}: another system has no score for them"
            warn(sentence)
            said.append(sentence)
    if comparison.unlike:
        names = comparison.unlike
        what = f"{len(names)} clips are left out ({', '.join(names[:3])}): they have other lengths"
        sentence = f"{what} in one system than in another, so they are not the same clips"
        warn(sentence)
        said.append(sentence)
    return said


def _write(
    options: dict[str, Any],
    comparison: Comparison,
    found: dict[str, HeardSet],
    lines: dict[str, str],
    remarks: list[str],
) -> None:
    """Write the page."""
    from rtcore.challenges.plc.listening.excerpts import choose_clips
    from rtcore.challenges.plc.listening.page import render_page, write_page

    chosen = choose_clips(comparison, options["clips"], measure_names(options["names"]))
    excerpts, left = _excerpts(options, chosen, found)
    if left:
        sentence = f"the page has {len(excerpts)} of {len(chosen)} clips: it would grow over "
        sentence += f"{options['megabytes']:g} MB; shorten them with --seconds, or raise it"
        warn(sentence)
        remarks = [*remarks, sentence]
    command = shlex.join(["rtcore", *sys.argv[1:]])
    text = render_page(comparison, excerpts, lines, remarks=remarks, command=command)
    write_page(options["out"], text)


def _excerpts(
    options: dict[str, Any], chosen: Sequence[str], found: dict[str, HeardSet]
) -> tuple[list[Excerpt], list[str]]:
    """Cut clips until the page is full; give also the names of those that found no room."""
    from rtcore.challenges.plc.listening.excerpts import excerpt

    by_name = {system: {one.name: one for one in set_.sounds} for system, set_ in found.items()}
    excerpts: list[Excerpt] = []
    for k, name in enumerate(chosen):
        heard = {system: sounds[name] for system, sounds in by_name.items()}
        try:
            one = excerpt(heard, options["seconds"], options["audio"])
        except RtcoreError as error:
            warn(f"{error}; the page does without it")
            continue
        total = sum(other.bytes for other in excerpts) + one.bytes
        if total > options["megabytes"] * _MEGABYTE:
            return excerpts, list(chosen[k:])
        excerpts.append(one)
    return excerpts, []


def _as_dict(comparison: Comparison) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "systems": comparison.systems,
        "clips": comparison.clips,
        "means": {
            system: {key: None if one is None else asdict(one) for key, one in means.items()}
            for system, means in comparison.means.items()
        },
        "differences": [{**asdict(one), "verdict": one.verdict} for one in comparison.differences],
        "left_out": comparison.left_out,
        "unlike": comparison.unlike,
    }


def _tell(comparison: Comparison, lines: dict[str, str], page: Path | None) -> None:
    """Print the table of means, and what each system scores more than the first."""
    from rtcore.challenges.plc.score_files import COLUMNS

    labels = {
        key: f"{COLUMNS[key].label} {COLUMNS[key].unit}".strip() for key in comparison.columns
    }
    digits = {key: COLUMNS[key].digits for key in comparison.columns}
    rows = [
        [
            labels[key],
            *(mean_cell(comparison.means[s][key], digits[key]) for s in comparison.systems),
        ]
        for key in comparison.columns
    ]
    title = f"{len(comparison.clips)} clips: means [95 % bootstrap interval over clips]"
    print_table(["", *comparison.systems], rows, title)
    first, others = comparison.systems[0], comparison.systems[1:]
    rows = []
    for key in comparison.columns:
        cells = [labels[key]]
        for system in others:
            found = comparison.difference(system, first, key)
            verdict = "" if found is None or found.verdict == "open" else f" {found.verdict}"
            cells.append(mean_cell(found.mean if found else None, digits[key]) + verdict)
        rows.append(cells)
    print_table(["", *others], rows, f"more than {first}, clip by clip [95 % paired bootstrap]")
    tell_how(lines)
    if page is not None:
        click.echo(f"page: {page}")
