# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np

from rtcore import Param, Plugin, Prepared, kernel


class PlantedGood(Plugin):
    """Let a first-order low-pass soften the sound, and make it louder or softer."""

    id = "planted_good"
    amount = Param(0.5, min=0.0, max=1.0, smoothing_s=0.02)
    buffers = {"level": "f8[:]"}

    def prepare(self, spec):
        return Prepared(tail_frames=64, buffers={"level": np.zeros(spec.channels)})

    @kernel
    def process(x, y, level, amount):
        for c in range(x.shape[0]):
            held = level[c]
            for i in range(x.shape[1]):
                held = 0.5 * held + 0.5 * x[c, i]
                y[c, i] = amount[i] * held
            level[c] = held
