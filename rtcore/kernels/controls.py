# SPDX-License-Identifier: MIT
"""Live parameters on the audio side: linear ramps that do not depend on how the stream is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from rtcore.kernels.abi import pointer, pointer_like
from rtcore.kernels.context import CONTROL
from rtcore.kernels.jit import FLAGS


@njit(nogil=True, **FLAGS)
def _control(controls: int, slot: int) -> Any:
    return carray(pointer(controls + np.uintp(slot * CONTROL_BYTES), CONTROL), (1,))[0]


CONTROL_BYTES = CONTROL.itemsize


@njit(nogil=True, **FLAGS)
def ramp(controls: int, slot: int, frames: int, like: Any) -> Any:
    """Give one value per frame of a smoothed parameter, as an array of the stream's real type."""
    control = _control(controls, slot)
    values = carray(pointer_like(np.uintp(control.values), like), (control.capacity,))
    left = control.left
    if left > 0:
        moving = min(left, frames)
        for i in range(moving):
            values[i] = control.target - control.step * (left - 1 - i)
        for i in range(moving, frames):
            values[i] = control.target
        control.left = left - moving
        control.filled = 0
    elif control.filled == 0:
        for i in range(control.capacity):
            values[i] = control.target
        control.filled = 1
    return values[:frames]


@njit(nogil=True, **FLAGS)
def value(controls: int, slot: int, like: Any) -> Any:
    """Give an unsmoothed parameter as a number of the stream's real type."""
    control = _control(controls, slot)
    held = carray(pointer_like(np.uintp(control.values), like), (1,))
    held[0] = control.target
    return held[0]


@njit(nogil=True, **FLAGS)
def aim(controls: int, slot: int, target: float) -> None:
    """Send a parameter towards a new target, from wherever it stands."""
    control = _control(controls, slot)
    now = control.target - control.step * control.left
    control.target = target
    if control.ramp_frames > 0:
        control.step = (target - now) / control.ramp_frames
        control.left = control.ramp_frames
    else:
        control.step = 0.0
        control.left = 0
