# SPDX-License-Identifier: MIT
"""Run a processor that wants hops of a fixed size inside blocks of any other size.

The delay that this costs is exactly ``inner - gcd(inner, outer)`` frames for blocks of ``outer``
frames, the least that is possible; with blocks of any size ``outer`` counts as 1.  (The formula is
known from block adaptation in hearing-aid software, such as openMHA's ``dbasync``; a test here
proves that one frame less runs dry.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numba import carray, from_dtype, types

from rtcore.chain.arena import Arena
from rtcore.kernels.abi import call_process, pointer, pointer_like
from rtcore.kernels.context import CONTEXT, HEADER
from rtcore.kernels.decorator import REALS, helper
from rtcore.kernels.jit import c_entry

#: The state of the adapter; ``inner_fn`` is run with ``inner_state`` once a hop is complete.
REBLOCK = np.dtype(
    [
        *HEADER,
        ("inner_fn", "u8"),
        ("inner_state", "u8"),
        ("hop", "i8"),
        ("filled", "i8"),  # frames gathered towards the next hop
        ("held", "i8"),  # frames ready to go out
        ("read", "i8"),  # place of the oldest of them
        ("capacity", "i8"),
        ("context", "u8"),  # the inner processor's own
        ("gather", "u8"),  # [channels_in][hop]
        ("result", "u8"),  # [channels_out][hop]
        ("ready", "u8"),  # [channels_out][capacity], circular
    ],
    align=True,
)

DRY = 3  # status: the delay was too short


def minimum_delay_frames(inner: int, outer: int) -> int:
    """Give the least delay that carries hops of ``inner`` frames through blocks of ``outer``.

    Parameters
    ----------
    inner : int
        Hop in frames, at least 1.
    outer : int
        Block in frames, at least 1; 1 where blocks may have any size.

    Returns
    -------
    int
        ``inner - gcd(inner, outer)``.
    """
    return inner - math.gcd(inner, outer)


@helper
def _tell_the_time(context: Any, outer: Any, position: int) -> None:
    """Give the inner processor the block's context, at the position of its own hop."""
    context[0].abi_version = outer.abi_version
    context[0].sample_rate = outer.sample_rate
    context[0].time_ns = outer.time_ns
    context[0].deadline_ns = outer.deadline_ns
    context[0].side_count = outer.side_count
    context[0].side = outer.side
    context[0].position = position


def reblock_process(state_p, context_p, xp, yp, frames):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, C901 - compiled, and one idea
    """Gather hops, run the inner processor, hand out what is ready."""
    s = carray(state_p, (1,))[0]
    x = carray(xp, (s.rt_channels_in, frames))
    y = carray(yp, (s.rt_channels_out, frames))
    gather = carray(pointer_like(np.uintp(s.gather), xp), (s.rt_channels_in, s.hop))
    result = carray(pointer_like(np.uintp(s.result), xp), (s.rt_channels_out, s.hop))
    ready = carray(pointer_like(np.uintp(s.ready), xp), (s.rt_channels_out, s.capacity))
    outer = carray(context_p, (1,))[0]
    context = carray(pointer(np.uintp(s.context), CONTEXT), (1,))
    if s.filled == 0:
        context[0].flags = 0
    status = np.int32(0)
    taken = 0
    while taken < frames:
        piece = min(frames - taken, s.hop - s.filled)
        for c in range(s.rt_channels_in):
            for i in range(piece):
                gather[c, s.filled + i] = x[c, taken + i]
        s.filled += piece
        taken += piece
        context[0].flags |= outer.flags  # a hop is lost where any of it is
        if s.filled == s.hop:
            _tell_the_time(context, outer, outer.position + taken - s.hop)
            inner = call_process(
                np.uintp(s.inner_fn),
                np.uintp(s.inner_state),
                np.uintp(context.ctypes.data),
                np.uintp(s.gather),
                np.uintp(s.result),
                np.int32(s.hop),
            )
            status = inner if inner != 0 else status
            context[0].flags = 0
            s.filled = 0
            for c in range(s.rt_channels_out):
                for i in range(s.hop):
                    ready[c, (s.read + s.held + i) % s.capacity] = result[c, i]
            s.held += s.hop
    if s.held < frames:
        return np.int32(DRY)
    for c in range(s.rt_channels_out):
        for i in range(frames):
            y[c, i] = ready[c, (s.read + i) % s.capacity]
    s.read = (s.read + frames) % s.capacity
    s.held -= frames
    return status


@cache
def _entry(real: np.dtype[Any]) -> Any:
    real_p = types.CPointer(REALS[real])
    state_p, context_p = types.CPointer(from_dtype(REBLOCK)), types.CPointer(from_dtype(CONTEXT))
    return c_entry(reblock_process, types.int32(state_p, context_p, real_p, real_p, types.int32))


def reblock_address(real: np.dtype[Any]) -> int:
    """Compile (or load) the adapter for one real type and give its address."""
    return int(_entry(real).address)


def reblock_pieces(
    hop_frames: int,
    delay_frames: int,
    channels: tuple[int, int],
    max_frames: int,
    real: np.dtype[Any],
) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    """Say what memory the adapter needs, for an :class:`~rtcore.chain.arena.Arena`."""
    capacity = delay_frames + max_frames + 2 * hop_frames
    return {
        "reblock": (REBLOCK, (1,)),
        "hop_context": (CONTEXT, (1,)),
        "gather": (real, (channels[0], hop_frames)),
        "result": (real, (channels[1], hop_frames)),
        "ready": (real, (channels[1], capacity)),
    }


def reblock_fill(
    arena: Arena, inner_fn: int, inner_state: int, delay_frames: int, max_frames: int
) -> np.ndarray[Any, Any]:
    """Write the adapter's record: around one inner processor, with its first zeros ready.

    Parameters
    ----------
    arena : Arena
        Holds the pieces of :func:`reblock_pieces`.
    inner_fn, inner_state : int
        Addresses of the processor's code and state.
    delay_frames : int
        Zeros that go out first; see :func:`minimum_delay_frames`.
    max_frames : int
        Longest block that will come.

    Returns
    -------
    ndarray
        The record, one REBLOCK.
    """
    record = arena["reblock"]
    values: Mapping[str, int] = {
        "rt_channels_in": arena["gather"].shape[0],
        "rt_channels_out": arena["result"].shape[0],
        "rt_max_frames": max_frames,
        "inner_fn": inner_fn,
        "inner_state": inner_state,
        "hop": arena["gather"].shape[1],
        "held": delay_frames,
        "capacity": arena["ready"].shape[1],
        "context": arena["hop_context"].ctypes.data,
        "gather": arena["gather"].ctypes.data,
        "result": arena["result"].ctypes.data,
        "ready": arena["ready"].ctypes.data,
    }
    for name, value in values.items():
        record[name] = value
    return record
