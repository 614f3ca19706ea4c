# SPDX-License-Identifier: MIT
"""``rtcore calibrate``: tie a device's full scale to sound pressure, with a level meter."""

from __future__ import annotations

import math
from typing import Literal

import click

_TONE_HZ = 1000.0
_TONE_DBFS = -40.0
_READINGS_DB = (20.0, 120.0)


@click.command()
@click.option("-o", "--output", "target", help="Output device (index or name).")
@click.option(
    "--backend", type=click.Choice(["auto", "portaudio", "jack"]), default="auto", show_default=True
)
@click.option(
    "--rate",
    type=click.IntRange(8000, 384000),
    help="Sample rate in Hz; the device's own by default.",
)
@click.option(
    "--level",
    "level_dbfs",
    type=click.FloatRange(-80, -20),
    default=_TONE_DBFS,
    show_default=True,
    help="RMS of the tone in dB re 1.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 60),
    default=5.0,
    show_default=True,
    help="How long it sounds.",
)
@click.option(
    "--reading",
    "reading_db",
    type=float,
    help="The meter's reading in dB SPL; asked for where it is absent.",
)
@click.option(
    "--input",
    "direction",
    flag_value="input",
    help="Store the reading of a microphone instead: see below.",
)
@click.option(
    "--rms",
    type=click.FloatRange(min=0, min_open=True),
    help="With --input: RMS that rtcore showed for that sound.",
)
def calibrate(
    target: str | None,
    backend: str,
    rate: int | None,
    level_dbfs: float,
    seconds: float,
    reading_db: float | None,
    direction: str | None,
    rms: float | None,
) -> None:
    """Play a quiet 1 kHz tone, take the reading of a sound level meter, and store it.

    Hold the meter where the ear is (in a coupler, for headphones).  Every SPL that rtcore shows is
    marked uncalibrated until this was done.  For a microphone: let a steady sound play, read the
    meter beside the microphone and the RMS from `rtcore run`, and give both:

        rtcore calibrate --input --rms 0.0123 --reading 72
    """
    from rtcore.cli.live_options import backend_for, output_name
    from rtcore.errors import ParameterError
    from rtcore.hearing import Calibration, save_calibration

    options = {"backend": backend, "source": "none", "target": target, "block_frames": 256}
    chosen = backend_for(options)
    name = output_name(chosen)
    if direction == "input":
        if rms is None or reading_db is None:
            raise ParameterError("--input", "a microphone needs both --rms and --reading")
        name, level = _input_name(chosen, target), rms
    else:
        level = 10.0 ** (level_dbfs / 20.0)
        _play(chosen, rate, level, seconds)
        if reading_db is None:
            reading_db = click.prompt("reading of the meter in dB SPL", type=float)
    low, high = _READINGS_DB
    if not low <= reading_db <= high:
        raise ParameterError(
            "--reading", f"must be between {low:g} and {high:g} dB SPL, got {reading_db:g}"
        )
    calibration = Calibration.from_reading(reading_db, level)
    side: Literal["input", "output"] = "input" if direction == "input" else "output"
    path = save_calibration(calibration, name, side)
    click.echo(
        f"{name} ({side}): RMS 1.0 is {calibration.db_spl_at_rms_1:.1f} dB SPL; stored in {path}"
    )


def _input_name(backend: object, wished: str | None) -> str:
    if getattr(backend, "name", "") == "jack":
        return "jack"
    from rtcore.engine.backends.devices import find_device

    return find_device(wished, "input").full_name


def _play(backend: object, rate: int | None, rms: float, seconds: float) -> None:
    """Play the tone through the engine, with its fade-in and its limit."""
    from rtcore.chain import Chain
    from rtcore.engine import Engine
    from rtcore.engine.backends.base import Backend
    from rtcore.engine.tone import Tone

    if not isinstance(backend, Backend):
        return
    sample_rate = float(rate or backend.sample_rate() or 48000.0)
    chain = Chain(
        [Tone(frequency_hz=_TONE_HZ, amplitude=rms * math.sqrt(2.0))],
        sample_rate=sample_rate,
        channels=1,
    )
    click.echo(
        f"a {_TONE_HZ:g} Hz tone at {20 * math.log10(rms):.0f} dB re RMS 1 sounds for "
        f"{seconds:g} s",
        err=True,
    )
    with Engine(chain, backend) as engine:
        engine.wait(seconds)
