# SPDX-License-Identifier: MIT
"""The records that the audio thread writes and the control thread reads, in 8-byte words."""

from __future__ import annotations

import numpy as np

#: Levels of one channel, written once a block.
LEVEL = np.dtype(
    [
        ("peak", "f8"),  # greatest |sample| since the start
        ("recent_peak", "f8"),  # falls 20 dB a second
        ("mean_square", "f8"),  # exponential mean over 300 ms
        ("clips", "i8"),  # samples at or above full scale
    ],
    align=True,
)

#: What the engine counts.
STATS = np.dtype(
    [
        ("blocks", "i8"),
        ("frames", "i8"),
        ("late_total", "i8"),  # blocks that were late, in the engine's life
        ("late_since_start", "i8"),  # since the device was (re)opened
        ("late_run", "i8"),  # in a row, up to now
        ("late_longest", "i8"),  # the longest such run
        ("last_start_ns", "i8"),
        ("last_frames", "i8"),
        ("smallest_block", "i8"),
        ("largest_block", "i8"),
        ("input_dry", "i8"),  # frames that the source did not have in time
        ("tap_lost", "i8"),  # frames that a recorder did not take in time
        ("interval", "u8"),  # histograms: from one block's start to the next one's
        ("busy", "u8"),  # from start to end of a block's work
        ("slack", "u8"),  # from its end to its deadline
    ],
    align=True,
)

#: The last thing before the ears.
SAFETY = np.dtype(
    [
        ("enabled", "i8"),
        ("ceiling", "f8"),  # greatest |sample| that goes out
        ("gain", "f8"),  # of the limiter, 1 when idle
        ("release", "f8"),  # share of the way back to 1 in each frame
        ("volume", "f8"),  # where the volume stands
        ("volume_target", "f8"),
        ("volume_step", "f8"),  # greatest change in each frame
        ("limited_frames", "i8"),  # frames that were turned down, release included
        ("pressed_frames", "i8"),  # frames no further than `press_hold` from one above the ceiling
        ("press_hold", "i8"),
        ("press_left", "i8"),
    ],
    align=True,
)

#: One engine: where sound comes from, what plays it, and where it goes.
ENGINE = np.dtype(
    [
        ("stop", "i8"),  # shared: 1 asks the thread or callback to end
        ("done", "i8"),  # shared: 1 once it has
        ("paced", "i8"),  # 0: as fast as possible; lateness means nothing
        ("sample_rate", "f8"),
        ("capacity", "i8"),  # longest piece that is handled at once
        ("stream", "u8"),
        ("chain_in", "i8"),
        ("chain_out", "i8"),
        ("device_in", "i8"),
        ("device_out", "i8"),
        ("inputs", "u8"),  # uint64[chain_in], scratch for addresses
        ("outputs", "u8"),  # uint64[chain_out]: rows of `result`
        ("silence", "u8"),  # zeros, capacity x widest device
        ("result", "u8"),  # [chain_out][capacity] of the stream's real type
        ("interleaved", "u8"),  # scratch for the taps
        ("safety", "u8"),
        ("stats", "u8"),
        ("levels_in", "u8"),
        ("levels_out", "u8"),
        ("tap_in", "u8"),  # rings of frames that recorders read; 0: none
        ("tap_out", "u8"),
        ("clock", "u8"),  # spare bytes for two time specifications
        ("ports_in", "u8"),  # uint64[device_in]: JACK ports
        ("ports_out", "u8"),
        ("get_buffer", "u8"),  # jack_port_get_buffer
        ("inlet", "u8"),  # packets that are played instead of the device's input; 0: none
        ("play_inlet", "u8"),  # the function that does so
    ],
    align=True,
)
