# SPDX-License-Identifier: MIT
"""``rtcore top``: how a served engine is doing, as a table that is drawn anew all the time."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import click

from rtcore.cli.output import json_option, print_json
from rtcore.cli.remote_options import There, remote_options
from rtcore.errors import DeviceError

_PLUGIN_COLUMNS = ("plugin", "load %", "p50 us", "p99 us", "max us", "late", "concealed ms", "")


@click.command()
@remote_options
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many tables.")
@json_option
def top(there: There, count: int | None, as_json: bool) -> None:
    """Show each plugin's load and times, lateness, levels and the device of a served engine.

    On a terminal the table stays in its place until Ctrl-C; elsewhere one is printed and that is
    all, unless --count says otherwise.
    """
    wanted = count if count is not None else None if sys.stdout.isatty() and not as_json else 1
    with there.client() as client, _view(once=wanted == 1 or as_json) as show:
        shown, before = 0, None
        # A server that tells nothing for so long is gone, or its engine was never started.
        for _topic, told in client.watch(["stats"], timeout_s=max(there.timeout_s, 2.0)):
            if as_json:
                print_json(told)
            else:
                show(_drawn(told, before, client.address.url))
            before, shown = told, shown + 1
            if shown == wanted:
                return
        msg = (
            f"{client.address.url}: no telemetry came within {max(there.timeout_s, 2.0):g} s; "
            "start the engine (rtcore ctl start), and open the port of its telemetry"
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
