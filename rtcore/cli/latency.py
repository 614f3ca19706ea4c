# SPDX-License-Identifier: MIT
"""``rtcore latency``: measure a system, and judge it by the rules of challenges."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.chain_options import ChainChoice, chain_options
from rtcore.cli.latency_systems import (
    DURATION,
    ONE_SAMPLE_S,
    check_options,
    make_system,
    system_options,
)
from rtcore.cli.numbers import Number
from rtcore.cli.output import json_option, kept_stdout, print_json, progress

if TYPE_CHECKING:
    from rtcore.latency.result import Compute, Declared, Measurement
    from rtcore.latency.rules import Rule, Verdict
    from rtcore.latency.systems.base import System

_PATH = click.Path(path_type=Path)
#: The rate at which most of the challenges work.
_RATE = 44100
_SECONDS = 60.0
#: No sound that is shorter shows a delay.
_SHORTEST_S = 0.2


@click.command()
@chain_options
@system_options
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="NAME|FILE|all",
    help="Judge by this rule and leave with 1 where it is broken; give several, or all.",
)
@click.option(
    "--rate",
    type=click.IntRange(1000, 384000),
    help="Sample rate in Hz; the chain's, the rule's, or 44100 by default.",
)
@click.option(
    "--channels",
    type=click.IntRange(1, 64),
    help="How many channels go in; the chain's own or 2 for a chain, else 1.",
)
@click.option(
    "--frame",
    type=DURATION,
    help="Declared: the frame that the system looks at together, such as 512 or 32ms.",
)
@click.option("--hop", type=DURATION, help="Declared: the hop (stride) that it gives at a time.")
@click.option(
    "--future", type=DURATION, help="Declared: how much it waits for after the end of its frame."
)
@click.option(
    "--latency",
    type=DURATION,
    help="Declared: by how much its output is late; 0 where it is aligned.",
)
@click.option(
    "--positions",
    type=click.IntRange(1, 10_000_000),
    default=20_000,
    show_default=True,
    help="Places in a row at which two inputs part; rarer look-ahead can be missed.",
)
@click.option(
    "--budget",
    "budget_s",
    type=Number(min=0, max=86400),
    default=30.0,
    show_default=True,
    help="Seconds that the search at all these places may take; what it leaves open is told.",
)
@click.option(
    "--duration",
    type=DURATION,
    help="Length of the sounds, such as 2s; long enough for the system by default.",
)
@click.option(
    "--seconds",
    type=Number(min=0.1, max=86400),
    default=_SECONDS,
    show_default=True,
    help="Length of each of the two timing runs: idle, and beside a busy Python thread.",
)
@click.option(
    "--compute/--no-compute", default=True, help="Measure computing time, or leave it out."
)
@click.option("--block", type=click.IntRange(1, 65536), help="Samples of a block that is timed.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the sounds."
)
@click.option("--report", type=_PATH, metavar="OUT.html", help="Write a report for a browser.")
@json_option
def latency(choice: ChainChoice, **options: Any) -> None:
    r"""Measure how far a system looks ahead, how late it is and what it costs.

    The system is a chain (a hearing aid where nothing is said), a command, a Python function, an
    ONNX model, or files that it made elsewhere. Exit code 1 when a rule named with --rule is
    broken; without --rule all rules are shown and none is enforced.

    \b
    rtcore latency -c chain.toml --rule all
    rtcore latency --command 'python my_system.py {in} {out}' --rule clarity --report out.html
    rtcore latency --callable my_module:enhance --rate 16000 --json
    rtcore latency --onnx model.onnx --rate 16000 --rule plc-2022
    rtcore latency --make-pairs pairs/ --rate 44100     then run your system on pairs/in
    rtcore latency --judge pairs/ --rule cadenza-causal
    """
    from rtcore.latency.rules import find_rules, judge_all, load_rules

    context = click.get_current_context()
    default = click.core.ParameterSource.DEFAULT
    check_options(choice, options, lambda w: context.get_parameter_source(w) is not default)
    if options["report"] is not None:
        from rtcore.atomicfile import check_place

        check_place(options["report"], "the report")
    rules = find_rules(options["rules"]) if options["rules"] else load_rules()
    if options["make_pairs"] is not None:
        _make_pairs(options, rules)
        return
    with kept_stdout():
        pairs = options["judge_pairs"] is not None
        measurement = _of_pairs(options) if pairs else _measured(choice, options, rules)
    verdicts = judge_all(rules, measurement)
    _show(measurement, verdicts, options)
    broken = bool(options["rules"]) and any(v.holds is False for v in verdicts)
    context.exit(1 if broken else 0)


def _rate(options: dict[str, Any], rules: Sequence[Rule]) -> int:
    """Give the rate that was asked for, or one that suits all rules that were named."""
    if options["rate"]:
        return int(options["rate"])
    named = [set(rule.sample_rates) for rule in rules if options["rules"] and rule.sample_rates]
    common = set.intersection(*named) if named else set()
    if _RATE in common or not common:
        return _RATE
    return next(rate for rule in rules for rate in rule.sample_rates if rate in common)


def _declared(options: dict[str, Any], rate: int) -> Declared:
    from rtcore.latency.result import Declared

    least = {"frame": ONE_SAMPLE_S, "hop": ONE_SAMPLE_S, "future": 0.0, "latency": 0.0}
    given = {word: options[word] for word in least if options[word] is not None}
    return Declared(
        **{
            f"{word}_samples": said.between(f"--{word}", rate, least_s=least[word]).samples(rate)
            for word, said in given.items()
        }
    )


def _duration_s(options: dict[str, Any], rate: int) -> float | None:
    """Give the length of the sounds in s, where one was asked for."""
    asked = options["duration"]
    if asked is None:
        return None
    return float(asked.between("--duration", rate, least_s=_SHORTEST_S).seconds(rate))


def _measured(choice: ChainChoice, options: dict[str, Any], rules: Sequence[Rule]) -> Measurement:
    """Make the system and measure all that was asked for."""
    from rtcore.latency.delay import measure_delay
    from rtcore.latency.lookahead import measure_lookahead
    from rtcore.latency.result import Measurement

    rate = _rate(options, rules)
    system = make_system(choice, options, rate, lambda r: _declared(options, r))
    with progress(f"{system.name}: look-ahead", None, "runs") as advance:
        ahead = measure_lookahead(
            system.in_full(),
            positions=options["positions"],
            budget_s=options["budget_s"],
            duration_s=_duration_s(options, system.sample_rate),
            seed=options["seed"],
            progress=advance,
        )
    return Measurement(
        name=system.name,
        kind=system.kind,
        sample_rate=system.sample_rate,
        channels=system.channels,
        declared=system.declared,
        lookahead=ahead,
        delay=measure_delay(system, seed=options["seed"]),
        compute=_computed(system, options) if options["compute"] else None,
    )


def _computed(system: System, options: dict[str, Any]) -> Compute:
    """Measure computing time; a moving bar would compete with a Python system for the GIL."""
    from rtcore.latency.timing.compute import measure_compute

    seconds, block = options["seconds"], options["block"]
    if system.kind != "chain":
        return measure_compute(system, block_samples=block, seconds=seconds)
    with progress(f"{system.name}: computing time", 2 * seconds, "seconds") as advance:
        return measure_compute(system, block_samples=block, seconds=seconds, progress=advance)


def _make_pairs(options: dict[str, Any], rules: Sequence[Rule]) -> None:
    """Write sounds for a system that runs elsewhere, or a further round of them."""
    from rtcore.latency.pairs.making import SECONDS, make_pairs, refine_pairs

    folder: Path = options["make_pairs"]
    if (folder / "pairs.json").exists():
        new = refine_pairs(folder)
        click.echo(f"{len(new)} more sounds in {folder / 'in'}; run the system on these too")
    else:
        rate = _rate(options, rules)
        seconds = _duration_s(options, rate) or SECONDS
        make_pairs(
            folder,
            sample_rate=rate,
            channels=options["channels"] or 1,
            hop=_declared(options, rate).hop_samples,
            subtype=options["subtype"],
            seed=options["seed"],
            seconds=seconds,
        )
        count = len(list((folder / "in").iterdir()))
        click.echo(f"{count} sounds in {folder / 'in'}; run the system on each of them and write")
        click.echo(f"the same names to {folder / 'out'} (see {folder / 'README.txt'})")
    click.echo(f"then: rtcore latency --judge {shlex.quote(str(folder))}")


def _of_pairs(options: dict[str, Any]) -> Measurement:
    from rtcore.latency.pairs.making import judge_pairs
    from rtcore.latency.result import Measurement

    folder: Path = options["judge_pairs"]
    found = judge_pairs(folder)
    return Measurement(
        name=str(folder),
        kind="pairs",
        sample_rate=found.sample_rate,
        channels=found.channels,
        declared=_declared(options, found.sample_rate),
        lookahead=found.lookahead,
        delay=found.delay,
    )


def _show(measurement: Measurement, verdicts: Sequence[Verdict], options: dict[str, Any]) -> None:
    """Write the report, then the table or the JSON."""
    from rtcore.cli.latency_output import as_dict, print_measurement
    from rtcore.errors import RtcoreError
    from rtcore.machine import machine

    unwritten = None
    if options["report"] is not None:
        from rtcore.latency.report.page import write_report

        command, place = shlex.join(["rtcore", *sys.argv[1:]]), options["report"]
        try:
            write_report(place, measurement, verdicts, command=command, machine=machine())
        except RtcoreError as error:  # said last, so that what took minutes is not lost
            unwritten = error
        else:
            click.echo(f"wrote {place}", err=options["as_json"])
    if options["as_json"]:
        print_json({**as_dict(measurement, verdicts), "machine": machine()})
    else:
        print_measurement(measurement, verdicts, terms=bool(options["rules"]))
    if unwritten is not None:
        raise unwritten
