# SPDX-License-Identifier: MIT
"""What commands that play live share: their options, and what is made from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

SOURCES = ("speech", "noise", "tone", "silence")


def device_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose devices and the stream."""
    options = [
        click.option(
            "--backend",
            type=click.Choice(["auto", "portaudio", "jack", "timer"]),
            default="auto",
            show_default=True,
        ),
        click.option(
            "-i",
            "--input",
            "source",
            help="Input device (index or name) or 'none'; with --backend timer a file, or speech, "
            "noise, tone or silence.",
        ),
        click.option("-o", "--output", "target", help="Output device (index or name), or 'none'."),
        click.option(
            "--rate",
            type=click.IntRange(1000, 384000),
            help="Sample rate in Hz; the device's own by default.",
        ),
        click.option(
            "--channels", type=click.IntRange(1, 64), help="Channels of the chain; 2 by default."
        ),
        click.option(
            "--block",
            "block_frames",
            type=click.IntRange(0, 8192),
            default=64,
            show_default=True,
            help="Frames of a block.",
        ),
    ]
    return _with(command, options)


def safety_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the last stage before the ears."""
    options = [
        click.option(
            "--volume",
            "volume_db",
            type=click.FloatRange(-120, 0),
            help="Volume in dB to begin with.",
        ),
        click.option(
            "--headphones",
            is_flag=True,
            help="The microphone cannot hear the output: begin at full volume.",
        ),
        click.option(
            "--unsafe", is_flag=True, help="Lift the safety limit, the fade-in and the panic key."
        ),
    ]
    return _with(command, options)


def _with(command: Callable[..., Any], options: list[Callable[..., Any]]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def backend_for(options: dict[str, Any]) -> Any:
    """Choose the backend: JACK where a server runs and no device is named, else PortAudio."""
    from rtcore.engine import JackBackend, PortAudioBackend, TimerBackend
    from rtcore.errors import DeviceError
    from rtcore.synth import endless

    wished = options["backend"]
    named = {options["source"], options["target"]} - {None, "none"}
    if wished == "timer":
        block = max(1, options["block_frames"])
        if options["source"] in SOURCES:
            return TimerBackend(
                endless(options["source"], source_rate(options)), block_frames=block
            )
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


def source_rate(options: dict[str, Any]) -> float:
    """Give the sample rate where no device has one."""
    from rtcore import audiofile

    if options["rate"] or options["source"] is None or options["source"] in SOURCES:
        return float(options["rate"] or 48000)
    return float(audiofile.info(options["source"]).sample_rate)


def safety_for(backend: Any, options: dict[str, Any]) -> Any:
    """Choose the last stage; quieter where the microphone may hear the output."""
    from rtcore.engine import Safety
    from rtcore.engine.safety import SAME_MACHINE_DB
    from rtcore.hearing import load_calibration

    if not backend.live or options["unsafe"]:
        return Safety(enabled=False)
    calibration = load_calibration(output_name(backend), "output")
    start_db = 0.0 if options["headphones"] or not _may_howl(backend) else SAME_MACHINE_DB
    if options["volume_db"] is not None:
        start_db = options["volume_db"]
    return Safety(calibration=calibration, start_db=start_db)


def output_name(backend: Any) -> str:
    """Give the name by which a backend's output is calibrated."""
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


def explain(engine: Any, options: dict[str, Any]) -> None:
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
