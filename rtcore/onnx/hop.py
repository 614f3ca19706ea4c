# SPDX-License-Identifier: MIT
"""One hop of a stream through a model: rates, hops, loss flags, and the model's own steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcore.dsp.losses import packet_lost
from rtcore.dsp.resample import resample_hop
from rtcore.kernels import helper
from rtcore.kernels.part import part
from rtcore.kernels.side import side_vector
from rtcore.onnx.guard import DRY, FADING, LOUDEST, give_hop, judge, keep_dry
from rtcore.onnx.ops import take_steps
from rtcore.onnx.untouched import keep_what_came


@helper
def to_model_rate(x: Any, sound: Any, history: Any, taps: Any, down: int) -> None:
    """Bring a hop of the stream to the model's rate."""
    for c in range(x.shape[0]):
        if down == 0:
            for i in range(x.shape[1]):
                sound[c, i] = np.float32(min(max(x[c, i], -LOUDEST), LOUDEST))
        else:
            resample_hop(x[c], sound[c], history[c], taps, down)


@helper
def to_stream_rate(sound: Any, y: Any, history: Any, taps: Any, down: int) -> None:
    """Bring what the model gave to the stream's rate."""
    for c in range(y.shape[0]):
        if down == 0:
            for i in range(y.shape[1]):
                y[c, i] = sound[c, i]
        else:
            resample_hop(sound[c], y[c], history[c], taps, down)


@helper
def note_loss(lost: Any, flagged: bool) -> None:
    """Remember whether the newest hop came."""
    for k in range(lost.size - 1, 0, -1):
        lost[k] = lost[k - 1]
    lost[0] = 1.0 if flagged else 0.0


@helper
def take_sides(ctx: Any, sides: Any) -> None:
    """Put the vectors that hold in this hop one behind the other."""
    at = 0
    for number in range(ctx.side_count):
        vector = side_vector(ctx, number)
        for k in range(vector.size):
            sides[at + k] = vector[k]
        at += vector.size


@helper
def is_heard(lost: Any, heard_flags: int) -> bool:
    """Tell whether the model is heard: always, or where one of the newest hops never came."""
    if heard_flags == 0:
        return True
    for k in range(heard_flags):  # noqa: SIM110 - a generator is no kernel
        if lost[k] != 0:
            return True
    return False


@part
def run_instances(
    gathered: Any,
    ready: Any,
    at: int,
    program: Any,
    memory: Any,
    places: Any,
    lost: Any,
    sides: Any,
    heard: bool,
    calls: Any,
    parity: Any,
    apart: Any,
    tables: Any,
    initial: Any,
    checked: Any,
    guard: Any,
    faults: Any,
    limits: Any,
    dry: Any,
    offset: Any,
) -> None:
    """Run every instance on the hop that was gathered, and write its output into a ring.

    Parameters
    ----------
    gathered : array of float32, shape (channels, hop)
        The hop.
    ready : array of float32, shape (channels, capacity)
        A ring; the hop goes to `at` and on.
    places : array of int, shape (3, channels of an instance)
        Where a hop of each channel comes in, goes out, and is known without the model, in an
        instance's memory.
    initial, checked, guard, faults, limits, dry, offset : arrays
        See :func:`rtcore.onnx.guard.guard_buffers`.

    Other arguments are those of :func:`rtcore.onnx.ops.take_steps`, for all instances.
    """
    each, hop = places.shape[1], gathered.shape[1]
    for k in range(memory.shape[0]):
        for c in range(each):
            for i in range(hop):
                memory[k, places[0, c] + i] = gathered[k * each + c, i]
        status = take_steps(
            program,
            memory[k],
            lost,
            sides,
            heard,
            calls[k],
            parity[k],
            apart,
            tables[k],
        )
        own = guard[k]
        for c in range(each):
            keep_dry(dry[k * each + c], memory[k], places[2, c], hop)
        good = judge(status, memory[k], parity[k], initial, checked, own, faults, limits)
        changed = good == (own[DRY] != 0)
        if changed:
            own[DRY] = 0 if good else 1
            own[FADING] = limits[1]
        for c in range(each):
            channel = k * each + c
            source, start = (memory[k], places[1, c]) if good else (dry[channel], 0)
            give_hop(
                source, start, changed, own[FADING], limits[1], offset, channel, ready, at, hop
            )
        own[FADING] = max(own[FADING] - hop, 0)


def play_hop(
    x: Any,
    y: Any,
    ctx: Any,
    state: Any,
    program: Any,
    memory: Any,
    places: Any,
    calls: Any,
    parity: Any,
    apart: Any,
    tables: Any,
    lost: Any,
    fed: Any,
    gathered: Any,
    ready: Any,
    arrived: Any,
    leaving: Any,
    taps_in: Any,
    past_in: Any,
    taps_out: Any,
    past_out: Any,
    initial: Any,
    checked: Any,
    guard: Any,
    faults: Any,
    limits: Any,
    dry: Any,
    offset: Any,
    came: Any,
    shares: Any,
    kept: Any,
) -> None:
    """Play a hop of a stream: at the model's rate, run the model where its own hop is full.

    Parameters
    ----------
    x, y : arrays, shape (channels, frames)
        The hop, and what is heard.
    ctx : CONTEXT
        Of the hop; its flags and its side inputs are read.
    state : record
        The plugin's.

    The other arguments are the plugin's buffers, by name.
    """
    lost_now = packet_lost(x, ctx.flags, state.zeros)
    to_model_rate(x, arrived, past_in, taps_in, state.down_in)
    take_sides(ctx, fed)
    hop, capacity = gathered.shape[1], ready.shape[1]
    taken = 0
    while taken < arrived.shape[1]:
        piece = min(arrived.shape[1] - taken, hop - state.filled)
        for c in range(gathered.shape[0]):
            for i in range(piece):
                gathered[c, state.filled + i] = arrived[c, taken + i]
        state.filled += piece
        taken += piece
        state.flagged |= 1 if lost_now else 0
        if state.filled == hop:
            note_loss(lost, state.flagged != 0)
            run_instances(
                gathered,
                ready,
                (state.read + state.held) % capacity,
                program,
                memory,
                places,
                lost,
                fed,
                is_heard(lost, state.heard_flags),
                calls,
                parity,
                apart,
                tables,
                initial,
                checked,
                guard,
                faults,
                limits,
                dry,
                offset,
            )
            state.filled = 0
            state.flagged = 0
            state.held += hop
    for c in range(leaving.shape[0]):
        for i in range(leaving.shape[1]):
            leaving[c, i] = ready[c, (state.read + i) % capacity]
    state.read = (state.read + leaving.shape[1]) % capacity
    state.held -= leaving.shape[1]
    to_stream_rate(leaving, y, past_out, taps_out, state.down_out)
    if kept.size:
        keep_what_came(x, y, lost_now, came, shares, kept)
