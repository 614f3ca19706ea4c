# SPDX-License-Identifier: MIT
"""``rtcore demo --plc``: speech through a link that loses packets, concealed in real time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from rtcore.cli.output import print_json

if TYPE_CHECKING:
    from rtcore.chain import Chain
    from rtcore.engine import Engine

_RATE_HZ = 16000
_PACKET_S = 0.02
_LOOK_S = 0.1
_SEED = 0


@dataclass(frozen=True)
class Second:
    """What a second was made of: packets, and the blocks that were late in it."""

    second: int
    heard: int
    concealed: int
    late_blocks: int
    level_dbfs: float

    def __str__(self) -> str:
        packets = f"{self.heard:3d} packets heard, {self.concealed:3d} concealed"
        level = "silent" if math.isinf(self.level_dbfs) else f"{self.level_dbfs:.1f} dBFS"
        return f"{self.second:4d} s: {packets}, {self.late_blocks} blocks late, {level}"


def demo_plc(
    speech: Path | None, *, seconds: float, block_frames: int, loss: str, out: Path, as_json: bool
) -> None:
    """Play speech through a lossy link, print each second, and write what was heard.

    Parameters
    ----------
    speech : Path or None
        A file; a speech-like signal where None.
    seconds : float
        How long.
    block_frames : int
        Of the engine.
    loss : str
        A model of the losses, such as ``gilbert:0.05,0.33``.
    out : Path
        What was heard; beside it what came through the link, without concealment.
    as_json : bool
        Print JSON at the end and nothing before.
    """
    from rtcore.chain import Chain
    from rtcore.challenges.plc.loss_models import parse_model
    from rtcore.cli.session import compiling_notice
    from rtcore.engine import Engine, TimerBackend
    from rtcore.host import find

    model = parse_model(loss)
    done = compiling_notice()
    rate, sound = _source(speech, seconds)
    packet = round(_PACKET_S * rate)
    sound = sound[: sound.size // packet * packet]
    lost = model.generate(1, sound.size // packet, np.random.default_rng(_SEED))[0]
    link = np.where(np.repeat(lost, packet), np.float32(0.0), sound)
    chain = Chain([find("plc-pitch")()], sample_rate=rate, channels=1)
    _flag(chain, lost, packet)
    raw = out.with_name(f"{out.stem}-lossy{out.suffix}")
    backend = TimerBackend(link[None], block_frames=block_frames)
    engine = Engine(chain, backend, output=out, recorded_input=raw)
    told: list[Second] = []
    with engine:
        done()
        if not as_json:
            what = f"{sound.size / rate:g} s of speech over a link that loses packets of 20 ms"
            click.echo(f"{what} ({loss}: {100 * lost.mean():.1f} %), in real time:")
        _watch(engine, lost, packet, told, quiet=as_json)
    stats = engine.stats()
    if as_json:
        seconds_told = [asdict(second) for second in told]
        print_json({**stats, "written": out, "lossy": raw, "each_second": seconds_told})
        return
    busy, gone = stats["busy_ms"], sum(second.concealed for second in told)
    packets = gone + sum(second.heard for second in told)
    click.echo(
        f"\n{gone} of {packets} packets concealed; a block took "
        f"{busy['p50']:.3f} ms (p50), {busy['p99']:.3f} ms (p99), "
        f"{stats['late']['total']} were late"
    )
    click.echo(f"written: {out}, and {raw} to compare (the holes as they came)")


def _flag(chain: Chain, lost: np.ndarray, packet: int) -> None:
    """Queue the marks of lost packets for the frames at which they begin and end."""
    from rtcore.chain.records import Command
    from rtcore.kernels.context import Flag

    before = False
    for number, gone in enumerate(lost):
        if gone != before:
            flags = int(Flag.LOST) if gone else 0
            say = {"event": "flags", "flags": flags}
            chain.stream.send(Command.FLAGS, flags, at_frame=number * packet, say=say)
        before = bool(gone)


def _watch(
    engine: Engine, lost: np.ndarray, packet: int, told: list[Second], *, quiet: bool
) -> None:
    """Tell of each second once it has been played; Ctrl-C ends the demo as its end does."""

    def tell(*, ended: bool) -> None:
        for second in _seconds(engine, lost, packet, told, ended=ended):
            told.append(second)
            if not quiet:
                click.echo(second)

    try:
        ended = False
        while not ended:
            ended = engine.wait(_LOOK_S)
            tell(ended=ended)
    except KeyboardInterrupt:
        engine.stop("stopped by the user")
        tell(ended=True)


def _seconds(
    engine: Engine, lost: np.ndarray, packet: int, told: list[Second], *, ended: bool
) -> Iterator[Second]:
    """Give the seconds that were played and not told; at the end a part of one, too."""
    rate = engine.chain.sample_rate
    every = round(rate)
    stats = engine.stats()
    played = min(int(stats["seconds"] * rate + 0.5), lost.size * packet)
    for number in range(len(told), -(-played // every) if ended else played // every):
        some = lost[number * every // packet : min((number + 1) * every, played) // packet]
        gone = int(some.sum())
        late = stats["late"]["total"] - sum(second.late_blocks for second in told)
        level = stats["output"][0]["rms_dbfs"]
        yield Second(number + 1, some.size - gone, gone, late, level)


def _source(speech: Path | None, seconds: float) -> tuple[int, Any]:
    """Give the rate and the sound, one channel."""
    from rtcore import audiofile
    from rtcore.synth import speech_like

    if speech is None:
        return _RATE_HZ, speech_like(seconds, _RATE_HZ).astype(np.float32)
    samples, rate = audiofile.read(speech)
    return rate, samples.mean(axis=0)[: round(seconds * rate)].astype(np.float32)
