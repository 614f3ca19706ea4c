# SPDX-License-Identifier: MIT
"""Plugins that do what their side inputs say."""

from __future__ import annotations

import numpy as np

from rtcore import Plugin, Setting, SideInput, kernel, side_vector

WIDE = 500


class Steered(Plugin):
    """Multiply each channel by a number of the vector that holds."""

    id = "t_steered"
    side_inputs = {"gains": SideInput(2, initial=(1.0, -1.0), rate_hz=100.0, lateness_s=0.01)}
    twist = Setting(0, type=int, doc="changes nothing but makes the plugin anew")

    @kernel
    def process(x, y, ctx):
        """Scale."""
        gains = side_vector(ctx, 0)
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = gains[c % 2] * x[c, i]


class Hopped(Steered):
    """The same in hops."""

    id = "t_hopped"
    hop_frames = 48
    placement = Setting("inline", choices=("inline", "worker"))


class Shown(Plugin):
    """Show the least and the greatest number of a long vector: they differ where it is torn."""

    id = "t_shown"
    side_inputs = {"unused": SideInput(3), "level": SideInput(WIDE)}

    @kernel
    def process(x, y, ctx):
        """Write both."""
        level = side_vector(ctx, 1)
        low, high = level[0], level[0]
        for k in range(level.size):
            low, high = min(low, level[k]), max(high, level[k])
        for i in range(x.shape[1]):
            y[0, i] = low
            y[1, i] = high


def scaled(x, vectors, frames):
    """Give what `Steered` makes of a sound: each vector holds from its frame on."""
    y = np.empty_like(x)
    holds = [(0, (1.0, -1.0)), *zip(frames, vectors, strict=True)]
    for start, vector in holds:
        for c in range(x.shape[0]):
            y[c, start:] = np.float32(vector[c % 2]) * x[c, start:]
    return y
