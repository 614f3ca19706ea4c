# SPDX-License-Identifier: MIT
"""``rtcore roundtrip``: how long sound takes out of a device and back into it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.numbers import Number
from rtcore.cli.output import json_option, print_json, print_prose, print_table, progress, warn

if TYPE_CHECKING:
    from rtcore.engine import Engine
    from rtcore.engine.backends.base import Backend
    from rtcore.latency.roundtrip.drift import Slope
    from rtcore.latency.roundtrip.looprun import Setup
    from rtcore.latency.roundtrip.measuring import RoundTrip

_LOOP, _SYSTEM, _NONE = "loop", "system", "none"
_PORTS = 2  # one to send to, one that it comes back from


@click.command()
@click.option(
    "--backend", type=click.Choice(["auto", "jack", "portaudio"]), default="auto", show_default=True
)
@click.option("-i", "--input", "source", help="PortAudio's input device (index or name).")
@click.option("-o", "--output", "target", help="PortAudio's output device (index or name).")
@click.option(
    "--rate",
    type=click.IntRange(8000, 384000),
    help="Sample rate in Hz; the device's own by default.",
)
@click.option(
    "--block",
    "block_frames",
    type=click.IntRange(0, 8192),
    help="Frames of a block (0: the device's choice); 64 by default, over JACK the server's.",
)
@click.option(
    "--channel",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Output that the cable begins at.",
)
@click.option(
    "--input-channel", type=click.IntRange(1, 64), help="Input that it ends at; the same number."
)
@click.option(
    "--connect",
    metavar="HOW",
    help="JACK ports: 'system' (the sound card; the default), 'loop' (our output to our input), "
    "'none', or 'SEND,RETURN', the ports of another program.",
)
@click.option("--no-connect", is_flag=True, help="The same as --connect none.")
@click.option(
    "--restarts",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="How often the device is opened afresh.",
)
@click.option(
    "--seconds",
    type=Number(0.05, 20),
    default=1.0,
    show_default=True,
    help="How long each restart listens: longer for long delays, and against noise.",
)
@click.option(
    "--drift",
    "drift_s",
    metavar="SECONDS",
    type=Number(2, 86400),
    help="Then watch for so long how the delay and the device's clock drift.",
)
@click.option(
    "--level",
    "level_dbfs",
    type=Number(-80, -12),
    default=-20.0,
    show_default=True,
    help="Greatest sample of the probe, in dBFS.",
)
@click.option(
    "--expect",
    "expected",
    metavar="FRAMES",
    type=click.IntRange(0),
    help="Exit 1 where any restart gives another round trip.",
)
@json_option
def roundtrip(**options: Any) -> None:
    """Measure a device's round trip: a probe goes out, through a cable, and comes back.

    Lead an output to an input with a cable, or hold the headphones to the microphone.  Over JACK,
    --connect loop needs no device at all.  Take headphones off: the probe is a burst of noise.
    """
    from rtcore.latency.roundtrip.longrun import measure_drift
    from rtcore.latency.roundtrip.looprun import Setup
    from rtcore.latency.roundtrip.measuring import RoundTrip, measure

    how = _how(options)
    backend = _maker(options, how)
    first = backend()
    setup = Setup(
        sample_rate=float(options["rate"] or first.sample_rate() or 48000.0),
        channel=options["channel"] - 1,
        input_channel=(options["input_channel"] or options["channel"]) - 1,
        seconds=options["seconds"],
        level_dbfs=options["level_dbfs"],
        way=_way(how),
    )
    _check(first, setup, options)
    if setup.way == "device":
        click.echo(
            f"a burst of noise at {setup.level_dbfs:g} dBFS comes out of output "
            f"{setup.channel + 1}; keep headphones off your ears",
            err=True,
        )
    connect = _connector(how, setup)
    with progress("restarts", options["restarts"]) as step:
        runs = measure(
            backend, setup, restarts=options["restarts"], connect=connect, done=lambda _r: step(1)
        )
    drift = None
    if options["drift_s"] is not None:
        with progress("drift", round(options["drift_s"])) as step:
            passed = _whole_seconds(step)
            drift = measure_drift(
                backend(), setup, options["drift_s"], connect=connect, passed=passed
            )
    _tell(RoundTrip(first.name, setup, runs, drift), options)


def _how(options: dict[str, Any]) -> str:
    """Say how JACK's ports are connected."""
    how = options["connect"]
    if options["no_connect"]:
        if how not in (None, _NONE):
            raise click.UsageError("--connect and --no-connect exclude one another; give one")
        return _NONE
    if how is None:
        return _SYSTEM
    if how not in (_LOOP, _SYSTEM, _NONE) and sum(map(bool, re.split(r" *, *", how))) != _PORTS:
        raise click.UsageError(
            f"--connect: '{how}' is none of loop, system, none and SEND,RETURN; name two ports "
            "with a comma between them, such as other:in_1,other:out_1"
        )
    return str(how)


def _way(how: str) -> Any:
    return "loop" if how == _LOOP else "ports" if "," in how else "device"


def _maker(options: dict[str, Any], how: str) -> Any:
    """Choose the backend: JACK where a server runs and no device is named, else PortAudio."""
    from rtcore.engine import JackBackend, PortAudioBackend
    from rtcore.errors import DeviceError

    named = options["source"] is not None or options["target"] is not None
    asked = options["connect"] is not None or options["no_connect"]
    kind = options["backend"]
    if kind == "jack" and named:
        raise click.UsageError(
            "-i and -o name PortAudio's devices; over JACK choose ports with --connect"
        )
    if kind == "portaudio" and asked:
        raise click.UsageError(
            "--connect: only JACK has ports to connect; over PortAudio use a cable"
        )

    def jack() -> Backend:
        return JackBackend(connect=how == _SYSTEM)

    def portaudio() -> Backend:
        block = options["block_frames"]
        return PortAudioBackend(
            input_device=options["source"],
            output_device=options["target"],
            block_frames=64 if block is None else block,
        )

    if kind == "jack" or (kind == "auto" and not named):
        try:
            jack().sample_rate()
        except DeviceError:
            if kind == "jack" or asked:
                raise
        else:
            return jack
    return portaudio


def _check(backend: Any, setup: Setup, options: dict[str, Any]) -> None:
    """Refuse what the device cannot do, before anything sounds."""
    from rtcore.engine.backends.jackclient import JackClient
    from rtcore.errors import NoSuchDeviceError, ParameterError

    block = options["block_frames"]
    if backend.name == "jack":
        with JackClient("rtcore-look") as client:
            period = client.block_frames
        if block not in (None, 0, period):
            raise ParameterError(
                "--block",
                f"the JACK server's period is {period} frames, got {block}; leave --block out, or "
                f"start the server with -p {block}",
            )
        return
    source, target = backend.devices()
    for device, most, channel, side in (
        (target, target.output_channels, setup.channel, "output"),
        (source, source.input_channels, setup.input_channel, "input"),
    ):
        if channel >= most:
            raise NoSuchDeviceError(
                f"{side} channel {channel + 1}: device '{device.full_name}' has {most}; give a "
                "smaller --channel or --input-channel"
            )


def _connector(how: str, setup: Setup) -> Any:
    """Give what connects an engine's ports; None where there is nothing to connect."""
    if how in (_SYSTEM, _NONE):
        return None

    def connect(engine: Engine) -> None:
        backend: Any = engine.backend
        ours, ear = backend.outputs[setup.channel], backend.inputs[setup.input_channel]
        send, _, back = how.partition(",")
        if how == _LOOP:
            backend.client.connect(ours, ear)
        else:
            backend.client.connect(ours, send.strip())
            backend.client.connect(back.strip(), ear)

    return connect


def _whole_seconds(step: Any) -> Any:
    """Collect fractions of seconds into whole steps."""
    left = 0.0

    def passed(seconds: float) -> None:
        nonlocal left
        left += seconds
        step(int(left))
        left -= int(left)

    return passed


def _tell(trip: RoundTrip, options: dict[str, Any]) -> None:
    """Print what was found, then fail where something else was expected."""
    from rtcore.errors import CheckFailed
    from rtcore.machine import machine

    if options["as_json"]:
        expected = {"expected": options["expected"]}
        print_json({**trip.as_dict(), **expected, "machine": machine()})
    else:
        _print(trip)
    for note in trip.notes():
        warn(note)
    expected = options["expected"]
    if expected is not None and not trip.is_always(expected):
        found = ", ".join(sorted({f"{frames:g}" for frames in trip.frames}))
        raise CheckFailed(
            f"the round trip is {found} frames and not always the expected {expected}; look for "
            "what changed, or give the new number to --expect"
        )


def _print(trip: RoundTrip) -> None:
    """Print the table and what follows from it."""
    per_ms = trip.setup.sample_rate / 1e3
    rows = [
        (
            k + 1,
            run.echo.frames if run.echo else None,
            round(run.echo.frames / per_ms, 3) if run.echo else None,
            run.echo.confidence if run.echo else 0.0,
            "yes" if run.echo and run.echo.bit_exact else "no",
            run.echo.gain_db if run.echo else None,
            run.xruns,
        )
        for k, run in enumerate(trip.runs)
    ]
    heads = ("restart", "frames", "ms", "confidence", "bit-exact", "gain dB", "xruns")
    print_table(heads, rows)
    frames, ms = trip.median_frames, trip.median_frames / per_ms
    count = len(trip.runs)
    if trip.constant:
        click.echo(f"\nconstant: {frames:g} frames ({ms:.3f} ms) in {count} of {count} restarts")
    else:
        click.echo(
            f"\nnot constant: {min(trip.frames):g} to {max(trip.frames):g} frames, median "
            f"{frames:g} ({ms:.3f} ms)"
        )
    said = trip.reported
    if said is None:
        click.echo("the host API reports no latency")
    else:
        print_prose(
            f"reported: {said.capture_frames} in + {said.playback_frames} out = "
            f"{said.total_frames} frames ({said.source}); measured is "
            f"{frames - said.total_frames:+g} frames",
            hanging="  ",
        )
    print_prose(_sum(trip), hanging="  ")
    if trip.drift is not None:
        _print_drift(trip)


def _sum(trip: RoundTrip) -> str:
    """Write the period arithmetic in a line."""
    sums = trip.arithmetic
    if sums.period_frames is None:
        return f"period arithmetic: none, for {sums.rule}"
    whole = int(trip.median_frames // sums.period_frames)
    text = f"period arithmetic: {whole} x {sums.period_frames} + {sums.rest_frames:g} frames"
    if sums.expected_frames is None:
        return f"{text} ({sums.rule})"
    verdict = "equal to" if sums.equal else "NOT equal to"
    return f"{text}: {verdict} the expected {sums.expected_frames} ({sums.rule})"


def _print_drift(trip: RoundTrip) -> None:
    drift = trip.drift
    if drift is None:
        return
    missed = f", {drift.missed} probes missed" if drift.missed else ""
    click.echo(f"\ndrift over {drift.seconds:g} s ({len(drift.delays)} probes{missed}):")
    click.echo(f"  delay         {_ppm(drift.delay)}")
    if drift.clock is None:
        gaps = f"{drift.late_blocks} late blocks, {drift.xruns} xruns"
        click.echo(f"  device clock  not to be told from so short or broken a stream ({gaps})")
    else:
        click.echo(f"  device clock  {_ppm(drift.clock)} against this computer's monotonic clock")


def _ppm(slope: Slope | None) -> str:
    if slope is None:
        return "not to be told: too few probes came back, or too unsteadily"
    jumps = f", {slope.jumps} jumps" if slope.jumps else ""
    return f"{slope.ppm:+.3f} ppm ± {slope.uncertainty_ppm:.2g} (95 %{jumps})"
