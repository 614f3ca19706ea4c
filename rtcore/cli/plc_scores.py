# SPDX-License-Identifier: MIT
"""``rtcore plc evaluate``: scores of concealed clips, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.output import json_option, print_json, print_table, progress, warn

if TYPE_CHECKING:
    from rtcore.batch import Outcome
    from rtcore.challenges.plc.bootstrap import Interval
    from rtcore.challenges.plc.evaluate import ClipScore
    from rtcore.challenges.plc.pairing import HeardSet
    from rtcore.challenges.plc.summary import Group

_PATH = click.Path(path_type=Path)
_SHOWN = 20
_CLIPS_A_PROCESS = 3

#: Options that `evaluate` and `compare` have in common.
_SHARED: tuple[Callable[[Any], Any], ...] = (
    click.option("--reference", type=_PATH, metavar="CLEAN", help="Folder of the clean sounds."),
    click.option("--trace", type=_PATH, metavar="FOLDER", help="The set with the traces, or csv."),
    click.option("--measures", metavar="A,B,..", help="plcmos, dnsmos, pesq, stoi, lsd, si-sdr."),
    click.option("--jobs", type=click.IntRange(1, 1024), help="Processes; all cores by default."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Bootstrap."),
    click.option("--again", is_flag=True, help="Score clips again that were scored already."),
)


def shared_options(function: Any) -> Any:
    """Add the options that scoring commands have in common."""
    for option in reversed(_SHARED):
        function = option(function)
    return function


@click.command()
@click.argument("folder", type=_PATH, metavar="OUT")
@shared_options
@click.option("--to", "target", type=_PATH, metavar="FOLDER", help="[default: OUT/scores]")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many clips.")
@click.option("--cells", type=click.IntRange(1, 1000), default=14, show_default=True,
              help="Loss-rate cells in each stratum.")  # fmt: skip
@click.option("--plot", type=click.Choice(["svg", "png", "none"]), default="svg", show_default=True)
@json_option
def evaluate(folder: Path, as_json: bool, **options: Any) -> None:
    r"""Score the clips of OUT, as `rtcore plc conceal` has written them.

    PLCMOS v2 and DNSMOS need nothing else; with clean sounds also PESQ, STOI, log-spectral
    distance and SI-SDR. With traces there are means for each burst stratum and loss-rate cell.
    Writes scores.csv, summary.csv, scores.json and scores.svg. Clips that were scored before are
    skipped; a bad one is reported and the rest goes on.

    \b
    rtcore plc evaluate out/
    rtcore plc evaluate out/ --reference set/clean_signals --trace set/
    rtcore plc evaluate out/ --measures plcmos --plot png
    """
    from dataclasses import replace

    from rtcore.challenges.plc.pairing import find_heard
    from rtcore.challenges.plc.score_files import write_scores
    from rtcore.challenges.plc.scores import choose, how
    from rtcore.challenges.plc.summary import summarise

    found = find_heard(folder, options["reference"], options["trace"])
    if options["limit"] is not None:
        found = replace(found, sounds=found.sounds[: options["limit"]], missing=())
    measures = choose(measure_names(options["measures"]), compares=found.compares)
    target = options["target"] or folder / "scores"
    tally = score_all(found, target, measures, options)
    scores = tally.scores
    groups = summarise(scores, seed=options["seed"], cells=options["cells"]) if scores else []
    lines = how(measures, [score.sample_rate for score in scores])
    written = write_scores(target, scores, groups, lines, plot=options["plot"])
    tally.tell_failures()
    if as_json:
        print_json({**tally.as_dict(), "scored_with": lines, "files": written,
                    "summary": [group_dict(group) for group in groups]})  # fmt: skip
    else:
        _tell(folder, tally, groups, lines, written)
    click.get_current_context().exit(tally.exit_code)


def measure_names(text: str | None) -> list[str] | None:
    """Read ``plcmos,pesq``."""
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


@dataclass
class Tally:
    """What became of all clips of a folder."""

    folder: Path
    scores: list[ClipScore] = field(default_factory=list)
    done: int = 0
    skipped: int = 0
    failed: list[Outcome] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """What the worst failure calls for; 0 without one."""
        return max((outcome.exit_code for outcome in self.failed), default=0)

    def tell_failures(self) -> None:
        """Print why clips failed."""
        for outcome in self.failed[:_SHOWN]:
            named = outcome.name in outcome.error
            what = outcome.error if named else f"{outcome.name}: {outcome.error}"
            click.echo(f"error: {what}", err=True)
        if len(self.failed) > _SHOWN:
            more = f"{len(self.failed) - _SHOWN} more clips failed"
            click.echo(f"error: {more}; --json lists all of them", err=True)

    def as_dict(self) -> dict[str, Any]:
        """Give the counts, and every failure."""
        failures = [{"name": o.name, "error": o.error} for o in self.failed]
        counts = {"done": self.done, "skipped": self.skipped, "failed": len(self.failed)}
        return {"folder": self.folder, **counts, "failures": failures}


def score_all(
    found: HeardSet, target: Path, measures: Sequence[str], options: dict[str, Any]
) -> Tally:
    """Score all sounds of a folder, with a bar."""
    from rtcore.batch import usable_cores
    from rtcore.challenges.plc.evaluate import evaluate as run
    from rtcore.challenges.plc.evaluate import score_of
    from rtcore.challenges.plc.pairing import made_with

    if found.missing:
        count, first = len(found.missing), ", ".join(found.missing[:3])
        warn(f"{found.folder} has no sound of {count} clips of the set ({first}); means leave "
             "them out")  # fmt: skip
    chains = made_with(found)
    if len(chains) > 1:
        counts = " and ".join(str(count) for count in chains.values())
        warn(f"{found.folder} mixes what {len(chains)} chains have concealed ({counts} clips); "
             "conceal all of them with one")  # fmt: skip
    # A process takes as long to start as a few clips take to score.
    enough = max(1, len(found.sounds) // _CLIPS_A_PROCESS)
    workers = options["jobs"] or min(usable_cores(), enough)
    tally = Tally(found.folder)
    good: dict[str, ClipScore] = {}
    with progress(f"scoring {found.folder.name}", len(found.sounds), "clips") as advance:
        for outcome in run(found, target, measures, workers=workers, again=options["again"]):
            if outcome.status == "failed":
                tally.failed.append(outcome)
            else:
                good[outcome.name] = score_of(outcome)
                tally.done += outcome.status == "done"
                tally.skipped += outcome.status == "skipped"
            advance(1)
    tally.scores = [good[heard.name] for heard in found.sounds if heard.name in good]
    return tally


def group_dict(group: Group) -> dict[str, Any]:
    """Give a group for JSON."""
    from dataclasses import asdict

    return asdict(group)


def mean_cell(found: Interval | None, digits: int) -> str:
    """Write a mean with the bounds of its interval."""
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.mean:.{digits}f}"
    return f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def tell_how(lines: dict[str, str]) -> None:
    """Say whose implementation gave each number."""
    for name, text in lines.items():
        click.echo(f"{name}: {text}")


def _tell(
    folder: Path, tally: Tally, groups: list[Group], lines: dict[str, str], written: list[Path]
) -> None:
    from rtcore.challenges.plc.score_files import COLUMNS

    counts = f"{tally.done} done, {tally.skipped} skipped, {len(tally.failed)} failed"
    click.echo(f"{folder}: {counts}")
    shown = [group for group in groups if group.kind != "cell"]
    if shown:
        rows = [["clips", *(str(group.clips) for group in shown)]]
        for key in shown[0].means:
            column = COLUMNS[key]
            cells = [mean_cell(group.means[key], column.digits) for group in shown]
            rows.append([f"{column.label} {column.unit}".strip(), *cells])
        title = "means [95 % bootstrap interval over clips]; bursts:"
        print_table(["", *(group.label for group in shown)], rows, title)
        tell_how(lines)
    notes = sum(bool(score.notes) for score in tally.scores)
    if notes:
        click.echo(f"{notes} clips lack a score; the column notes of scores.csv says why")
    click.echo("written: " + ", ".join(str(path) for path in written))
