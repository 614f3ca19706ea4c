# SPDX-License-Identifier: MIT
"""The records that the audio thread and a worker share, and the queue of hops between them.

The queue is bounded.  Where it is full the writer drops all that waits, so both sides may move
the reader's index: each by compare-and-swap, and an item counts as taken only where the swap
succeeded.  A reader that was overtaken while it copied throws its copy away.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from rtcore.kernels.abi import copy_bytes, load_acquire, pointer, replace_if
from rtcore.kernels.context import CONTEXT, HEADER
from rtcore.kernels.jit import native
from rtcore.rings import RING

_WRITE = RING.fields["write"][1]  # type: ignore[index]
_READ = RING.fields["read"][1]  # type: ignore[index]

#: A live parameter as it stands at the start of a hop.
AIM = np.dtype([("target", "f8"), ("step", "f8"), ("left", "i8")], align=True)

#: In front of the samples of a hop on its way to the worker; in between lie its AIM records and
#: the vectors of its side inputs.
HOP = np.dtype(
    [
        ("epoch", "i8"),  # how often the sound was forgotten before this hop
        ("number", "i8"),  # of the hop in its epoch
        ("fresh", "i8"),  # 1: begin from the memory as it was prepared
        ("context", CONTEXT),
    ],
    align=True,
)

#: In front of the samples of a hop on its way back.
RESULT = np.dtype(
    [
        ("epoch", "i8"),
        ("number", "i8"),
        ("failed", "i8"),  # 1: a status other than 0, or NaN or Inf
        ("status", "i8"),
        ("failures", "i8"),  # in a row, this one included
    ],
    align=True,
)

#: What both sides use; never reset.  The first words are shared.
WORKER = np.dtype(
    [
        ("stop", "i8"),  # 1 asks the thread to leave
        ("running", "i8"),  # 1 while there is a thread
        ("waiting", "i8"),  # 1: the other side sleeps until a result is there
        ("give_up_ns", "i8"),  # how long it does so, offline
        ("_apart_1", "i8", 4),
        ("wake", "u8"),  # semaphores: there is a hop; there is a result
        ("done", "u8"),
        ("hops", "u8"),  # rings of HOP and RESULT, each with its samples
        ("results", "u8"),
        ("limit", "i8"),  # hops that may wait
        ("fn", "u8"),  # the processor, and its memory
        ("state", "u8"),
        ("memory", "u8"),
        ("pristine", "u8"),
        ("memory_bytes", "i8"),
        ("controls", "u8"),
        ("control_count", "i8"),
        ("hop", "i8"),
        ("channels_out", "i8"),
        ("item", "u8"),  # the hop in hand, and the offset of its samples
        ("item_samples", "i8"),
        ("result", "u8"),  # its result, likewise
        ("result_samples", "i8"),
        ("clock", "u8"),
        ("histogram", "u8"),
        ("_apart_2", "i8", 7),
        ("finished", "i8"),  # written by the worker: hops that it has worked on
        ("errors", "i8"),  # of them those that failed
        ("failures", "i8"),  # in a row, up to now
    ],
    align=True,
)

#: What the audio side counts; never reset.
COUNTS = np.dtype(
    [
        ("epoch", "i8"),
        ("posted", "i8"),  # hops given to the worker
        ("forgotten", "i8"),  # of them those that a reset took back
        ("dropped", "i8"),  # of them those that the full queue lost
        ("resets", "i8"),  # of the processor, because of that
        ("due", "i8"),  # hops whose time has come
        ("late_total", "i8"),  # whose result was not there then, in the worker's life
        ("late_since_start", "i8"),
        ("late_run", "i8"),  # in a row, up to now
        ("late_longest", "i8"),
        ("concealed_frames", "i8"),
        ("gave_up_at", "i8"),  # results that there were when waiting was in vain, plus 1
    ],
    align=True,
)

#: The state of the audio side; a reset copies it back.
ADAPTER = np.dtype(
    [
        *HEADER,
        ("worker", "u8"),
        ("counts", "u8"),
        ("begun", "i8"),  # 0 after a reset
        ("fresh", "i8"),  # 1: the next hop is to begin from the processor's pristine memory
        ("hop", "i8"),
        ("filled", "i8"),  # frames gathered towards the next hop
        ("posted", "i8"),  # number of the next hop to be sent
        ("delay", "i8"),  # frames of silence that go out first; what is left of them
        ("silent_left", "i8"),
        ("number", "i8"),  # of the hop that goes out
        ("at", "i8"),  # frames of it that have gone out
        ("source", "i8"),  # where they come from
        ("failure_limit", "i8"),  # this many failures in a row mute the plugin
        ("conceal", "i8"),  # how
        ("item", "u8"),  # HOP under construction, its AIM records and its samples
        ("item_aims", "i8"),
        ("item_samples", "i8"),
        ("control_count", "i8"),
        ("item_sides", "i8"),
        ("side_count", "i8"),
        ("side", "u8"),  # SIDE records of the hop that the worker has in hand
        ("result_samples", "i8"),
        ("scratch", "u8"),  # 16 spare bytes
        ("join", "i8"),  # 1: another source begins with the next frame
        ("fade_left", "i8"),
        ("fade_frames", "i8"),
        ("last", "u8"),  # last frame that went out
        ("offset", "u8"),  # what fades away after a change of source, one per channel
        ("line", "u8"),  # [channels_in][span] of input, circular
        ("span", "i8"),
        ("line_at", "i8"),  # where the next input frame goes
        ("line_delay", "i8"),  # how late the input is heard
        ("memory", "u8"),  # of the concealment
    ],
    align=True,
)


@native
def ring_written(ring: int) -> int:
    """Count the items that were ever put into a ring."""
    return load_acquire(ring + np.uintp(_WRITE))


@native
def item_at(ring: int, index: int) -> Any:
    """Give the address of the item with an index."""
    r = carray(pointer(ring, RING), (1,))[0]
    return np.uintp(r.data) + np.uintp((index & (r.capacity - 1)) * r.item_bytes)


@native
def queue_take(ring: int, target: int) -> bool:
    """Copy the oldest item out, where there is one."""
    item_bytes = carray(pointer(ring, RING), (1,))[0].item_bytes
    while True:
        read = load_acquire(ring + np.uintp(_READ))
        if ring_written(ring) == read:
            return False
        copy_bytes(target, item_at(ring, read), item_bytes)
        if replace_if(ring + np.uintp(_READ), read, read + 1):
            return True


@native
def queue_clear(ring: int) -> int:
    """Drop all that waits, on the writer's side; give how much it was."""
    while True:
        read = load_acquire(ring + np.uintp(_READ))
        written = ring_written(ring)
        if read == written or replace_if(ring + np.uintp(_READ), read, written):
            return written - read
