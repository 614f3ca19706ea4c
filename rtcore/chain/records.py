# SPDX-License-Identifier: MIT
"""The records that Python and compiled code share: steps, chains, streams, commands."""

from __future__ import annotations

import enum

import numpy as np


class Command(enum.IntEnum):
    """What the control thread asks of a stream, at a frame."""

    PARAM = 1  # step, slot, value
    SWAP_STEP = 2  # step, address of the new STEP, cross-fade in frames
    SWAP_CHAIN = (
        3  # address of the new CHAIN, frames without sound of its own, cross-fade in frames
    )
    RESET = 4  # step, or -1 for all
    FLAGS = 5  # flags of the frames from here on


class Event(enum.IntEnum):
    """What a stream tells the control thread."""

    APPLIED = 1  # a command, by serial number
    RETIRED = 2  # the address of a STEP or CHAIN whose cross-fade is over
    FAULT = 3  # a plugin gave NaN, Inf or a status: step, status, and its chain for a serial
    FED = 4  # a vector was taken: number of the side input, 1 if it holds, its place in the ring
    FLAGGED = 5  # the thread that plays set the flags itself: the flags


#: One processor in place: code, memory, and where its samples lie.
STEP = np.dtype(
    [
        ("fn", "u8"),
        ("state", "u8"),
        ("controls", "u8"),
        ("memory", "u8"),  # all that the processor changes
        ("memory_bytes", "i8"),
        ("pristine", "u8"),  # the same as prepared; a reset copies it back
        ("control_count", "i8"),
        ("channels_in", "i8"),
        ("channels_out", "i8"),
        ("x", "u8"),  # address of the input buffer, and the channel in it where ours begin
        ("x_channel", "i8"),
        ("y", "u8"),
        ("y_channel", "i8"),
        ("last", "u8"),  # last good output sample of each channel
        ("muted", "i8"),
        ("mute_left", "i8"),  # frames until the fade to silence is over
        ("mute_frames", "i8"),
        ("faults", "i8"),
        ("histogram", "u8"),  # of nanoseconds per call; 0: not measured
        ("busy_ns", "i8"),
        ("old", "u8"),  # address of the STEP this one replaces, while both play
        ("fade_left", "i8"),
        ("fade_frames", "i8"),
        ("warm_frames", "i8"),  # the old one plays alone that long: the new one has no sound yet
        ("chain", "u8"),  # address of the CHAIN in which it stands
        ("side_count", "i8"),  # side inputs: how many, and the address of their SIDE records
        ("side", "u8"),
    ],
    align=True,
)

#: A chain in place: its steps and its input and output buffers.
CHAIN = np.dtype(
    [
        ("steps", "u8"),
        ("step_count", "i8"),
        ("channels_in", "i8"),
        ("channels_out", "i8"),
        ("max_frames", "i8"),
        ("input", "u8"),
        ("output", "u8"),
        ("output_channel", "i8"),
        ("fade_scratch", "u8"),  # room for any step's output, for cross-fades
    ],
    align=True,
)

#: What plays: a chain, perhaps a second one fading out, the clock and the queues.
STREAM = np.dtype(
    [
        ("position", "i8"),
        ("chain", "u8"),
        ("old", "u8"),
        ("fade_left", "i8"),
        ("fade_frames", "i8"),
        ("context", "u8"),
        ("commands", "u8"),  # ring of COMMAND
        ("events", "u8"),  # ring of EVENT
        ("clock", "u8"),  # 16 spare bytes
        ("timed", "i8"),  # 1: measure every step
        ("input_faults", "i8"),  # NaN or Inf samples replaced by 0 at the door
        ("events_lost", "i8"),
        ("hasty_frames", "i8"),  # what is left of a cross-fade when the next swap waits for it
        ("sides", "u8"),  # address of the BOARD
    ],
    align=True,
)

MAX_SIDES = 64

#: The side inputs of a stream; they are only ever added.
BOARD = np.dtype([("count", "i8"), ("slots", "u8", (MAX_SIDES,))], align=True)

#: One of them; an item of its ring is a frame (-1: the next) and a vector.
SLOT = np.dtype(
    [
        ("ring", "u8"),
        ("values", "u8"),  # the vector that holds
        ("value_bytes", "i8"),
        ("lateness_frames", "i8"),  # a vector that comes later is dropped; -1: none is
        ("applied", "i8"),
        ("late", "i8"),  # of them those whose frame had been played
        ("too_late", "i8"),
        ("latest_frames", "i8"),
    ],
    align=True,
)

COMMAND = np.dtype(
    [
        ("frame", "i8"),  # position at which it takes effect; -1: at once
        ("kind", "i8"),
        ("target", "i8"),
        ("argument", "i8"),
        ("value", "f8"),
        ("serial", "i8"),
        ("waits_since", "i8"),  # frame at which a swap was due; 0: it did not have to wait
    ],
    align=True,
)

EVENT = np.dtype(
    [("frame", "i8"), ("kind", "i8"), ("target", "i8"), ("argument", "i8"), ("serial", "i8")],
    align=True,
)
