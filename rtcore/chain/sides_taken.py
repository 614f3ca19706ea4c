# SPDX-License-Identifier: MIT
"""Side inputs on the thread that plays: a vector takes effect at its frame, and holds.

Every input has a ring of its own, with one writer and one reader.  The stream is cut where a vector
begins to hold, as it is for commands, so all plugins just read what holds now: a plugin with a hop
gets the newest vector at the last frame of its hop, and a worker a copy of it with the hop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from rtcore.chain.records import SLOT, Event
from rtcore.chain.telling import tell
from rtcore.kernels.abi import copy_bytes, load_acquire, pointer
from rtcore.kernels.jit import native
from rtcore.rings import RING, ring_drop, ring_peek

FAR = 1 << 62
_FED = int(Event.FED)
_FRAME_BYTES = 8


@native
def _take(stream: Any, number: int, slot: Any, item: int, frame: int, scratch: Any) -> None:
    """Let a vector hold from here on, unless it is too late for that."""
    late_frames = stream.position - frame if frame >= 0 else 0
    slot.latest_frames = max(slot.latest_frames, late_frames)
    used = slot.lateness_frames < 0 or late_frames <= slot.lateness_frames
    if used:
        copy_bytes(np.uintp(slot.values), item + np.uintp(_FRAME_BYTES), slot.value_bytes)
        slot.applied += 1
        slot.late += 1 if late_frames > 0 else 0
    else:
        slot.too_late += 1
    serial = carray(pointer(np.uintp(slot.ring), RING), (1,))[0].read
    tell(stream, _FED, number, 1 if used else 0, serial, scratch)


@native
def take_sides(stream: Any, scratch: Any) -> int:
    """Take the vectors that are due; give the number of frames until the next one."""
    until = FAR
    board = np.uintp(stream.sides)
    count = load_acquire(board)
    places = carray(pointer(board + np.uintp(8), np.uint64), (count,))
    for number in range(count):
        slot = carray(pointer(np.uintp(places[number]), SLOT), (1,))[0]
        while True:
            item = ring_peek(np.uintp(slot.ring))
            if item == 0:
                break
            frame = carray(pointer(item, np.int64), (1,))[0]
            if frame > stream.position:
                until = min(until, frame - stream.position)
                break
            _take(stream, number, slot, item, frame, scratch)
            ring_drop(np.uintp(slot.ring))
    return until
