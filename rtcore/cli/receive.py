# SPDX-License-Identifier: MIT
"""``rtcore receive``: sound from another machine, with what the way here lost concealed."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcore.cli.chain_options import chain_options
from rtcore.cli.live_options import safety_options
from rtcore.cli.output import json_option, print_json

if TYPE_CHECKING:
    from rtcore.engine import Engine
    from rtcore.engine.privileges import Note
    from rtcore.remote.audio.impair import Impairment
    from rtcore.remote.audio.jitter import Depth
    from rtcore.remote.audio.packets import Format
    from rtcore.remote.audio.receiver import Receiver
    from rtcore.remote.telemetry import Publisher

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_DRAWN_PACKETS = 30000
_TELEMETRY_EVERY_S = 0.5


@click.command()
@click.argument("address", default="127.0.0.1")
@chain_options
@click.option(
    "--backend",
    type=click.Choice(["auto", "portaudio", "jack", "timer"]),
    default="auto",
    show_default=True,
    help="What plays; timer plays without a device.",
)
@click.option("-o", "--output", "target", help="Output device (index or name).")
@click.option(
    "--block",
    "block_frames",
    type=click.IntRange(1, 8192),
    default=64,
    show_default=True,
    help="Frames of a block.",
)
@click.option(
    "--depth-ms",
    type=click.FloatRange(1, 2000),
    default=40.0,
    show_default=True,
    help="How long packets lie in the jitter buffer.",
)
@click.option("--adaptive", is_flag=True, help="Let the depth follow the jitter, from --depth-ms.")
@click.option("--loss", help="Lose packets on purpose: trace.txt, or a model such as ge:0.05,0.33.")
@click.option(
    "--jitter-ms",
    type=click.FloatRange(0, 2000),
    default=0.0,
    help="Hold each packet back for up to so long, on purpose.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of --loss and --jitter-ms.")
@click.option("--keys", type=_FOLDER, help="Folder with this client's keys and the sender's.")
@click.option("--name", default="client", show_default=True, help="Whose keys, in that folder.")
@click.option("--wait", "wait_s", type=click.FloatRange(min=0), default=10.0, show_default=True,
              help="Seconds to wait for the first packet.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after a while.")
@safety_options
@click.option("--record", type=_FILE, help="Write what is heard to a file.")
@click.option("--record-input", type=_FILE, help="Write what came to a file, silence where lost.")
@click.option("--log", type=_FILE, help="Write a session log for `rtcore process --replay`.")
@click.option(
    "--telemetry",
    metavar="HOST:PORT",
    help="Publish statistics at this address of this machine, for `rtcore top --telemetry`.",
)
@click.option(
    "--clock-ppm",
    type=click.FloatRange(-1000, 1000),
    default=0.0,
    help="With --backend timer: run the clock fast by so many millionths, for trials.",
)
@json_option
def receive(**options: Any) -> None:
    r"""Play live sound from an `rtcore send` at ADDRESS, 127.0.0.1:5572 by default.

    A packet that is not there when its turn comes is lost, whatever comes later, and is flagged
    to the chain; without -c or -p that is the plugin plc-pitch, which conceals it.

    \b
    Examples:
      rtcore receive studio.local --keys keys
      rtcore receive --backend timer -p plc --loss ge:0.05,0.33 --record heard.wav
    """
    from rtcore.cli.session import compiling_notice, late_notice
    from rtcore.remote.addresses import Address
    from rtcore.remote.audio.receiver import Receiver
    from rtcore.remote.keys import load_client_keys
    from rtcore.remote.sockets import AUDIO_PORT, Sockets
    from rtcore.remote.telemetry import statistics

    address = Address.read(options["address"], AUDIO_PORT, "ADDRESS")
    keys = load_client_keys(options["keys"], options["name"]) if options["keys"] else None
    bad = _impairment(options)
    with Sockets(keys) as sockets:
        receiver = Receiver(sockets, address, _depth(options), impairment=bad)
        try:
            done = late_notice(f"waiting for sound from {address.url} ...")
            form = receiver.first_format(options["wait_s"])
            done()
            done = compiling_notice()
            engine = _engine(form, options)
            done()
            _play(engine, receiver, options)
        finally:
            receiver.stop()
    told = statistics(engine, network=receiver.stats())
    if options["as_json"]:
        print_json(told)
    else:
        _summary(told)


def _depth(options: dict[str, Any]) -> Depth:
    from rtcore.remote.audio.jitter import Depth

    return Depth(options["depth_ms"] / 1e3, adaptive=options["adaptive"])


def _impairment(options: dict[str, Any]) -> Impairment:
    """Read what is to be lost on purpose."""
    import numpy as np

    from rtcore.challenges.plc.loss_models import parse_model
    from rtcore.challenges.plc.traces import read_trace
    from rtcore.remote.audio.impair import Impairment

    text = options["loss"]
    lost = None
    if text is not None and ":" in text:
        kind, _, numbers = text.partition(":")
        if kind == "ge":  # with two numbers all is lost in the bad state, and nothing in the good
            kind = "gilbert" if numbers.count(",") < 2 else "gilbert-elliott"
        rng = np.random.default_rng(options["seed"])
        lost = parse_model(f"{kind}:{numbers}").generate(1, _DRAWN_PACKETS, rng)[0]
    elif text is not None:
        lost = read_trace(text)
    return Impairment(lost, jitter_s=options["jitter_ms"] / 1e3, seed=options["seed"])


def _engine(form: Format, options: dict[str, Any]) -> Engine:
    """Make the engine for what comes."""
    from rtcore import Chain
    from rtcore.cli.live_options import backend_for, safety_for
    from rtcore.engine import Engine
    from rtcore.engine.inlet import Inlet
    from rtcore.errors import DeviceError
    from rtcore.host import find

    device = {**options, "source": "none", "rate": form.sample_rate}
    if options["backend"] == "timer":
        device["source"] = None
    backend = backend_for(device)
    if backend.name == "timer":
        backend.clock_ppm = options["clock_ppm"]
    elif options["clock_ppm"]:
        what = "--clock-ppm changes the clock of --backend timer; a device keeps its own"
        raise click.UsageError(what)
    rate = backend.sample_rate()
    if rate is not None and round(rate) != form.sample_rate:
        what = f"the device runs at {rate:g} Hz and the packets have {form.sample_rate} Hz"
        raise DeviceError(f"{what}; send at the device's rate: rtcore send --rate {rate:g}")
    if options["choice"].given:
        config = options["choice"].recipe().config_for(float(form.sample_rate), form.channels)
        chain = config.override(dtype="float32").build()
    else:
        chain = Chain(
            [find("plc-pitch")()], sample_rate=float(form.sample_rate), channels=form.channels
        )
    return Engine(
        chain,
        backend,
        safety=safety_for(backend, {**options, "headphones": True}),
        output=options["record"],
        recorded_input=options["record_input"],
        log=options["log"],
        on_message=_say,
        inlet=Inlet(form.sample_rate, form.channels, form.frames),
    )


def _play(engine: Engine, receiver: Receiver, options: dict[str, Any]) -> None:
    """Play until the time is up, a key or Ctrl-C ends it."""
    from rtcore.cli.session import watch
    from rtcore.remote.audio.priority import prefer_network

    assert engine.inlet is not None
    with ExitStack() as stack:
        publisher = _publisher(engine, receiver, options["telemetry"], stack)
        stack.enter_context(engine)
        receiver.start(engine.inlet)
        if publisher is not None:
            publisher.start()  # what it tells of the network is whole from now on
        _tell(prefer_network())
        if not options["as_json"]:
            _say(f"playing {receiver.form} from {receiver.address.url}")
        engine.stop(watch(engine, seconds=options["seconds"], quiet=options["as_json"]))
    if receiver.error is not None:
        raise receiver.error


def _tell(note: Note | None) -> None:
    """Say what the system did not grant."""
    if note is not None:
        _say(f"note: {note}")


def _publisher(
    engine: Engine, receiver: Receiver, text: str | None, stack: ExitStack
) -> Publisher | None:
    """Make what will publish the engine's and the network's statistics, as `rtcore serve` does."""
    if not text:
        return None
    import zmq

    from rtcore.remote.addresses import Address
    from rtcore.remote.sockets import TELEMETRY_PORT, Sockets
    from rtcore.remote.telemetry import HIGH_WATER, Publisher, statistics

    address = Address.read(text, TELEMETRY_PORT, "--telemetry")
    sockets = stack.enter_context(Sockets())
    socket = sockets.bind(zmq.PUB, address, hwm=HIGH_WATER)
    publisher = Publisher(
        socket,
        _TELEMETRY_EVERY_S,
        {"stats": lambda: statistics(engine, network=receiver.stats())},
    )
    stack.callback(publisher.close)
    return publisher


def _summary(told: dict[str, Any]) -> None:
    """Print what happened, as tables."""
    from rtcore.cli.output import print_table
    from rtcore.cli.session import print_summary

    print_summary(told)
    net = told["network"]
    latency = net["latency_ms"]
    runs = ", ".join(f"{count} of {length}" for length, count in net["bursts"].items())
    rows = [
        ("stream", net["format"]),
        ("packets", f"{net['packets']} due, {net['lost']} lost ({net['loss_percent']:g} %)"),
        ("late", f"{net['late']} came after their turn, {net['duplicates']} came twice"),
        ("bursts", runs or "none"),
        ("jitter", f"{net['jitter_ms']:g} ms"),
        ("depth", f"{net['depth_ms']} ms, wanted {net['target_ms']:g} ms"),
        ("drift", f"{net['drift_ppm']:g} ppm"),
        ("latency", f"p50 {latency['p50']:.1f} ms, max {latency['max']:.1f} ms, from the capture"),
        ("begun anew", f"{net['restarts']} times"),
    ]
    if net["refused_messages"]:
        rows.append(("refused", f"{net['refused_messages']} messages: {net['refusal']}"))
    print_table(("network", ""), rows)


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
