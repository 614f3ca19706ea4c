# SPDX-License-Identifier: MIT
"""What a kernel is told about the block in hand, and the layout of its controls."""

from __future__ import annotations

import enum

import numpy as np

#: Raised whenever a record below, the C signature or the state header changes.
ABI_VERSION = 1


class Flag(enum.IntFlag):
    """Marks of one block, in ``ctx.flags``."""

    LOST = 1  # the block's packet never came: its samples are zeros
    DISCONTINUITY = 2  # the input jumped: blocks are missing before this one
    BYPASS = 4  # the listener asked for the unprocessed sound


#: The record behind ``ctx``.
CONTEXT = np.dtype(
    [
        ("abi_version", "i8"),
        ("position", "i8"),  # frames since the stream began, at the block's first frame
        ("sample_rate", "f8"),
        ("flags", "i8"),  # a sum of Flag values
        ("time_ns", "i8"),  # CLOCK_MONOTONIC at the start of the block; 0 offline
        ("deadline_ns", "i8"),  # when the device needs the block; 0 offline
        ("side_count", "i8"),  # side inputs of the plugin: how many, and the address of their
        ("side", "u8"),  # SIDE records, in the order in which the plugin declares them
    ],
    align=True,
)

#: One side input, as a kernel reads it.
SIDE = np.dtype(
    [
        ("values", "u8"),  # address of the vector that holds, in float32
        ("width", "i8"),  # numbers in it
    ],
    align=True,
)

#: One live parameter: where it is going, and the values of the frames in hand.
CONTROL = np.dtype(
    [
        ("target", "f8"),
        ("step", "f8"),  # change per frame while it moves
        ("left", "i8"),  # frames until the target is reached
        ("ramp_frames", "i8"),  # length of a full ramp; 0: the kernel gets a scalar
        ("filled", "i8"),  # 1 once every element of `values` holds the target
        ("capacity", "i8"),  # elements behind `values`
        ("values", "u8"),  # address of the ramp's samples, in the stream's real type
    ],
    align=True,
)

#: First fields of every plugin's state record; the author's own follow.
HEADER: list[tuple[str, str]] = [
    ("rt_abi_version", "i8"),
    ("rt_channels_in", "i8"),
    ("rt_channels_out", "i8"),
    ("rt_max_frames", "i8"),
    ("rt_controls", "u8"),
]
