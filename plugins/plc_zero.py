# SPDX-License-Identifier: MIT
"""Play silence where packets are lost: what a receiver does that does nothing."""

from __future__ import annotations

from rtcore import Prepared, Spec, kernel
from rtcore.dsp.losses import Concealing, packet_lost


class PlcZero(Concealing):
    """Play silence where packets are lost, to compare with what conceals them.

    Parameters
    ----------
    detector : str
        ``"flag"``: frames are lost that are flagged so; ``"zeros"``: packets of zeros are, too.
    packet_ms : float
        Length of a packet, 1 to 1000 ms; the ``"zeros"`` detector looks at whole packets.
    """

    id = "plc-zero"

    def prepare(self, spec: Spec) -> Prepared:
        """Nothing is kept."""
        del spec
        return Prepared(state=self.initial_state())

    @kernel
    def process(x, y, ctx, state):
        """Copy what came."""
        lost = packet_lost(x, ctx.flags, state.zeros)
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = 0.0 if lost else x[c, i]
