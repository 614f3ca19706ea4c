# SPDX-License-Identifier: MIT
"""Conceal lost packets by going on with the sound's pitch and colour."""

from __future__ import annotations

import math

from rtcore import Prepared, Spec, kernel
from rtcore.dsp import ConcealmentTuning, conceal, concealment_memory, rejoin, remember
from rtcore.dsp.losses import Concealing, packet_lost


class PlcPitch(Concealing):
    """Go on with the pitch and the colour of the sound where packets are lost.

    No latency. Received samples are unchanged but for the first 4 to 12 ms after a loss, in
    which the substitute fades out.

    Parameters
    ----------
    detector : str
        ``"flag"``: frames are lost that are flagged so; ``"zeros"``: packets of zeros are, too.
    packet_ms : float
        Length of a packet, 1 to 1000 ms; the ``"zeros"`` detector looks at whole packets.
    """

    id = "plc-pitch"
    buffers = {"memory": "f8[:, :]"}

    def prepare(self, spec: Spec) -> Prepared:
        """Make a memory for each channel."""
        memory = concealment_memory(spec.sample_rate, spec.channels)
        silent = math.ceil(spec.sample_rate * ConcealmentTuning().end_ms / 1000.0)
        return Prepared(
            tail_frames=self.tail_frames(silent + self.packet_frames(spec)),
            state=self.initial_state(),
            buffers={"memory": memory},
        )

    @kernel
    def process(x, y, ctx, state, memory):
        """Go on channel by channel."""
        frames = x.shape[1]
        lost = packet_lost(x, ctx.flags, state.zeros)
        for c in range(x.shape[0]):
            if lost:
                conceal(memory[c], y[c], frames)
            else:
                for i in range(frames):
                    y[c, i] = x[c, i]
                rejoin(memory[c], y[c], frames)
                remember(memory[c], y[c], frames)
