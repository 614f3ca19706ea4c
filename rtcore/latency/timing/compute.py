# SPDX-License-Identifier: MIT
"""How long a system computes: at the rhythm of real time where it can be fed block by block.

What holds for all three ways: everything runs once before it counts; a block is late when its
work ends after its deadline, one period after the block's sound was there; and everything is
measured again beside a Python thread that holds the interpreter's lock (:mod:`.hog`).

* A chain is played by the engine, on its native thread, in the chain's own type of samples.
* A stream (a Python object, an ONNX model) is fed by this thread, which sleeps until each block
  is due; the system's ordinary scheduler decides when it wakes, and that may make a block late,
  but it is not part of the block's time.
* What knows only whole sounds is run a few times on one of some seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rtcore.latency.result import Compute, Timing
from rtcore.latency.systems.base import ChainSystem, Sound, Streaming, System
from rtcore.latency.timing.chain_time import WARM_UP_S, Advance, speech, time_chain, timing
from rtcore.latency.timing.durations import Durations
from rtcore.latency.timing.hog import hog

BLOCK_SAMPLES = 64
_WHOLE_S = 4.0
_WHOLE_RUNS = 5
_FEED_S = 10.0
_REPORT_NS = 1_000_000_000
_NS = 1_000_000_000


def measure_compute(
    system: System,
    *,
    block_samples: int | None = None,
    seconds: float = 60.0,
    hogged: bool = True,
    progress: Callable[[float], None] | None = None,
) -> Compute:
    """Measure how long a system computes, and whether it would be in time.

    Parameters
    ----------
    system : System
        Nothing else may use it meanwhile; a chain is left reset.
    block_samples : int, optional
        Of a chain, a multiple of its ``block_frames``; the smallest of at least 64 by default.
        Streams have blocks of their own.
    seconds : float
        How long each of the two runs lasts, beside a warm-up of half a second that does not count.
        Whole sounds are run until five runs are done or this time is over, whichever is first.
    hogged : bool
        Whether to measure again beside a busy Python thread; left out for commands, whose
        interpreters, if any, have locks of their own.
    progress : function, optional
        Called with the seconds that have passed since its last call: in all, `seconds` for each
        run. It does not count as the system's time, but a thread that it starts would.

    Returns
    -------
    Compute
        Percentiles of chains are at most 6 % too long, because the engine counts in buckets; their
        maxima, and all those of other systems, are exact.

    Raises
    ------
    RtcoreError
        Where the system fails, or is being played by something else.
    """
    advance = progress if progress is not None else _nothing
    if isinstance(system, ChainSystem):
        return _of_chain(system, block_samples, seconds, hogged, advance)
    stream = system.streaming()
    if stream is not None:
        return _of_stream(system, stream, seconds, hogged, advance)
    return _of_whole(system, seconds, hogged and system.kind != "command", advance)


def _nothing(_seconds: float) -> None:
    """Report to nobody."""


def _of_chain(
    system: ChainSystem, block: int | None, seconds: float, hogged: bool, advance: Advance
) -> Compute:
    """Let the engine play a chain."""
    chain = system.chain
    grain = chain.table.graph.block_frames
    size = -(-BLOCK_SAMPLES // grain) * grain if block is None else block
    idle, busy, notes = time_chain(
        chain, system.name, block_samples=size, seconds=seconds, hogged=hogged, advance=advance
    )
    return Compute("paced", size, 1e3 * size / chain.sample_rate, seconds, idle, busy, notes)


def _of_stream(
    system: System, stream: Streaming, seconds: float, hogged: bool, advance: Advance
) -> Compute:
    """Feed a stream from Python."""
    size = stream.block_samples
    wanted_s = max(min(_FEED_S, seconds), size / system.sample_rate)
    blocks = _cut(_sound(system, wanted_s), size)
    clock = _Paced(stream, blocks, size, system.sample_rate)
    clock.run(WARM_UP_S, _nothing)
    idle, busy = clock.run(seconds, advance), None
    if hogged:
        with hog():
            clock.run(WARM_UP_S, _nothing)
            busy = clock.run(seconds, advance)
    notes = ("fed from Python by a thread with ordinary priority",)
    return Compute("paced", size, 1e3 * size / system.sample_rate, seconds, idle, busy, notes)


def _of_whole(system: System, seconds: float, hogged: bool, advance: Advance) -> Compute:
    """Run a system on whole sounds."""
    sound = _sound(system, _WHOLE_S)
    system.run(sound)
    idle = _whole_runs(system, sound, seconds, advance)
    busy = None
    if hogged:
        with hog():
            busy = _whole_runs(system, sound, seconds, advance)
    note = f"each run is of a whole sound of {_WHOLE_S:g} s"
    if system.kind == "command":
        note += ", the start of the command included"
    return Compute("whole file", None, None, _WHOLE_S, idle, busy, (note,))


def _whole_runs(system: System, sound: Sound, seconds: float, advance: Advance) -> Timing:
    """Time a few runs; nothing is late, because nothing is due."""
    times_ns: list[int] = []
    while len(times_ns) < _WHOLE_RUNS and sum(times_ns) < seconds * _NS:
        begin = time.monotonic_ns()
        system.run(sound)
        times_ns.append(time.monotonic_ns() - begin)
        advance(seconds / _WHOLE_RUNS)
    sound_s = len(times_ns) * sound.shape[1] / system.sample_rate
    return timing(Durations.of(times_ns), sound_s, late=0)


def _sound(system: System, seconds: float) -> Sound:
    """Make (channels, frames) of speech-like sound."""
    mono = speech(seconds, float(system.sample_rate))[: round(seconds * system.sample_rate)]
    return np.repeat(mono[np.newaxis], system.channels, axis=0)


def _cut(sound: Sound, size: int) -> list[Sound]:
    """Cut sound into contiguous blocks, the last one filled up."""
    padded = np.pad(sound, ((0, 0), (0, -sound.shape[1] % size)))
    return [np.ascontiguousarray(padded[:, k : k + size]) for k in range(0, padded.shape[1], size)]


class _Paced:
    """Feeds a stream block by block, each when a sound card would have it."""

    def __init__(
        self, stream: Streaming, blocks: list[Sound], size: int, sample_rate: float
    ) -> None:
        self._process: Callable[[Sound], Any] = stream.process
        self._blocks = blocks
        self._period_ns = size * _NS / sample_rate
        self._at = 0

    def run(self, seconds: float, advance: Advance) -> Timing:
        """Feed blocks until the time is over, one at least; the sound goes on where it was."""
        times_ns: list[int] = []
        late = fed = 0
        begin = reported = time.monotonic_ns()
        end = begin + seconds * _NS
        while not times_ns or time.monotonic_ns() < end:
            due = begin + fed * self._period_ns
            behind = time.monotonic_ns() - due
            if behind > _NS:  # the engine, too, begins a new schedule after a second
                begin, due = begin + round(behind), due + behind
            took_ns, ended = self._one(due)
            times_ns.append(took_ns)
            late += ended > due + self._period_ns
            fed += 1
            if ended - reported >= _REPORT_NS:
                advance((ended - reported) / _NS)
                reported = time.monotonic_ns()
                begin += reported - ended  # what a report takes makes nothing late
                end += reported - ended
        advance(max(0.0, (min(time.monotonic_ns(), end) - reported) / _NS))
        return timing(Durations.of(times_ns), fed * self._period_ns / _NS, late=late)

    def _one(self, due_ns: float) -> tuple[int, int]:
        """Feed one block when it is due; give how long it took and when it was done."""
        block = self._blocks[self._at]
        self._at = (self._at + 1) % len(self._blocks)
        wait_ns = due_ns - time.monotonic_ns()
        if wait_ns > 0:
            time.sleep(wait_ns / _NS)
        begin = time.monotonic_ns()
        self._process(block)
        ended = time.monotonic_ns()
        return ended - begin, ended
