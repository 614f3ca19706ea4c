# SPDX-License-Identifier: MIT
"""``rtcore demo``: the main job with no set-up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rtcore.cli.chain_options import ChainChoice, ListenerChoice, listener_options
from rtcore.cli.output import json_option, print_json, print_table

_RATE_HZ = 48000
_SPEECH_RMS = 0.0178  # 65 dB SPL where RMS 1.0 is 100 dB SPL
_LOSS = "gilbert:0.05,0.33"
_GAIN_COLUMNS = ("ear", "band Hz", "measured dB", "filter dB", "prescribed dB")
_GAIN_TITLE = "insertion gain in third-octave bands: of the file, of the filter alone, of NAL-R"


@click.command(short_help="Hear a hearing aid in real time, without a sound card.")
@click.argument("speech", required=False, type=click.Path(path_type=Path))
@listener_options
@click.option("--seconds", type=click.FloatRange(0.5, 3600), default=10.0, show_default=True)
@click.option(
    "--block",
    "block_frames",
    type=click.IntRange(1, 8192),
    default=64,
    show_default=True,
    help="Frames of a block.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("rtcore-demo.wav"),
    show_default=True,
)
@click.option("--plc", is_flag=True, help="Send it over a link that loses packets, and conceal.")
@click.option(
    "--loss",
    show_default=_LOSS,
    metavar="MODEL",
    help="How --plc loses packets; see `rtcore plc make --help`.",
)
@json_option
def demo(
    speech: Path | None,
    listener: ListenerChoice,
    seconds: float,
    block_frames: int,
    out: Path,
    plc: bool,
    loss: str | None,
    as_json: bool,
) -> None:
    """Hear a personalised hearing aid in real time, without a sound card.

    Ten seconds of speech (SPEECH, or a speech-like signal made on the spot) run through NAL-R, the
    compressor and a limiter, paced like a sound card, and end up in a file to listen to.

    With --plc the speech comes over a link that loses packets instead, which are concealed.
    """
    if loss and not plc:
        raise click.UsageError("--loss says how --plc loses packets; give both, or neither")
    if plc and listener.given:
        raise click.UsageError("--plc plays to normal hearing; leave the listener's options out")
    if plc:
        from rtcore.cli.demo_plc import demo_plc

        how: dict[str, Any] = {"out": out, "as_json": as_json, "loss": loss or _LOSS}
        demo_plc(speech, seconds=seconds, block_frames=block_frames, **how)
        return
    from rtcore.cli.session import chain_for, compiling_notice, print_summary, watch
    from rtcore.engine import Engine, TimerBackend

    done = compiling_notice()
    rate, source = _source(speech, seconds)
    chain = chain_for(ChainChoice(None, (), listener, None), rate, 2)
    unaided = out.with_name(f"{out.stem}-unaided{out.suffix}")
    backend = TimerBackend(source, block_frames=block_frames)
    engine = Engine(chain, backend, output=out, recorded_input=unaided)
    with engine:
        done()
        if not as_json:
            row = ", ".join(placed.node.plugin.id for placed in chain.nodes)
            length = source.shape[1] / rate
            what = f"{length:g} s of speech through {row} for {_who(listener)}"
            click.echo(f"{what}, in real time:")
        engine.stop(watch(engine, seconds=None, quiet=as_json))
    stats = engine.stats()
    gains = _insertion_gains(source, out, rate, chain)
    if as_json:
        print_json({**stats, "written": out, "unaided": unaided, "insertion_gain": gains})
        return
    print_summary(stats)
    click.echo()
    print_table(_GAIN_COLUMNS, gains, title=_GAIN_TITLE)
    click.echo(f"\nwritten: {out}, and {unaided} to compare (the aided one is much louder)")


def _who(listener: ListenerChoice) -> str:
    if listener.audiogram:
        return listener.audiogram
    return "your audiogram" if listener.given else "N3 (Bisgaard's moderate loss)"


def _source(speech: Path | None, seconds: float) -> tuple[int, Any]:
    """Give the rate and the sound at 65 dB SPL (by the default calibration), stereo."""
    import numpy as np

    from rtcore import audiofile
    from rtcore.synth import speech_like

    if speech is None:
        mono, rate = speech_like(seconds, _RATE_HZ), _RATE_HZ
    else:
        samples, rate = audiofile.read(speech)
        mono = samples.mean(axis=0)[: round(seconds * rate)]
        level = float(np.sqrt(np.mean(mono**2)))
        mono = mono * (_SPEECH_RMS / level if level > 0 else 1.0)
    return rate, np.tile(mono.astype(np.float32), (2, 1))


def _insertion_gains(
    source: Any, out: Path, rate: int, chain: Any
) -> list[tuple[str, int, float, float, float]]:
    """Compare what was prescribed, what the filter gives this sound, and what was written."""
    from rtcore import audiofile
    from rtcore.hearing import OCTAVES_HZ, gain_per_octave, nalr_taps, resolve_listener
    from rtcore.hearing.insertion import expected_gain_db, insertion_gain_db

    aided, _ = audiofile.read(out)
    plugin = chain.nodes[0].node.plugin
    listener = resolve_listener(plugin.audiogram, listeners=chain.spec.listeners)
    centres = tuple(float(frequency) for frequency in OCTAVES_HZ)
    rows: list[tuple[str, int, float, float, float]] = []
    for channel, ear in enumerate(("left", "right")):
        loss, before = listener.ears[channel], source[channel]
        taps = nalr_taps(loss, plugin.nfir, rate)
        measured = insertion_gain_db(before, aided[channel], rate, centres)
        filtered = expected_gain_db(before, taps, rate, centres)
        wanted = gain_per_octave(loss)
        for band in measured:
            gains = (measured[band], filtered[band], wanted[band])
            first, second, third = (round(gain, 1) for gain in gains)
            rows.append((ear, int(band), first, second, third))
    return rows
