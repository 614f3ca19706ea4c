# SPDX-License-Identifier: MIT
"""``rtcore send``: sound to other machines."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.live_options import device_options
from rtcore.cli.output import json_option, print_json

if TYPE_CHECKING:
    from rtcore.engine import Engine
    from rtcore.remote.audio.sender import Sender
    from rtcore.remote.sockets import Sockets

_LINE_EVERY_S = 60.0
_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("address", default="127.0.0.1")
@click.option("-c", "--chain", type=_FILE, metavar="CHAIN.toml", help="Play through it first.")
@device_options
@click.option(
    "--packet-ms",
    type=click.Choice(["10", "20"]),
    default="20",
    show_default=True,
    help="Length of a packet.",
)
@click.option(
    "--encoding",
    type=click.Choice(["pcm16", "pcm24", "float32"]),
    default="pcm24",
    show_default=True,
    help="How samples travel.",
)
@click.option("--keys", type=_FOLDER, help="The server's keys: who may listen from elsewhere.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after a while.")
@click.option(
    "--clock-ppm",
    type=click.FloatRange(-1000, 1000),
    default=0.0,
    help="With --backend timer: run the clock fast by so many millionths, for trials.",
)
@json_option
def send(**options: Any) -> None:
    r"""Send live sound to every `rtcore receive` that connects to ADDRESS.

    ADDRESS is where to listen, 127.0.0.1:5572 by default; any other address than this machine's
    own needs --keys (made by `rtcore serve --keygen`).

    \b
    Examples:
      rtcore send --backend timer -i speech
      rtcore send 0.0.0.0 --keys keys -o none
    """
    from rtcore.cli.session import compiling_notice
    from rtcore.remote.audio.priority import prefer_network
    from rtcore.remote.keys import load_server_keys
    from rtcore.remote.sockets import Sockets

    done = compiling_notice()
    keys = load_server_keys(options["keys"]) if options["keys"] else None
    with Sockets(keys, on_refused=_say) as sockets:
        engine, sender = _sending(sockets, options)
        try:
            with engine:
                done()
                note = prefer_network()
                if note is not None:
                    _say(f"note: {note}")
                if not options["as_json"]:
                    _say(f"sending {sender.form} at {sender.url}")
                engine.stop(_wait(engine, sender, options))
        finally:
            sender.close()
    told = {"sender": sender.stats(), "engine": engine.stats()}
    if options["as_json"]:
        print_json(told)
    else:
        _say(f"{engine.stop_reason}: {sender.sequence} packets sent, {_late(engine)}")


def _sending(sockets: Sockets, options: dict[str, Any]) -> tuple[Engine, Sender]:
    """Make the engine, and what sends its output."""
    from rtcore import Chain
    from rtcore.chain.config import load
    from rtcore.cli.live_options import backend_for, source_rate
    from rtcore.engine import Engine
    from rtcore.engine.safety import Safety
    from rtcore.remote.addresses import Address
    from rtcore.remote.audio.packets import Format
    from rtcore.remote.audio.sender import Sender
    from rtcore.remote.sockets import AUDIO_PORT, check_open

    address = Address.read(options["address"], AUDIO_PORT, "ADDRESS")
    check_open(address, sockets.keys)  # before anything is compiled
    backend = backend_for({**options, "target": options["target"] or "none"})
    if backend.name == "timer":
        backend.clock_ppm = options["clock_ppm"]
    elif options["clock_ppm"]:
        what = "--clock-ppm changes the clock of --backend timer; a device keeps its own"
        raise click.UsageError(what)
    rate = options["rate"] or backend.sample_rate() or source_rate(options)
    channels = options["channels"] or 1
    if options["chain"] is None:
        chain = Chain([], sample_rate=float(rate), channels=channels)
    else:
        config = load(options["chain"])
        words: dict[str, Any] = {"sample_rate": float(rate), "channels": channels}
        chain = config.override(**words).build()
    frames = round(rate * int(options["packet_ms"]) / 1000)
    form = Format(round(rate), chain.channels_out, frames, options["encoding"])
    sender = Sender(sockets, address, form)
    engine = Engine(chain, backend, safety=Safety(enabled=False), output=sender, on_message=_say)
    sender.clock = engine.clock
    return engine, sender


def _wait(engine: Engine, sender: Sender, options: dict[str, Any]) -> str:
    """Let it send until its source ends, the time is up or Ctrl-C; say why it ended."""
    begun = told = time.monotonic()
    try:
        while not engine.wait(0.1):
            now = time.monotonic()
            if options["seconds"] is not None and now - begun >= options["seconds"]:
                return "the time is up"
            if now - told >= _LINE_EVERY_S and not options["as_json"]:
                told = now
                _say(f"{sender.sequence} packets sent, {_late(engine)}")
    except KeyboardInterrupt:
        return "stopped by the user"
    return engine.stop_reason


def _late(engine: Engine) -> str:
    stats = engine.stats()
    return f"{stats['late']['total']} of {stats['blocks']} blocks late"


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
