# SPDX-License-Identifier: MIT
"""``rtcore serve``: an engine that is steered from elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rtcore.cli.chain_options import chain_options
from rtcore.cli.live_options import (
    backend_for,
    device_options,
    explain,
    safety_for,
    safety_options,
    source_rate,
)

_FOLDER = click.Path(path_type=Path)


@click.command()
@chain_options
@device_options
@safety_options
@click.option(
    "--control",
    default="127.0.0.1:5570",
    show_default=True,
    metavar="HOST:PORT",
    help="Where requests are answered; port * takes a free one.",
)
@click.option(
    "--telemetry",
    default="127.0.0.1:5571",
    show_default=True,
    metavar="HOST:PORT",
    help="Where telemetry is published.",
)
@click.option(
    "--keys",
    type=_FOLDER,
    metavar="FOLDER",
    help="CURVE keys; needed for any address but this machine's own.",
)
@click.option("--keygen", is_flag=True, help="Make keys in --keys FOLDER, and leave.")
@click.option(
    "--client", default="client", show_default=True, help="Whose keys --keygen makes: a name."
)
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.02, 60.0),
    default=0.5,
    show_default=True,
    help="Seconds between two messages of telemetry.",
)
@click.option("--presets", type=_FOLDER, metavar="FOLDER", help="Where presets are saved.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after a while.")
@click.option("--idle", is_flag=True, help="Wait for a client's `start` before anything plays.")
def serve(**options: Any) -> None:
    """Play a chain, and let clients on this machine steer it (rtcore ctl, rtcore top).

    Other machines may connect where --keys names a folder of CURVE keys, and only those whose key
    lies in its folder `clients`.  The first line says where requests are answered.
    """
    if options["keygen"]:
        _make_keys(options["keys"], options["client"])
        return
    from rtcore.cli.session import chain_for, compiling_notice
    from rtcore.engine import Engine
    from rtcore.remote.addresses import Address
    from rtcore.remote.keys import load_server_keys
    from rtcore.remote.server import Server
    from rtcore.remote.sockets import CONTROL_PORT, TELEMETRY_PORT, check_open

    control = Address.read(options["control"], CONTROL_PORT, "--control")
    telemetry = Address.read(options["telemetry"], TELEMETRY_PORT, "--telemetry")
    keys = None if options["keys"] is None else load_server_keys(options["keys"])
    for address in (control, telemetry):
        check_open(address, keys)  # before anything is compiled
    done = compiling_notice()
    backend = backend_for(options)
    rate = options["rate"] or backend.sample_rate() or source_rate(options)
    chain = chain_for(options["choice"], float(rate), options["channels"])
    server = Server(
        chain,
        lambda chain: _engine(chain, options, Engine, server.say),
        control=control,
        telemetry_at=telemetry,
        keys=keys,
        every_s=options["every_s"],
        presets=options["presets"],
        on_message=_say,
    )
    try:
        if not options["idle"]:
            server.player.start()  # before clients come in: from then on only they steer
        done()
        server.start()
        click.echo(f"control {server.control_endpoint}, telemetry {server.telemetry_endpoint}")
        if server.player.engine is not None and server.player.engine.backend.live:
            explain(server.player.engine, options)
        _wait(options["seconds"])
    finally:
        server.close()


def _engine(
    chain: Any, options: dict[str, Any], engine: type[Any], say: Callable[[str], None]
) -> Any:
    """Make an engine with a fresh backend."""
    backend = backend_for(options)
    return engine(chain, backend, safety=safety_for(backend, options), on_message=say)


def _wait(seconds: float | None) -> None:
    """Wait for Ctrl-C, SIGTERM or the time; a server that ends so has done its work."""
    end = None if seconds is None else time.monotonic() + seconds
    quit_asked = threading.Event()
    try:
        while end is None or time.monotonic() < end:
            quit_asked.wait(0.2 if end is None else min(0.2, max(end - time.monotonic(), 0.0)))
    except KeyboardInterrupt:
        click.echo("ended by the user")


def _make_keys(folder: Path | None, client: str) -> None:
    from rtcore.remote.keys import default_folder, make_keys

    folder = folder or default_folder()
    for path in make_keys(folder, client):
        click.echo(f"wrote {path}")
    click.echo(
        f"give the client {client}.key_secret (there under the name client.key_secret) and "
        f"server.key; start the server with --keys {folder}"
    )


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
