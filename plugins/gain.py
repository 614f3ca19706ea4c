# SPDX-License-Identifier: MIT
"""Make the sound louder or softer."""

from __future__ import annotations

from rtcore import Param, Plugin, kernel
from rtcore.parameters import db_to_amplitude


class Gain(Plugin):
    """Make the sound louder or softer.

    Parameters
    ----------
    gain_db : float
        -120 to 40 dB; a change is reached in 20 ms, without a click.
    """

    id = "gain"
    gain_db = Param(
        0.0,
        min=-120.0,
        max=40.0,
        unit="dB",
        smoothing_s=0.02,
        kernel_name="gain",
        convert=db_to_amplitude,
        doc="how much louder (above 0) or softer (below 0)",
    )

    @kernel
    def process(x, y, gain):
        """Multiply."""
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = gain[i] * x[c, i]
