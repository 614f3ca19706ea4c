# SPDX-License-Identifier: MIT
"""The joints of a chain that branches: alignment in time, sums, and copies."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from rtcore.kernels import helper, kernel
from rtcore.plugin import Plugin, Prepared, Setting, Spec


@helper
def delay_channel(source, target, line, start, delay):  # noqa: ANN001, ANN201 - compiled
    """Write ``source`` to ``target``, ``delay`` frames late, through a circular ``line``."""
    at = start
    if delay == 0:
        for i in range(source.size):
            target[i] = source[i]
        return at
    for i in range(source.size):
        target[i] = line[at]
        line[at] = source[i]
        at += 1
        if at == delay:
            at = 0
    return at


class Align(Plugin):
    """Delay each channel by its own number of frames, so that branches of a chain meet in time."""

    id = "align"
    delays = Setting((0,), doc="frames of delay of each channel")
    buffers: ClassVar = {"lines": "real[:, :]", "delay": "i8[:]", "at": "i8[:]"}

    def prepare(self, spec: Spec) -> Prepared:
        """Make a delay line for each channel."""
        delays = np.asarray(self.delays, np.int64)
        lines = np.zeros((spec.channels, max(1, int(delays.max(initial=0)))))
        at = np.zeros(spec.channels, np.int64)
        return Prepared(buffers={"lines": lines, "delay": delays, "at": at})

    @kernel
    def process(x, y, lines, delay, at):  # noqa: ANN001, ANN201, N805, D102 - a kernel
        for c in range(x.shape[0]):
            at[c] = delay_channel(x[c], y[c], lines[c], at[c], delay[c])


class Sum(Plugin):
    """Add branches of equal width, each delayed to meet the slowest and weighted by its gain."""

    id = "sum"
    delays = Setting((0,), doc="frames of delay of each branch")
    gains_db = Setting((0.0,), doc="gain of each branch in dB")
    buffers: ClassVar = {
        "lines": "real[:, :]",
        "delay": "i8[:]",
        "at": "i8[:]",
        "gain": "real[:]",
        "late": "real[:]",
    }

    def prepare(self, spec: Spec) -> Prepared:
        """Make a delay line for each channel of each branch."""
        width = spec.channels // len(self.delays)
        delays = np.repeat(np.asarray(self.delays, np.int64), width)
        gains = 10.0 ** (np.asarray(self.gains_db, float) / 20.0)
        lines = np.zeros((spec.channels, max(1, int(delays.max(initial=0)))))
        buffers = {
            "lines": lines,
            "delay": delays,
            "at": np.zeros(spec.channels, np.int64),
            "gain": gains,
        }
        return Prepared(channels_out=width, buffers={**buffers, "late": np.zeros(spec.max_frames)})

    @kernel
    def process(x, y, lines, delay, at, gain, late):  # noqa: ANN001, ANN201, N805, D102 - a kernel
        width = y.shape[0]
        frames = x.shape[1]
        for c in range(x.shape[0]):
            at[c] = delay_channel(x[c], late[:frames], lines[c], at[c], delay[c])
            out = y[c % width]
            weight = gain[c // width]
            if c < width:
                for i in range(frames):
                    out[i] = weight * late[i]
            else:
                for i in range(frames):
                    out[i] += weight * late[i]
