# SPDX-License-Identifier: MIT
"""The compiled functions that device APIs and threads call: no interpreter, no GIL."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import carray, types

from rtcore.engine.core import play_block
from rtcore.engine.records import ENGINE, STATS
from rtcore.kernels.abi import call_address_of_buffer, load_acquire, pointer, size_of, store_release
from rtcore.kernels.jit import c_entry, native
from rtcore.kernels.rt import (
    CLOCK_MONOTONIC,
    NS_PER_S,
    TIMER_ABSTIME,
    clock_nanosleep,
    flush_denormals,
    now_ns,
    restore_float_mode,
)
from rtcore.rings import ring_held, ring_room, ring_take

_F4 = np.dtype(np.float32)
_DONE = ENGINE.fields["done"][1]  # type: ignore[index]
_WAIT_NS = 200_000
_GIVE_UP_NS = NS_PER_S


@native
def _wait_for_recorder(engine_at: int, tap: int, pause: Any, frames: int) -> None:
    """Without a clock nothing may be lost: wait until a recorder has room."""
    pause[0] = 0
    pause[1] = _WAIT_NS
    while tap != 0 and ring_room(tap) < frames and load_acquire(engine_at) == 0:
        clock_nanosleep(
            np.int32(CLOCK_MONOTONIC), np.int32(0), np.uintp(pause.ctypes.data), np.uintp(0)
        )


def jack_process(frames, argument):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - compiled
    """Play one JACK period: ``int32 (uint32 frames, void* engine)``."""
    mode = flush_denormals()
    engine = carray(pointer(argument, ENGINE), (1,))[0]
    ports_in = carray(pointer(np.uintp(engine.ports_in), np.uint64), (engine.device_in, 2))
    ports_out = carray(pointer(np.uintp(engine.ports_out), np.uint64), (engine.device_out, 2))
    get_buffer = np.uintp(engine.get_buffer)
    for k in range(engine.device_in):
        ports_in[k, 1] = call_address_of_buffer(
            get_buffer, np.uintp(ports_in[k, 0]), np.uint32(frames)
        )
    for k in range(engine.device_out):
        ports_out[k, 1] = call_address_of_buffer(
            get_buffer, np.uintp(ports_out[k, 0]), np.uint32(frames)
        )
    # JACK's own cycle times follow a filter that a dummy or freewheeling server never settles, so
    # the deadline counts from the moment we are called.
    deadline_ns = now_ns(np.uintp(engine.clock)) + np.int64(frames * NS_PER_S / engine.sample_rate)
    if engine.paced == 0:  # freewheeling: JACK waits for us, and nothing is lost
        pause = carray(pointer(np.uintp(engine.clock) + np.uintp(16), np.int64), (2,))
        _wait_for_recorder(argument, np.uintp(engine.tap_in), pause, frames)
        _wait_for_recorder(argument, np.uintp(engine.tap_out), pause, frames)
    play_block(argument, ports_in[:, 1], 1, ports_out[:, 1], 1, np.int64(frames), deadline_ns, _F4)
    restore_float_mode(mode)
    return np.int32(0)


def portaudio_process(source, target, frames, _times, _flags, argument):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - compiled
    """Play one PortAudio block: the signature of ``PaStreamCallback``, interleaved float32."""
    mode = flush_denormals()
    engine = carray(pointer(argument, ENGINE), (1,))[0]
    inputs = carray(pointer(np.uintp(engine.ports_in), np.uint64), (engine.device_in,))
    outputs = carray(pointer(np.uintp(engine.ports_out), np.uint64), (engine.device_out,))
    for k in range(engine.device_in):
        inputs[k] = source + np.uintp(4 * k)
    for k in range(engine.device_out):
        outputs[k] = target + np.uintp(4 * k)
    period_ns = np.int64(frames * NS_PER_S / engine.sample_rate)
    deadline_ns = now_ns(np.uintp(engine.clock)) + period_ns
    count_in, count_out = max(engine.device_in, 1), max(engine.device_out, 1)
    play_block(argument, inputs, count_in, outputs, count_out, np.int64(frames), deadline_ns, _F4)
    restore_float_mode(mode)
    return np.int32(1) if load_acquire(argument) != 0 else np.int32(0)


@cache
def _entry(fn: Any, signature: Any) -> Any:
    return c_entry(fn, signature)


def jack_address() -> int:
    """Compile (or load) the JACK callback and give its address."""
    return int(_entry(jack_process, types.int32(types.uint32, types.uintp)).address)


def portaudio_address() -> int:
    """Compile (or load) the PortAudio callback and give its address."""
    return int(_entry(portaudio_process, types.int32(*([types.uintp] * 6))).address)


@native
def _take_block(
    engine_at: int, ring: int, source: Any, frames: int, ended_at: int, real: Any
) -> int:
    """Fill one block from the source's ring; give how many of its frames count.

    A source that has ended gives a shorter last block.  One that is merely late costs silence in
    real time; without a clock it is waited for.
    """
    engine = carray(pointer(engine_at, ENGINE), (1,))[0]
    stats = carray(pointer(np.uintp(engine.stats), STATS), (1,))[0]
    pause = carray(pointer(np.uintp(engine.clock) + np.uintp(16), np.int64), (2,))
    got = ring_take(ring, np.uintp(source.ctypes.data), frames)
    while got < frames:
        ended = load_acquire(ended_at) != 0
        held = ring_held(ring)
        if held > 0:
            at = np.uintp(source.ctypes.data) + np.uintp(got * source.shape[1] * size_of(real))
            got += ring_take(ring, at, frames - got)
        elif ended:
            return got
        elif engine.paced != 0:
            stats.input_dry += frames - got
            source[got:frames, :] = 0
            return frames
        elif load_acquire(engine_at) != 0:  # a source that never comes must not hold up a stop
            return got
        else:
            pause[0] = 0
            pause[1] = _WAIT_NS
            clock_nanosleep(
                np.int32(CLOCK_MONOTONIC), np.int32(0), np.uintp(pause.ctypes.data), np.uintp(0)
            )
    return got


@native
def _pad(source: Any, frames: int, tail_left: int, promised: int) -> tuple[int, int]:
    """Go on with silence where the source has ended; give the block's frames and the tail's rest.

    The last block is rounded up to what the chain was promised.
    """
    block = source.shape[0]
    silent = min(block - frames, tail_left)
    whole = frames + silent
    rounded = (whole + promised - 1) // promised * promised
    source[frames:rounded, :] = 0
    return rounded, tail_left - silent


@native
def paced_thread(
    engine_at: int,
    ring: int,
    source: Any,
    tail: int,
    promised: int,
    ended_at: int,
    real: Any,
) -> int:
    """Run an engine without a device, from a ring of interleaved frames; give the frames played.

    Parameters
    ----------
    engine_at : int
        Address of an ENGINE record; its output goes to the taps.
    ring : int
        Address of the ring of input frames.
    source : array
        (frames of a block, channels), scratch.
    tail : int
        Frames of silence that follow the source's end.
    promised : int
        Every block is a multiple of this.
    ended_at : int
        Address of a word that turns 1 when nothing more will be put into the ring.
    real : numpy dtype
        The stream's real type.
    """
    mode = flush_denormals()
    engine = carray(pointer(engine_at, ENGINE), (1,))[0]
    clock = np.uintp(engine.clock)
    wake = carray(pointer(clock + np.uintp(16), np.int64), (2,))
    rows = carray(pointer(np.uintp(engine.ports_in), np.uint64), (source.shape[1],))
    nothing = rows[:0]
    for c in range(source.shape[1]):
        rows[c] = np.uintp(source.ctypes.data) + np.uintp(c * size_of(real))
    block = source.shape[0]
    period_ns = np.int64(block * NS_PER_S / engine.sample_rate)
    begin_ns = now_ns(clock)
    played = 0
    tail_left = -1
    while load_acquire(engine_at) == 0:
        due_ns = begin_ns + np.int64((played + block) * (NS_PER_S / engine.sample_rate))
        if engine.paced != 0:
            if now_ns(clock) - due_ns > _GIVE_UP_NS:  # suspended: begin a new schedule
                begin_ns += now_ns(clock) - due_ns
                due_ns = now_ns(clock)
            wake[0] = due_ns // NS_PER_S
            wake[1] = due_ns % NS_PER_S
            clock_nanosleep(
                np.int32(CLOCK_MONOTONIC),
                np.int32(TIMER_ABSTIME),
                np.uintp(wake.ctypes.data),
                np.uintp(0),
            )
        frames = 0
        if tail_left < 0:
            frames = _take_block(engine_at, ring, source, block, ended_at, real)
        if frames < block:
            frames, tail_left = _pad(source, frames, tail if tail_left < 0 else tail_left, promised)
        if engine.paced == 0:
            _wait_for_recorder(engine_at, np.uintp(engine.tap_in), wake, block)
            _wait_for_recorder(engine_at, np.uintp(engine.tap_out), wake, block)
        if frames > 0:
            play_block(
                engine_at, rows, source.shape[1], nothing, 1, frames, due_ns + period_ns, real
            )
        played += block
        if tail_left == 0:
            break
    store_release(engine_at + np.uintp(_DONE), 1)
    restore_float_mode(mode)
    return played
