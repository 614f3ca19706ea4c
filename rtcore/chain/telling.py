# SPDX-License-Identifier: MIT
"""How the thread that plays tells the control thread what happened."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcore.kernels.jit import native
from rtcore.rings import ring_put


@native
def tell_of(
    stream: Any, frame: int, kind: int, target: int, argument: int, serial: int, scratch: Any
) -> None:
    """Put an event into the ring, for a frame of its own."""
    event = scratch[0]
    event.frame = frame
    event.kind = kind
    event.target = target
    event.argument = argument
    event.serial = serial
    if ring_put(np.uintp(stream.events), np.uintp(scratch.ctypes.data), 1) == 0:
        stream.events_lost += 1


@native
def tell(stream: Any, kind: int, target: int, argument: int, serial: int, scratch: Any) -> None:
    """Put an event into the ring, for the frame that comes next."""
    tell_of(stream, stream.position, kind, target, argument, serial, scratch)
