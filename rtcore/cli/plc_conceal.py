# SPDX-License-Identifier: MIT
"""``rtcore plc conceal``: a challenge's clips through a chain, on all cores."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.output import json_option, print_json, progress, warn

if TYPE_CHECKING:
    from rtcore.batch import Outcome
    from rtcore.chain.config import ChainConfig
    from rtcore.challenges.plc.layout import ClipSet

_PATH = click.Path(path_type=Path)
_DEFAULT = "plc-pitch"
_SHOWN = 20


@click.command()
@click.argument("source", type=_PATH, metavar="IN")
@click.argument("target", type=_PATH, metavar="OUT")
@click.option(
    "-p",
    "--plugin",
    "plugins",
    multiple=True,
    metavar="ID[:KEY=VALUE,..]",
    help=f"What conceals; several make a row of them.  [default: {_DEFAULT}]",
)
@click.option("-c", "--chain", type=_PATH, metavar="CHAIN.toml", help="A chain file instead.")
@click.option("--jobs", type=click.IntRange(1, 1024), help="Processes; as many as pay by default.")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many clips.")
@click.option("--align/--no-align", default=True, help="Take the chain's latency out.")
@click.option("--check/--no-check", default=True, help="Refuse traces for other files.")
@click.option("--from-zeros", is_flag=True, help="Read no traces: packets of zeros are lost.")
@click.option("--again", is_flag=True, help="Do clips again that are finished already.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and leave.")
@json_option
def conceal(source: Path, target: Path, as_json: bool, **options: Any) -> None:
    r"""Conceal the losses of a set and write OUT/<name>.wav: same name, rate and length, 16 bits.

    IN is a folder with <n>.wav and <n>_is_lost.txt, the folder above lossy_signals/, a folder
    with a 2024 csv, or that csv. Clips that an earlier run finished from the same input, trace
    and parameters are skipped; a bad clip is reported and the rest goes on.

    \b
    rtcore plc conceal blind/ out/
    rtcore plc conceal plcchallenge24/val_meta.csv out/ -c chain.toml
    rtcore plc conceal val/ out/ --plugin plc-repeat --jobs 4
    """
    from rtcore.challenges.plc.conceal import ConcealSettings, conceal_set
    from rtcore.challenges.plc.layout import find_set

    config = _config(options["chain"], options["plugins"])
    found = find_set(source, untraced=options["from_zeros"])
    if options["limit"] is not None:
        found = replace(found, clips=found.clips[: options["limit"]])
    settings = ConcealSettings(options["align"], options["check"], options["from_zeros"])
    if options["dry_run"]:
        _tell_plan(found, target, as_json)
        return
    tally = _Tally()
    outcomes = conceal_set(
        found, target, config, settings, workers=options["jobs"], again=options["again"]
    )
    with progress("concealing", len(found.clips), "clips") as advance:
        for outcome in outcomes:
            tally.add(outcome)
            advance(1)
    tally.tell(target, aligned=settings.align, as_json=as_json)
    click.get_current_context().exit(max((o.exit_code for o in tally.failed), default=0))


def _config(chain: Path | None, plugins: tuple[str, ...]) -> ChainConfig:
    """Read what conceals."""
    from rtcore.chain.config import load, parse
    from rtcore.cli.chain_options import plugin_table

    if chain is not None and plugins:
        raise click.UsageError("give -c CHAIN or -p PLUGIN, not both")
    if chain is not None:
        return load(chain)
    return parse({"plugin": [plugin_table(text) for text in plugins or (_DEFAULT,)]})


def _tell_plan(found: ClipSet, target: Path, as_json: bool) -> None:
    """Say what would be done."""
    facts = {
        "set": found.path,
        "layout": found.layout,
        "blind": found.blind,
        "clips": len(found.clips),
        "target": target,
    }
    if as_json:
        print_json({**facts, "names": [clip.name for clip in found.clips]})
        return
    kind = f"{found.layout} layout, {'no' if found.blind else 'with'} clean sound"
    click.echo(f"{found.path}: {len(found.clips)} clips ({kind})")
    click.echo(f"would be concealed into {target}")


def _named(outcome: Outcome) -> str:
    """Give a clip's error, with the clip's name where it has neither that nor the trace's."""
    stem = Path(outcome.name).stem
    named = any(name in outcome.error for name in (outcome.name, f"/{stem}_is_lost.txt"))
    return outcome.error if named else f"{outcome.name}: {outcome.error}"


@dataclass
class _Tally:
    """What became of all clips."""

    done: list[Outcome] = field(default_factory=list)
    skipped: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    begun: float = field(default_factory=time.perf_counter)

    def add(self, outcome: Outcome) -> None:
        """Count a clip."""
        lists = {"done": self.done, "skipped": self.skipped, "failed": self.failed}
        lists[outcome.status].append(outcome)

    def tell(self, target: Path, *, aligned: bool, as_json: bool) -> None:
        """Print the summary, and why clips failed."""
        for outcome in self.failed[:_SHOWN]:
            click.echo(f"error: {_named(outcome)}", err=True)
        if len(self.failed) > _SHOWN:
            more = f"{len(self.failed) - _SHOWN} more clips failed"
            click.echo(f"error: {more}; --json lists all of them", err=True)
        self._tell_removed(target)
        if as_json:
            print_json(self._as_dict(target, aligned=aligned))
            return
        counts = f"{len(self.done)} done, {len(self.skipped)} skipped, {len(self.failed)} failed"
        click.echo(f"{target}: {counts}{self._speed()}")
        late = self._latencies()
        if late and late[-1][0] > 0:
            fate = "taken out: the output lies over the input" if aligned else "left in"
            times = ", ".join(f"{f} frames ({1000 * f / r:g} ms at {r} Hz)" for f, r in late)
            click.echo(f"latency of {times} was {fate}")

    def _tell_removed(self, target: Path) -> None:
        """Say which outputs of earlier runs were taken away."""
        names = [outcome.name for outcome in self.failed if outcome.removed]
        if names:
            what = f"{len(names)} older outputs of clips that failed now ({', '.join(names[:3])})"
            warn(f"{what} were removed from {target}: they were made from something else")

    def _speed(self) -> str:
        sound_s = sum(o.result["frames"] / o.result["sample_rate"] for o in self.done)
        if not sound_s:
            return ""
        taken_s = time.perf_counter() - self.begun
        return f"; {sound_s:.1f} s of sound in {taken_s:.1f} s"

    def _latencies(self) -> list[tuple[int, int]]:
        good = [o.result for o in (*self.done, *self.skipped)]
        return sorted({(r["latency_frames"], r["sample_rate"]) for r in good})

    def _as_dict(self, target: Path, *, aligned: bool) -> dict[str, Any]:
        return {
            "target": target,
            "aligned": aligned,
            "done": len(self.done),
            "skipped": len(self.skipped),
            "failed": len(self.failed),
            "seconds": time.perf_counter() - self.begun,
            "clips": [asdict(o) for o in (*self.done, *self.skipped, *self.failed)],
        }
