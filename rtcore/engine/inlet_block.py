# SPDX-License-Identifier: MIT
"""One block of an engine that plays packets, compiled."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import carray, types

from rtcore.chain.records import EVENT, STREAM, Event
from rtcore.chain.telling import tell
from rtcore.engine.core import begin_block, end_block, output_row, run_block
from rtcore.engine.inlet import BURSTS, HALF_TAPS, INLET, PHASES, PIECE_FRAMES, TAPS
from rtcore.engine.records import ENGINE, SAFETY
from rtcore.kernels.abi import load_acquire, pointer, store_release
from rtcore.kernels.context import CONTEXT, Flag
from rtcore.kernels.histogram import histogram_add
from rtcore.kernels.jit import c_entry, native
from rtcore.kernels.rt import NS_PER_S, now_ns

_F4, _F8 = np.dtype(np.float32), np.dtype(np.float64)
_SIGNATURE = types.int32(*([types.int64] * 7))
_kept: list[Any] = []  # compiled code, which lives as long as its object
_LOST, _DISCONTINUITY = int(Flag.LOST), int(Flag.DISCONTINUITY)
_OURS = _LOST | _DISCONTINUITY
_FLAGGED = int(Event.FLAGGED)
_JUMP, _PLAY = INLET.fields["jump"][1], INLET.fields["play"][1]  # type: ignore[index]


@native
def _flag(engine: Any, flags: int) -> None:
    """Set the flags of the frames from here on, and tell of a change."""
    stream = carray(pointer(np.uintp(engine.stream), STREAM), (1,))[0]
    context = carray(pointer(np.uintp(stream.context), CONTEXT), (1,))[0]
    wanted = (context.flags & ~_OURS) | flags
    if wanted != context.flags:
        context.flags = wanted
        scratch = carray(pointer(np.uintp(stream.clock) + np.uintp(16), EVENT), (1,))
        tell(stream, _FLAGGED, 0, wanted, 0, scratch)


@native
def _count(inlet: Any) -> None:
    """Count the packet that is due; a run of lost ones counts once it has ended."""
    inlet.played += 1
    if inlet.here == 0:
        inlet.lost += 1
        inlet.run += 1
        inlet.longest = max(inlet.longest, inlet.run)
    else:
        _end_run(inlet)


@native
def _end_run(inlet: Any) -> None:
    if inlet.run > 0:
        bursts = carray(pointer(np.uintp(inlet.bursts), np.int64), (BURSTS,))
        bursts[min(inlet.run, BURSTS) - 1] += 1
        inlet.run = 0


@native
def _begin_packet(inlet: Any, sample_rate: float, start_ns: int) -> None:
    """Look whether the packet is there whose turn has come."""
    slot = inlet.play & (inlet.slots - 1)
    tag = load_acquire(np.uintp(inlet.tags) + np.uintp(8 * slot))
    inlet.here = 1 if tag == inlet.play + 1 else 0
    _count(inlet)
    if inlet.here != 0:
        stamp_ns = carray(pointer(np.uintp(inlet.stamps), np.int64), (inlet.slots,))[slot]
        ahead = inlet.held - inlet.at - inlet.phase  # device frames before its first one is heard
        latency_ns = start_ns - stamp_ns + np.int64(ahead * NS_PER_S / sample_rate)
        inlet.latency_ns = latency_ns
        histogram_add(np.uintp(inlet.latency), max(latency_ns, 0))


@native
def _turn(inlet_at: int, inlet: Any, start_ns: int, sample_rate: float) -> None:
    """Go where the receiving thread asks to go, and look at a packet that begins."""
    if load_acquire(inlet_at + np.uintp(_JUMP)) != 0:
        _end_run(inlet)
        store_release(inlet_at + np.uintp(_PLAY), -1)
        inlet.waits += 1
        store_release(inlet_at + np.uintp(_JUMP), 0)
    if inlet.play < 0 and inlet.start_packet >= 0 and start_ns >= inlet.start_ns:
        inlet.offset = 0
        inlet.fresh = inlet.begun
        inlet.begun = 1
        store_release(inlet_at + np.uintp(_PLAY), inlet.start_packet)
    if inlet.play >= 0 and inlet.offset == 0:
        _begin_packet(inlet, sample_rate, start_ns)


@native
def _pull(engine_at: int, inlet_at: int, wanted: int, start_ns: int, real: Any) -> None:
    """Let the chain play up to so many frames, and add them to the history."""
    engine = carray(pointer(engine_at, ENGINE), (1,))[0]
    inlet = carray(pointer(inlet_at, INLET), (1,))[0]
    _turn(inlet_at, inlet, start_ns, engine.sample_rate)
    rows = carray(pointer(np.uintp(engine.inputs), np.uint64), (engine.chain_in,))
    frames = (wanted + inlet.promised - 1) // inlet.promised * inlet.promised
    frames = min(frames, engine.capacity)
    heard = inlet.play >= 0 and inlet.here != 0
    if inlet.play >= 0:
        frames = min(frames, inlet.packet_frames - inlet.offset)
    elif inlet.begun != 0:
        inlet.gap_frames += frames
    for c in range(engine.chain_in):
        rows[c] = engine.silence
        if heard:
            slot = inlet.play & (inlet.slots - 1)
            row = (slot * inlet.channels + c) * inlet.packet_frames + inlet.offset
            rows[c] = np.uintp(inlet.samples) + np.uintp(row * 4)
    missing = inlet.begun != 0 and not heard
    fresh = inlet.play >= 0 and inlet.fresh != 0
    _flag(engine, (_LOST if missing else 0) + (_DISCONTINUITY if fresh else 0))
    run_block(engine_at, rows, 1, frames, real)
    _keep(engine, inlet, frames, real)
    if inlet.play >= 0:
        inlet.offset += frames
        if inlet.offset == inlet.packet_frames:
            inlet.offset = 0
            inlet.fresh = 0
            store_release(inlet_at + np.uintp(_PLAY), inlet.play + 1)


@native
def _keep(engine: Any, inlet: Any, frames: int, real: Any) -> None:
    """Add what the chain gave to the history."""
    size = inlet.history_frames
    result = carray(pointer(np.uintp(engine.result), real), (engine.chain_out, frames))
    history = carray(pointer(np.uintp(inlet.history), real), (engine.chain_out, size))
    for c in range(engine.chain_out):
        for i in range(frames):
            history[c, inlet.held + i] = result[c, i]
    inlet.held += frames


@native
def _forget(engine: Any, inlet: Any, real: Any) -> None:
    """Drop what no device frame needs any more."""
    size = inlet.history_frames
    history = carray(pointer(np.uintp(inlet.history), real), (engine.chain_out, size))
    gone = inlet.at - (HALF_TAPS - 1)
    for c in range(engine.chain_out):
        for i in range(inlet.held - gone):
            history[c, i] = history[c, gone + i]
    inlet.held -= gone
    inlet.at -= gone


@native
def _between(row: Any, at: int, phase: float, table: Any) -> float:
    """Give the value between two frames; a frame's own where there is nothing between."""
    if phase == 0.0:
        return np.float64(row[at])
    place = phase * PHASES
    p = min(int(place), PHASES - 1)
    share = place - p
    total = 0.0
    for k in range(TAPS):
        weight = table[p, k] + share * (table[p + 1, k] - table[p, k])
        total += weight * row[at - (HALF_TAPS - 1) + k]
    return total


@native
def _resample(
    engine: Any, inlet: Any, targets: Any, stride: int, begin: int, frames: int, real: Any
) -> None:
    """Give the device its frames, and go on by so many steps."""
    size = inlet.history_frames
    history = carray(pointer(np.uintp(inlet.history), real), (engine.chain_out, size))
    table = carray(pointer(np.uintp(inlet.table), np.float64), (PHASES + 1, TAPS))
    safety = carray(pointer(np.uintp(engine.safety), SAFETY), (1,))[0]
    ceiling = safety.ceiling if safety.enabled != 0 else np.inf
    for d in range(targets.size):
        target = carray(pointer(np.uintp(targets[d]), real), ((begin + frames) * stride,))
        source = output_row(engine, d)
        at, phase = inlet.at, inlet.phase
        for i in range(frames):
            value = _between(history[source], at, phase, table) if source >= 0 else 0.0
            target[(begin + i) * stride] = min(max(value, -ceiling), ceiling)
            phase += inlet.step
            whole = int(phase)
            at, phase = at + whole, phase - whole


@native
def _advance(inlet: Any, frames: int) -> None:
    """Go on by so many device frames, rounding as :func:`_resample` does."""
    at, phase = inlet.at, inlet.phase
    for _ in range(frames):
        phase += inlet.step
        whole = int(phase)
        at, phase = at + whole, phase - whole
    inlet.at, inlet.phase = at, phase


@native
def inlet_block(
    engine_at: int, targets: Any, out_stride: int, frames: int, deadline_ns: int, real: Any
) -> None:
    """Play a device's block from packets.

    Parameters
    ----------
    engine_at : int
        Address of an ENGINE record with an inlet.
    targets : uint64 array
        Address of the first sample of each device channel; may be empty.
    out_stride : int
        Samples from one frame to the next.
    frames : int
        Any number.
    deadline_ns : int
        When the device needs the block.
    real : numpy dtype
        The stream's real type.
    """
    engine = carray(pointer(engine_at, ENGINE), (1,))[0]
    inlet_at = np.uintp(engine.inlet)
    inlet = carray(pointer(inlet_at, INLET), (1,))[0]
    start_ns = now_ns(np.uintp(engine.clock))
    begin_block(engine_at, frames, deadline_ns, start_ns)
    done = 0
    while done < frames:
        now = min(frames - done, PIECE_FRAMES)
        last = inlet.at + int(inlet.phase + now * inlet.step) + HALF_TAPS
        while inlet.held <= last:
            _pull(engine_at, inlet_at, last + 1 - inlet.held, start_ns, real)
        _resample(engine, inlet, targets, out_stride, done, now, real)
        _advance(inlet, now)
        _forget(engine, inlet, real)
        done += now
    inlet.mark_ns = start_ns
    end_block(engine_at, frames, deadline_ns, start_ns)


def _play_float32(engine_at, targets_at, count, step, out_stride, frames, deadline_ns):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled
    words = carray(pointer(np.uintp(targets_at), np.uint64), (count * step,))
    inlet_block(np.uintp(engine_at), words[::step], out_stride, frames, deadline_ns, _F4)
    return np.int32(0)


def _play_float64(engine_at, targets_at, count, step, out_stride, frames, deadline_ns):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - compiled
    words = carray(pointer(np.uintp(targets_at), np.uint64), (count * step,))
    inlet_block(np.uintp(engine_at), words[::step], out_stride, frames, deadline_ns, _F8)
    return np.int32(0)


@cache
def inlet_address(real: np.dtype[Any]) -> int:
    """Compile (or load) what plays packets, for engines that have some, and give its address.

    Parameters
    ----------
    real : numpy dtype
        The stream's real type.

    Returns
    -------
    int
        For the engine's record, and for the life of the process.
    """
    entry = c_entry(_play_float32 if real == _F4 else _play_float64, _SIGNATURE)
    _kept.append(entry)
    return int(entry.address)
