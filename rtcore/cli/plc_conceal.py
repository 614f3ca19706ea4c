# SPDX-License-Identifier: MIT
"""``rtcore plc conceal``: a challenge's clips through a chain, on all cores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.batch_options import BatchChoice, Tally, batch_options, follow
from rtcore.cli.output import json_option, print_json

if TYPE_CHECKING:
    from rtcore.batch import Outcome
    from rtcore.chain.config import ChainConfig
    from rtcore.challenges.plc.layout import ClipSet

_PATH = click.Path(path_type=Path)
_DEFAULT = "plc-pitch"


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
@click.option("--align/--no-align", default=True, help="Take the chain's latency out.")
@click.option("--check/--no-check", default=True, help="Refuse traces for other files.")
@click.option("--from-zeros", is_flag=True, help="Read no traces: packets of zeros are lost.")
@batch_options("clips")
@json_option
def conceal(source: Path, target: Path, as_json: bool, batch: BatchChoice, **options: Any) -> None:
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
    found = replace(found, clips=tuple(batch.share(found.clips)))
    settings = ConcealSettings(options["align"], options["check"], options["from_zeros"])
    if batch.dry_run:
        _tell_plan(found, target, as_json)
        return
    outcomes = conceal_set(
        found, target, config, settings,
        workers=batch.jobs, again=batch.again, scheduler=batch.scheduler, shard=batch.shard,
    )  # fmt: skip
    tally = follow(outcomes, _Tally("clips", aligned=settings.align), "concealing",
                   len(found.clips))  # fmt: skip
    tally.tell(target, as_json=as_json)
    click.get_current_context().exit(tally.exit_code)


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


@dataclass
class _Tally(Tally):
    """What became of all clips.

    Attributes
    ----------
    aligned : bool
        Whether the chain's latency was taken out.
    """

    aligned: bool = True

    @property
    def exit_code(self) -> int:
        """What the worst failure calls for: 1 for NaN, 2 for bad input, 3 for the machine."""
        return max((outcome.exit_code for outcome in self.failed), default=0)

    def tell(self, target: Path, *, as_json: bool = False) -> None:
        """Print the summary, why clips failed, and what became of the latency."""
        super().tell(target, as_json=as_json)
        late = self._latencies()
        if late and late[-1][0] > 0 and not as_json:
            fate = "taken out: the output lies over the input" if self.aligned else "left in"
            times = ", ".join(f"{f} frames ({1000 * f / r:g} ms at {r} Hz)" for f, r in late)
            click.echo(f"latency of {times} was {fate}")

    def named(self, outcome: Outcome) -> str:
        """Give a clip's error, with the clip's name where it has neither that nor the trace's."""
        trace = f"/{Path(outcome.name).stem}_is_lost.txt"
        return outcome.error if trace in outcome.error else super().named(outcome)

    def speed(self) -> str:
        """Say how much sound that was, and how long it took."""
        sound_s = sum(o.result["frames"] / o.result["sample_rate"] for o in self.done)
        return f"; {sound_s:.1f} s of sound in {self.seconds:.1f} s" if sound_s else ""

    def as_dict(self, target: Path) -> dict[str, Any]:
        """Give all of it for programs."""
        return {**super().as_dict(target), "aligned": self.aligned}

    def _latencies(self) -> list[tuple[int, int]]:
        return sorted({(o.result["latency_frames"], o.result["sample_rate"]) for o in self.good})
