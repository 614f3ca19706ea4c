# SPDX-License-Identifier: MIT
"""``rtcore run``: live, from microphone to headphones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rtcore.cli.chain_options import chain_options
from rtcore.cli.output import json_option, print_json

_FILE = click.Path(path_type=Path)
SOURCES = ("speech", "noise", "tone", "silence")


@click.command()
@chain_options
@click.option(
    "--backend",
    type=click.Choice(["auto", "portaudio", "jack", "timer"]),
    default="auto",
    show_default=True,
)
@click.option(
    "-i",
    "--input",
    "source",
    help="Input device (index or name) or 'none'; with --backend timer a file, or speech, noise, "
    "tone or silence.",
)
@click.option("-o", "--output", "target", help="Output device (index or name), or 'none'.")
@click.option(
    "--rate",
    type=click.IntRange(1000, 384000),
    help="Sample rate in Hz; the device's own by default.",
)
@click.option("--channels", type=click.IntRange(1, 64), help="Channels of the chain; 2 by default.")
@click.option(
    "--block",
    "block_frames",
    type=click.IntRange(0, 8192),
    default=64,
    show_default=True,
    help="Frames of a block.",
)
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after a while.")
@click.option(
    "--volume", "volume_db", type=click.FloatRange(-120, 0), help="Volume in dB to begin with."
)
@click.option(
    "--headphones",
    is_flag=True,
    help="The microphone cannot hear the output: begin at full volume.",
)
@click.option(
    "--unsafe", is_flag=True, help="Lift the safety limit, the fade-in and the panic key."
)
@click.option("--watch", "watching", is_flag=True, help="Reload plugin files when they are edited.")
@click.option("--record", type=_FILE, help="Write what goes out to a file.")
@click.option("--record-input", type=_FILE, help="Write what came in to a file.")
@click.option("--log", type=_FILE, help="Write a session log for `rtcore process --replay`.")
@json_option
def run(**options: Any) -> None:
    """Play live: microphone to headphones, through a chain.

    Keys while it plays: q quits, space mutes at once (and again brings the sound back), + and -
    change the volume.  Ctrl-C ends cleanly and prints the summary.
    """
    from rtcore.cli.session import chain_for, compiling_notice, print_summary, watch
    from rtcore.engine import Engine
    from rtcore.engine.reload import PluginWatch

    done = compiling_notice()
    backend = _backend(options)
    rate = options["rate"] or backend.sample_rate() or _file_rate(options)
    chain = chain_for(options["choice"], float(rate), options["channels"])
    safety = _safety(backend, options)
    engine = Engine(
        chain,
        backend,
        safety=safety,
        output=options["record"],
        recorded_input=options["record_input"],
        log=options["log"],
        on_message=_say,
    )
    with engine:
        done()
        if backend.live and not options["as_json"]:
            _explain(engine, options)
        watcher = PluginWatch(engine, _say) if options["watching"] else None
        if watcher is not None:
            watcher.start()
        try:
            reason = watch(engine, seconds=options["seconds"], quiet=options["as_json"])
        finally:
            if watcher is not None:
                watcher.stop()
        engine.stop(reason)
    if options["as_json"]:
        print_json(engine.stats())
    else:
        print_summary(engine.stats())


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def _backend(options: dict[str, Any]) -> Any:
    """Choose the backend: JACK where a server runs and no device is named, else PortAudio."""
    from rtcore.engine import JackBackend, PortAudioBackend, TimerBackend
    from rtcore.errors import DeviceError
    from rtcore.synth import endless

    wished = options["backend"]
    named = {options["source"], options["target"]} - {None, "none"}
    if wished == "timer":
        block = max(1, options["block_frames"])
        if options["source"] in SOURCES:
            return TimerBackend(endless(options["source"], _file_rate(options)), block_frames=block)
        return TimerBackend(options["source"], block_frames=block)
    if wished == "jack" or (wished == "auto" and not named):
        backend = JackBackend(
            inputs=0 if options["source"] == "none" else None,
            outputs=0 if options["target"] == "none" else None,
        )
        try:
            backend.sample_rate()
        except DeviceError:
            if wished == "jack":
                raise
        else:
            return backend
    kind = (
        "output"
        if options["source"] == "none"
        else "input"
        if options["target"] == "none"
        else "duplex"
    )
    return PortAudioBackend(
        input_device=None if options["source"] == "none" else options["source"],
        output_device=None if options["target"] == "none" else options["target"],
        kind=kind,  # type: ignore[arg-type]  # one of the three
        block_frames=options["block_frames"],
    )


def _file_rate(options: dict[str, Any]) -> float:
    """Give the sample rate where no device has one."""
    from rtcore import audiofile

    if options["rate"] or options["source"] is None or options["source"] in SOURCES:
        return float(options["rate"] or 48000)
    return float(audiofile.info(options["source"]).sample_rate)


def _safety(backend: Any, options: dict[str, Any]) -> Any:
    """Choose the last stage; quieter where the microphone may hear the output."""
    from rtcore.engine import Safety
    from rtcore.engine.safety import SAME_MACHINE_DB
    from rtcore.hearing import load_calibration

    if not backend.live or options["unsafe"]:
        return Safety(enabled=False)
    calibration = load_calibration(_output_name(backend), "output")
    start_db = 0.0 if options["headphones"] or not _may_howl(backend) else SAME_MACHINE_DB
    if options["volume_db"] is not None:
        start_db = options["volume_db"]
    return Safety(calibration=calibration, start_db=start_db)


def _output_name(backend: Any) -> str:
    if backend.name == "jack":
        return "jack"
    _, target = backend.devices()
    return target.full_name if target else ""


def _may_howl(backend: Any) -> bool:
    """Say whether input and output are one machine's, as far as can be told."""
    if backend.name == "jack":
        return True
    source, target = backend.devices()
    return bool(source and target and source.host_api == target.host_api)


def _explain(engine: Any, options: dict[str, Any]) -> None:
    """Say once why the output is limited, and what the system did not grant."""
    if options["unsafe"]:
        click.echo("warning: no safety limit; hearing-aid gain can be dangerously loud", err=True)
    else:
        click.echo(engine.safety.describe(), err=True)
        if engine.safety.start_db < 0:
            why = (
                ""
                if options["volume_db"] is not None
                else " (microphone and loudspeaker may hear each other; --headphones begins "
                "at 0 dB)"
            )
            click.echo(f"volume {engine.safety.start_db:g} dB{why}", err=True)
    for note in engine.notes:
        click.echo(f"note: {note}", err=True)
