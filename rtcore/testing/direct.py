# SPDX-License-Identifier: MIT
"""The compiled kernel, called without a chain around it: what it writes, and what it must not."""

from __future__ import annotations

import ctypes

import numpy as np

from rtcore.chain.node import Node, state_record
from rtcore.kernels.context import CONTEXT
from rtcore.plugin import Spec
from rtcore.testing.case import Case, Sound, first_difference

_FRAMES = 64
_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4, ctypes.c_int32)


def first_unwritten(case: Case) -> int | None:
    """Give the first frame of y that a kernel leaves as it was, or None."""
    _, _, y = _played(case)
    left = np.isnan(y).any(axis=0)
    return int(np.argmax(left)) if left.any() else None


def first_write(case: Case) -> int | None:
    """Give the first frame of x that a kernel changes, or None."""
    before, after, _ = _played(case)
    return first_difference(before, after)


def _played(case: Case) -> tuple[Sound, Sound, Sound]:
    """Play one block into NaN; give the input before and after, and the output."""
    cls, real = case.plugin_class, np.dtype(case.dtype)
    node = Node(cls(**case.settings), Spec(case.sample_rate, case.channels, _FRAMES, real))
    frames = node.hop_frames or _FRAMES
    per_frame = {p.kernel_name or name: p.smoothing_s > 0 for name, p in cls.params.items()}
    record = state_record(cls, real)
    address = cls.process.address(real, record, cls.buffer_types(), per_frame)
    context = np.zeros(1, CONTEXT)
    context["sample_rate"] = case.sample_rate
    context["side_count"], context["side"] = len(node.sides), node.side_views.ctypes.data
    before = case.noise(frames)
    x, y = before.copy(), np.full((node.channels_out, frames), np.nan, real)
    places = (node.record, context, x, y)
    _ENTRY(address)(*(place.ctypes.data for place in places), frames)
    return before, x, y
