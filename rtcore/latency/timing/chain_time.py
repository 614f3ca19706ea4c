# SPDX-License-Identifier: MIT
"""The computing time of a chain, as the engine counts it: on a native thread, paced by a clock."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from rtcore.chain import Chain
from rtcore.engine import Engine, TimerBackend
from rtcore.engine.native import NativeEngine
from rtcore.latency.result import Timing
from rtcore.latency.systems.base import SystemFaultError
from rtcore.latency.timing.durations import Durations, Meanwhile
from rtcore.latency.timing.hog import hog
from rtcore.synth import speech_like

#: Played before anything counts, so that caches, memory and the processor's clock are warm.
WARM_UP_S = 0.5
_STEP_S = 0.1
_LOWEST_RATE_HZ = 8000.0  # of the speech-like sound
_SPEECH_S = 10.0
_PIECE = 4096
_ATTEMPTS = 100

Advance = Callable[[float], None]
_Read = TypeVar("_Read")


@functools.lru_cache(maxsize=4)
def speech(seconds: float, sample_rate: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Make mono speech-like sound at 65 dB SPL by the default calibration, float64."""
    sound = speech_like(seconds, max(sample_rate, _LOWEST_RATE_HZ))
    sound.flags.writeable = False  # all who ask get the same one
    return sound


def time_chain(
    chain: Chain, name: str, *, block_samples: int, seconds: float, hogged: bool, advance: Advance
) -> tuple[Timing, Timing | None, tuple[str, ...]]:
    """Play a chain in real time; see :func:`rtcore.latency.timing.compute.measure_compute`.

    Returns
    -------
    idle, hogged : Timing, Timing or None
        Of the blocks and of each plugin.
    notes : tuple of str
        What the system did not grant.
    """
    sound = speech(min(_SPEECH_S, seconds + 2 * WARM_UP_S), chain.sample_rate)
    # Its end joins its beginning; to make new sound meanwhile would take a core of the chain's.
    pieces = [sound[k : k + _PIECE] for k in range(0, len(sound), _PIECE)]
    backend = TimerBackend(itertools.cycle(pieces), block_frames=block_samples)
    with _playing(chain, backend) as engine:
        _play(engine, WARM_UP_S)
        idle, busy = _window(engine, seconds, advance), None
        if hogged:
            with hog():
                _play(engine, WARM_UP_S)
                busy = _window(engine, seconds, advance)
        _refuse_muted(engine, name)
        return idle, busy, tuple(engine.notes)


@contextmanager
def _playing(chain: Chain, backend: TimerBackend) -> Iterator[Engine]:
    """Let an engine play a chain, and leave the chain as one that never played."""
    engine = Engine(chain, backend).start()
    try:
        with engine:
            yield engine
    finally:
        chain.stream.measure(on=False)
        for placed in chain.nodes:
            placed.node.histogram.clear()
        chain.restart()


def _play(engine: Engine, seconds: float, advance: Advance | None = None) -> None:
    """Let it play for a while."""
    end = time.monotonic() + seconds
    left = seconds
    while left > 0.0:
        before = left
        engine.wait(min(_STEP_S, left))
        left = end - time.monotonic()
        if advance is not None:
            advance(before - max(left, 0.0))


def _window(engine: Engine, seconds: float, advance: Advance) -> Timing:
    """Count what happens during some time."""
    native = engine._native  # noqa: SLF001 - its summary knows no beginning but the engine's
    stats = native.stats[0]
    nodes = [(placed.path, placed.node) for placed in engine.chain.nodes]
    steps = [Meanwhile(node.histogram) for _, node in nodes]

    def counted() -> tuple[int, int]:
        return int(stats["frames"]), int(stats["late_total"])

    blocks, (frames, late) = _between_blocks(
        native, lambda: (Meanwhile(native.histograms["busy"]), counted())
    )
    _play(engine, seconds, advance)
    durations, (frames_then, late_then) = _between_blocks(
        native, lambda: (blocks.read(), counted())
    )
    played_s = max(frames_then - frames, 1) / engine.chain.sample_rate
    plugins = tuple(
        {"place": path, "id": node.plugin.id, **summary(step.read(), played_s)}
        for (path, node), step in zip(nodes, steps, strict=True)
    )
    return timing(durations, played_s, late=late_then - late, plugins=plugins)


def _between_blocks(native: NativeEngine, read: Callable[[], _Read]) -> _Read:
    """Read what the engine counts so that all of it is of the same blocks.

    The engine counts a block in its histogram first and in ``blocks`` last: where both agree around
    the reading, no block ended meanwhile. Blocks shorter than the reading never leave it alone, and
    the last of many attempts is taken: a block more or less among so many is nothing.
    """
    for _ in range(_ATTEMPTS):
        blocks = int(native.stats["blocks"][0])
        found = read()
        if len(native.histograms["busy"]) == blocks:
            break
    return found


def summary(durations: Durations, seconds: float) -> dict[str, float]:
    """Give the percentiles in ms, and ``rtf``: the time spent by time of sound."""
    return {**durations.summary_ms(), "rtf": durations.sum_ns / 1e9 / seconds}


def timing(durations: Durations, seconds: float, **more: Any) -> Timing:
    """Make the record of durations that belong to some seconds of sound."""
    return Timing(
        blocks=durations.count,
        ms=durations.summary_ms(),
        rtf=durations.sum_ns / 1e9 / seconds,
        histogram=durations.histogram_ms(),
        **more,
    )


def _refuse_muted(engine: Engine, name: str) -> None:
    """Refuse to speak of a chain whose plugin failed: what it did then is no measure."""
    for plugin in engine.stats()["plugins"]:
        if plugin["faults"]:
            msg = (
                f"{name}: {plugin['place']} gave NaN or Inf and was muted while the chain was "
                "timed; mend that plugin"
            )
            raise SystemFaultError(msg)
        if plugin["failures"]:
            msg = (
                f"{name}: {plugin['place']} failed in {plugin['failures']} hops while the chain "
                "was timed; mend that plugin"
            )
            raise SystemFaultError(msg)
