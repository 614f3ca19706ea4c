# SPDX-License-Identifier: MIT
"""``rtcore top``: how a served engine is doing, as a table that is drawn anew all the time."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Iterator
from typing import Any

import click

from rtcore.cli.output import json_option, print_json
from rtcore.cli.remote_options import There, remote_options
from rtcore.errors import DeviceError

_PLUGIN_COLUMNS = ("plugin", "load %", "p50 us", "p99 us", "max us", "late", "concealed ms", "")


@click.command()
@remote_options
@click.option(
    "--telemetry",
    metavar="HOST:PORT",
    help="Where `rtcore receive --telemetry` publishes: look there instead, --to is not asked.",
)
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many tables.")
@json_option
def top(there: There, telemetry: str | None, count: int | None, as_json: bool) -> None:
    """Show each plugin's load and times, lateness, levels, the network and the device of an engine.

    It is one that `rtcore serve` plays, or `rtcore receive --telemetry`.  On a terminal the table
    stays in its place until Ctrl-C; elsewhere one is printed and that is all, unless --count says
    otherwise.
    """
    wanted = count if count is not None else None if sys.stdout.isatty() and not as_json else 1
    silence_s = max(there.timeout_s, 2.0)
    with (
        contextlib.closing(_messages(there, telemetry, silence_s)) as messages,
        _view(once=wanted == 1 or as_json) as show,
    ):
        shown, before = 0, None
        for where, told in messages:
            if as_json:
                print_json(told)
            else:
                show(_drawn(told, before, where))
            before, shown = told, shown + 1
            if shown == wanted:
                return


def _messages(
    there: There, telemetry: str | None, silence_s: float
) -> Generator[tuple[str, dict[str, Any]], None, None]:
    """Give statistics as they come, each with the address of what they are about."""
    from rtcore.remote.addresses import Address
    from rtcore.remote.client import listen
    from rtcore.remote.sockets import TELEMETRY_PORT, Sockets

    if telemetry is None:
        with there.client() as client:
            where, start = client.address.url, "the engine (rtcore ctl start)"
            for _topic, told in client.watch(["stats"], timeout_s=silence_s):
                yield where, told
    else:
        address = Address.read(telemetry, TELEMETRY_PORT, "--telemetry")
        where, start = address.url, "rtcore receive --telemetry there"
        with Sockets(there.client_keys()) as sockets:
            for _topic, told in listen(sockets, address, ["stats"], timeout_s=silence_s):
                yield where, told
    msg = (
        f"{where}: no telemetry came within {silence_s:g} s; start {start}, and open the port of "
        "its telemetry"
    )
    raise DeviceError(msg)


@contextlib.contextmanager
def _view(*, once: bool) -> Iterator[Any]:
    """Draw in place on a terminal, one below the other elsewhere."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 120, highlight=False)
    if once or not terminal:
        yield lambda drawn: _echo(console, drawn)
        return
    from rich.live import Live

    with contextlib.suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        yield lambda drawn: live.update(drawn, refresh=True)


def _echo(console: Any, drawn: Any) -> None:
    """Print below what is there; a reader that goes away (``| head``) is no failed check."""
    with console.capture() as captured:
        console.print(drawn)
    click.echo(captured.get(), nl=False)


def _drawn(told: dict[str, Any], before: dict[str, Any] | None, where: str) -> Any:
    """Draw the whole table."""
    from rich.console import Group
    from rich.text import Text

    if "not_told" in told:
        return Text(f"{where}: no figures just now ({told['not_told']})")
    lost = 0 if before is None else told["seq"] - before["seq"] - 1
    head = Text(f"rtcore {told['state']} on {told['backend']} at {where}", style="bold")
    lines = [Text(line) for line in _lines(told, before)]
    if lost > 0:
        lines.append(Text(f"{lost} messages of telemetry were lost on the way"))
    return Group(head, *lines, _plugins(told), _levels(told))


def _lines(told: dict[str, Any], before: dict[str, Any] | None) -> Iterator[str]:
    """Give the lines about the device and the whole chain."""
    late, interval, latency = told["late"], told["interval_ms"], told["latency"]
    low, high = told["block_frames"]
    block = f"{high}" if low == high else f"{low} to {high}"
    yield (
        f"device   {block} frames at {told['sample_rate']:g} Hz, interval p50 "
        f"{interval['p50']:.3f} p99 {interval['p99']:.3f} max {interval['max']:.3f} ms, "
        f"xruns {told['device_xruns']}, reopened {told['reopened']}"
    )
    yield (
        f"chain    load {100 * _load(told, before):.1f} %, block p99 "
        f"{told['busy_ms']['p99']:.3f} ms, late {late['total']} of {told['blocks']} "
        f"(longest run {late['longest_run']}), latency {latency['chain_ms']:.2f} ms"
    )
    switches = [word.upper() for word in ("bypass", "mute") if told[word]]
    control = told["control"]
    volume = [f"volume {told['volume_db']:.0f} dB"] if told["safety"] else []
    answers = [f"{control['answered']} answered", f"{control['refused']} refused"]
    yield f"control  {', '.join([*answers, *volume, *switches])}"
    if "network" in told:
        yield from _network(told["network"])


def _network(net: dict[str, Any]) -> Iterator[str]:
    """Give the lines about the packets that the engine plays."""
    if "packets" not in net:
        yield "network  no packet has come yet"
        return
    latency = net["latency_ms"]
    stream = "" if net["playing"] else ", NO STREAM"
    yield (
        f"network  {net['lost']} of {net['packets']} packets lost ({net['loss_percent']:g} %), "
        f"late {net['late']}, twice {net['duplicates']}, refused {net['refused_messages']}, "
        f"begun anew {net['restarts']}{stream}"
    )
    runs = ", ".join(f"{count} of {length}" for length, count in net["bursts"].items()) or "none"
    yield f"bursts   {runs} (longest {net['longest_burst']}), without a stream {net['gap_s']:g} s"
    depth = "-" if net["depth_ms"] is None else f"{net['depth_ms']:.1f}"
    yield (
        f"buffer   depth {depth} of {net['target_ms']:.1f} ms, jitter {net['jitter_ms']:.2f} ms, "
        f"drift {net['drift_ppm']:+.0f} ppm, latency p50 {latency['p50']:.1f} p99 "
        f"{latency['p99']:.1f} ms"
    )


def _load(told: dict[str, Any], before: dict[str, Any] | None) -> float:
    """Give the load since the message before, or since the start."""
    if before is None or told["seconds"] <= before["seconds"]:
        return float(told["load"])
    busy_s = told["load"] * told["seconds"] - before["load"] * before["seconds"]
    return float(max(0.0, busy_s / (told["seconds"] - before["seconds"])))


def _plugins(told: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in _PLUGIN_COLUMNS:
        table.add_column(column, justify="left" if column in ("plugin", "") else "right")
    block_ms = 1e3 * told["block_frames"][1] / told["sample_rate"]
    for plugin in told["plugins"]:
        busy, worker = plugin["busy_ms"], plugin["worker"] or {}
        late = worker.get("late", {}).get("total", 0)
        marks = ["MUTED"] if plugin["muted"] else []
        marks += ["BYPASS"] if plugin["bypass"] else []
        marks += ["ABANDONED"] if worker.get("abandoned") else []
        marks += [f"failed {plugin['failures']}"] if plugin["failures"] else []
        table.add_row(
            plugin["place"],
            f"{100 * busy['p50'] / block_ms:.1f}" if block_ms else "-",
            *(f"{1e3 * busy[key]:.1f}" for key in ("p50", "p99", "max")),
            str(late) if worker else "-",
            f"{1e3 * worker['concealed_frames'] / told['sample_rate']:.0f}" if worker else "-",
            ", ".join(marks),
        )
    return table


def _levels(told: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("level", "peak dB", "rms dB", "clipped"):
        table.add_column(column, justify="left" if column == "level" else "right")
    for side in ("input", "output"):
        for number, level in enumerate(told[side], 1):
            table.add_row(
                f"{side} {number}",
                f"{level['recent_peak_dbfs']:.1f}",
                f"{level['rms_dbfs']:.1f}",
                str(level["clipped_samples"]),
            )
    return table
