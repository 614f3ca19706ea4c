# SPDX-License-Identifier: MIT
"""What ``run`` and ``demo`` share: the chain, the view while it plays, the summary."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

import click

from rtcore.chain import Chain
from rtcore.cli.chain_options import ChainChoice
from rtcore.engine import Engine

_REFRESH_S = 0.1
_LINE_EVERY_S = 60.0


def chain_for(choice: ChainChoice, sample_rate: float, channels: int | None) -> Chain:
    """Build the chain that plays: what was asked for, or a hearing aid for N3.

    Raises
    ------
    RtcoreError
        Where the chain or the audiogram is wrong, or the file is for another sample rate.
    """
    from rtcore.errors import ConfigError

    config = choice.recipe(default="N3").config_for(sample_rate, channels or 2)
    if config.sample_rate != sample_rate:
        what = (
            f"the chain is for {config.sample_rate:g} Hz and the device runs at {sample_rate:g} Hz"
        )
        remedy = f"use --rate {config.sample_rate:g}, or leave sample_rate out of the file"
        raise ConfigError(f"{choice.chain}: sample_rate", f"{what}; {remedy}")
    return config.override(channels=channels).build()


class Keys:
    """Single keys from a terminal, without waiting."""

    def __init__(self) -> None:
        self._old: Any = None

    def __enter__(self) -> Self:
        """Take single keys, where standard input is a terminal."""
        with contextlib.suppress(Exception):
            import termios
            import tty

            if sys.stdin.isatty():
                self._old = termios.tcgetattr(sys.stdin)
                tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the terminal back as it was."""
        if self._old is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._old)

    def pressed(self) -> str:
        """Give a key that waits, or nothing."""
        if self._old is None:
            return ""
        import select

        ready, _, _ = select.select([sys.stdin], [], [], 0)
        return sys.stdin.read(1) if ready else ""


def watch(engine: Engine, *, seconds: float | None, quiet: bool) -> str:
    """Show what plays until it ends, the time is up, a key or Ctrl-C ends it.

    Returns
    -------
    str
        Why it ended.
    """
    begun = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt), Keys() as keys, _view(quiet) as show:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as cleanly as Ctrl-C
        panic = False
        while not engine.wait(_REFRESH_S):
            show(engine)
            if seconds is not None and time.monotonic() - begun >= seconds:
                return "the time is up"
            key = keys.pressed()
            if key == "q":
                return "stopped by the user"
            panic = _act(engine, key, panic=panic)
        return engine.stop_reason
    return "stopped by the user"


def _act(engine: Engine, key: str, *, panic: bool) -> bool:
    """Do what a key asks for; say whether the panic mute is on."""
    if not engine.safety.enabled:
        return panic
    if key in (" ", "p"):
        engine.panic(on=not panic)
        return not panic
    if key in ("+", "-"):
        engine.set_volume_db(engine.volume_target_db + (3.0 if key == "+" else -3.0))
    return panic


@contextlib.contextmanager
def _view(quiet: bool) -> Iterator[Callable[[Engine], None]]:
    if quiet or not sys.stderr.isatty():
        yield _Lines(quiet=quiet).show
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), refresh_per_second=10, transient=True) as live:
        yield lambda engine: live.update(_table(engine))


class _Lines:
    """One line a minute, where nobody looks at a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._last = time.monotonic()

    def show(self, engine: Engine) -> None:
        if not self._quiet and time.monotonic() - self._last >= _LINE_EVERY_S:
            self._last = time.monotonic()
            stats = engine.stats()
            click.echo(
                f"{stats['state']}: {stats['seconds']:.0f} s, {stats['late']['total']} of "
                f"{stats['blocks']} blocks late",
                err=True,
            )


def _table(engine: Engine) -> Any:
    """Draw the view: levels, then a few lines."""
    from rich.console import Group
    from rich.text import Text

    stats = engine.stats()
    title = Text(f"rtcore: {stats['state']} on {stats['backend']}", style="bold")
    return Group(title, _levels(engine, stats), *(Text(line) for line in _lines_of(engine, stats)))


def _levels(engine: Engine, stats: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("", "peak dB", "rms dB", "", "clipped"):
        table.add_column(column, justify="right" if column else "left")
    calibration = engine.safety.calibration
    for side in ("input", "output"):
        for k, level in enumerate(stats[side]):
            rms_db = level["rms_dbfs"]
            spl = calibration.describe(rms_db + calibration.db_spl_at_rms_1)
            table.add_row(
                f"{side} {k + 1} {_bar(level['recent_peak_dbfs'])}",
                f"{level['recent_peak_dbfs']:.1f}",
                f"{rms_db:.1f}",
                spl if side == "output" else "",
                str(level["clipped_samples"]),
            )
    return table


def _lines_of(engine: Engine, stats: dict[str, Any]) -> Iterator[str]:
    late, latency, rate = stats["late"], stats["latency"], stats["sample_rate"]
    total = latency["chain_frames"] + sum(latency["device_frames"].values())
    yield f"load {100 * stats['load']:.1f} %, block time p99 {stats['busy_ms']['p99']:.3f} ms"
    yield (
        f"late {late['total']} of {stats['blocks']} blocks (longest run {late['longest_run']}), "
        f"device xruns {stats['device_xruns']}, reopened {stats['reopened']}"
    )
    yield f"latency {latency['chain_ms']:.2f} ms chain, {1e3 * total / rate:.2f} ms with the device"
    for plugin in stats["plugins"]:
        mark = "  MUTED" if plugin["muted"] else ""
        yield f"  {plugin['place']}  p99 {1e3 * plugin['busy_ms']['p99']:.0f} us{mark}"
        if plugin["worker"] is not None:
            yield f"    worker: {_worker(plugin['worker'])}"
    if engine.safety.enabled:
        limited = stats["limited_frames"] / rate
        yield f"volume {stats['volume_db']:.0f} dB, safety limiter at work for {limited:.1f} s"
        yield "keys: q quits, space mutes at once, + and - change the volume"
    else:
        yield "keys: q quits"


def _worker(worker: dict[str, Any]) -> str:
    """Say how a worker kept up, in one line."""
    late, hop = worker["late"], worker["hop_ms"]
    parts = [
        f"p50 {hop['p50']:.2f} ms, p99 {hop['p99']:.2f} ms a hop",
        f"{late['total']} of {worker['hops']} hops late (longest run {late['longest_run']})",
    ]
    told = {"errors": "failed", "dropped_hops": "dropped", "resets": "resets"}
    parts += [f"{worker[key]} {word}" for key, word in told.items() if worker[key]]
    return ", ".join([*parts, *(["ABANDONED"] if worker["abandoned"] else [])])


def _bar(level_db: float, width: int = 24) -> str:
    filled = max(0, min(width, round(width * (level_db + 72.0) / 72.0)))
    return "█" * filled + "·" * (width - filled)


def print_summary(stats: dict[str, Any]) -> None:
    """Print what happened, as a table."""
    from rtcore.cli.output import print_table

    late, busy, rate = stats["late"], stats["busy_ms"], stats["sample_rate"]
    latency = stats["latency"]
    rows = [
        ("ended", stats["stop_reason"]),
        (
            "played",
            (
                f"{stats['seconds']:.1f} s at {rate:g} Hz in {stats['blocks']} blocks of "
                f"{_blocks(stats)} frames"
            ),
        ),
        (
            "late blocks",
            f"{late['total']} ({late['percent']:.2f} %), longest run {late['longest_run']}",
        ),
        (
            "block time",
            f"p50 {busy['p50']:.3f} ms, p99 {busy['p99']:.3f} ms, max {busy['max']:.3f} ms",
        ),
        ("load", f"{100 * stats['load']:.2f} % of one core"),
        (
            "latency",
            (
                f"{latency['chain_frames']} frames = {latency['chain_ms']:.2f} ms in the "
                f"chain{_device(latency, rate)}"
            ),
        ),
        (
            "output",
            ", ".join(
                f"peak {c['peak_dbfs']:.1f} dBFS, {c['clipped_samples']} clipped"
                for c in stats["output"]
            ),
        ),
    ]
    if stats["device_xruns"]:
        rows.append(("device xruns", str(stats["device_xruns"])))
    if stats["reopened"]:
        rows.append(("reopened", f"{stats['reopened']} times"))
    if stats["limited_frames"]:
        rows.append(("safety limiter", f"worked for {stats['limited_frames'] / rate:.2f} s"))
    for plugin in stats["plugins"]:
        state = f", muted after {plugin['faults']} fault" if plugin["faults"] else ""
        state += f", failed in {plugin['failures']} hops" if plugin["failures"] else ""
        rows.append(
            (
                plugin["id"],
                (
                    f"p50 {1e3 * plugin['busy_ms']['p50']:.1f} us, p99 "
                    f"{1e3 * plugin['busy_ms']['p99']:.1f} us a block{state}"
                ),
            )
        )
        if plugin["worker"] is not None:
            rows.append((f"{plugin['id']}, worker", _worker(plugin["worker"])))
    print_table(("session", ""), rows)


def _blocks(stats: dict[str, Any]) -> str:
    low, high = stats["block_frames"]
    return str(high) if low == high else f"{low} to {high}"


def _device(latency: dict[str, Any], rate: float) -> str:
    parts = [f"{name} {frames} frames" for name, frames in latency["device_frames"].items()]
    if not parts:
        return ""
    total = latency["chain_frames"] + sum(latency["device_frames"].values())
    return f" + {', '.join(parts)} by the device's own account = {1e3 * total / rate:.2f} ms"


def late_notice(text: str) -> Callable[[], None]:
    """Say what takes so long, if it takes noticeably long; call the result when it is done."""
    timer = threading.Timer(1.5, lambda: click.echo(text, err=True))
    timer.daemon = True
    timer.start()
    return timer.cancel


def compiling_notice() -> Callable[[], None]:
    """Say so where the first start compiles; call the result when that is done."""
    return late_notice("compiling (the first start takes some seconds; later ones do not) ...")
