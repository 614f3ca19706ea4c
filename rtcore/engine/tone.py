# SPDX-License-Identifier: MIT
"""A sine, for calibration; it ignores what comes in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from rtcore.kernels import kernel
from rtcore.plugin import Param, Plugin, Prepared, Setting, Spec


def _radians_per_frame(frequency_hz: float, sample_rate: float) -> float:
    return 2.0 * math.pi * frequency_hz / sample_rate


class Tone(Plugin):
    """Replace the sound by a steady sine."""

    id = "tone"
    amplitude = Param(
        0.01, min=0.0, max=1.0, smoothing_s=0.05, doc="peak of the sine, full scale is 1"
    )
    frequency_hz = Setting(1000.0, type=float, min=1.0, max=20000.0, unit="Hz", doc="its frequency")
    state: ClassVar[Mapping[str, str]] = {"phase": "f8", "step": "f8"}

    def prepare(self, spec: Spec) -> Prepared:
        """Work out the phase step."""
        return Prepared(state={"step": _radians_per_frame(self.frequency_hz, spec.sample_rate)})

    @kernel
    def process(x, y, amplitude, state):  # noqa: ANN001, ANN201, N805, D102 - a kernel
        for i in range(x.shape[1]):
            value = amplitude[i] * np.sin(state.phase)
            for c in range(y.shape[0]):
                y[c, i] = value
            state.phase += state.step
            if state.phase > 2.0 * math.pi:
                state.phase -= 2.0 * math.pi
