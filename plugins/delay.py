# SPDX-License-Identifier: MIT
"""Let the sound come later."""

from __future__ import annotations

import numpy as np

from rtcore import ParameterError, Plugin, Prepared, Setting, Spec, kernel

_MAX_S = 10.0


class Delay(Plugin):
    """Let the sound come later, by a time, a number of frames, or their sum.

    The delay is declared as latency, so that parallel branches are aligned around it.

    Parameters
    ----------
    delay_ms : float
        0 to 10,000 ms, rounded to whole frames.
    delay_frames : int
        Added to it.
    """

    id = "delay"
    delay_ms = Setting(
        0.0, type=float, min=0.0, max=1000.0 * _MAX_S, unit="ms", doc="delay as a time"
    )
    delay_frames = Setting(
        0, type=int, min=0, unit="frames", doc="delay in frames, added to delay_ms"
    )
    state = {"at": "i8"}
    buffers = {"line": "real[:, :]"}

    def prepare(self, spec: Spec) -> Prepared:
        """Make the delay line."""
        frames = spec.frames(self.delay_ms / 1000.0) + self.delay_frames
        longest = spec.frames(_MAX_S)
        if frames > longest:
            raise ParameterError(
                "delay_frames",
                f"the whole delay must be at most {_MAX_S:g} s, which is {longest} frames at "
                f"{spec.sample_rate:g} Hz, got {frames}",
            )
        # A line of no frames would be an array of no memory: one frame lies idle then.
        line = np.zeros((spec.channels, frames))
        return Prepared(latency_frames=frames, tail_frames=frames, buffers={"line": line})

    @kernel
    def process(x, y, state, line):
        """Take each sample from a circular line, and put the new one in its place."""
        length = line.shape[1]
        end = state.at
        for c in range(x.shape[0]):
            at = state.at
            if length == 0:
                for i in range(x.shape[1]):
                    y[c, i] = x[c, i]
            else:
                for i in range(x.shape[1]):
                    y[c, i] = line[c, at]
                    line[c, at] = x[c, i]
                    at += 1
                    if at == length:
                        at = 0
            end = at
        state.at = end
