# SPDX-License-Identifier: MIT
"""Repeat the last packet where packets are lost, softer each time: the simplest concealment.

Each repetition begins without a step: by what it would jump is taken back, and let go within
2.5 ms. From the last repetition into the real sound the two are mixed over as long.
"""

from __future__ import annotations

import math

import numpy as np

from rtcore import Prepared, Spec, helper, kernel
from rtcore.dsp.losses import Concealing, packet_lost

_PER_REPETITION = 0.7
_SILENT = 1e-5  # a gain of -100 dB and less is none
_FADE_S = 0.0025
# Places in a channel's `run`.
_AT, _MADE, _LEFT, _STEP, _GAIN = 0, 1, 2, 3, 4


@helper
def _hold(history, held, run):
    """Take the last packet, and the sample before it, out of the circular history."""
    at = int(run[_AT])
    for i in range(held.size):
        held[i] = history[at]
        at = at + 1 if at + 1 < held.size else 0
    run[_MADE] = 0.0
    run[_GAIN] = 1.0


@helper
def _next(held, run, newest, fade):
    """Give the next sample of the repetitions; `newest` is the last that went out."""
    packet = held.size - 1
    at = int(run[_MADE]) % packet
    if at == 0:
        run[_GAIN] *= _PER_REPETITION
        if run[_GAIN] < _SILENT:
            run[_GAIN] = 0.0
        run[_STEP] = newest - run[_GAIN] * held[0]
    run[_MADE] += 1.0
    return run[_GAIN] * held[1 + at] + run[_STEP] * (max(fade - at, 0) / (fade + 1.0))


@helper
def _play(x, y, history, held, run, lost, fade):
    """Play one channel: copy, repeat, or lead from the one to the other."""
    at = int(run[_AT])
    newest = history[at - 1 if at > 0 else history.size - 1]
    if lost and run[_LEFT] < fade + 1.0:  # the first lost frame
        _hold(history, held, run)
    for i in range(x.size):
        value = np.float64(x[i])
        if lost:
            run[_LEFT] = fade + 1.0  # one more, as the mark of a loss in progress
            value = _next(held, run, newest, fade)
        elif run[_LEFT] > 0.0:
            run[_LEFT] = min(run[_LEFT], fade) - 1.0
            weight = (run[_LEFT] + 1.0) / (fade + 1.0)
            value += weight * (_next(held, run, newest, fade) - value)
        y[i] = value
        newest = y[i]
        history[at] = y[i]
        at = at + 1 if at + 1 < history.size else 0
    run[_AT] = at


class PlcRepeat(Concealing):
    """Repeat the last packet where packets are lost, 3 dB softer each time.

    Received samples are unchanged but for the first 2.5 ms after a loss.

    Parameters
    ----------
    detector : str
        ``"flag"``: frames are lost that are flagged so; ``"zeros"``: packets of zeros are, too.
    packet_ms : float
        Length of a packet, 1 to 1000 ms: so much is repeated.
    """

    id = "plc-repeat"
    state = {**Concealing.state, "fade": "i8"}
    buffers = {"history": "real[:, :]", "held": "real[:, :]", "run": "f8[:, :]"}

    def prepare(self, spec: Spec) -> Prepared:
        """Make room for a packet and the sample before it."""
        frames = self.packet_frames(spec) + 1
        fade = min(spec.frames(_FADE_S), frames - 1)
        buffers = {
            "history": np.zeros((spec.channels, frames)),
            "held": np.zeros((spec.channels, frames)),
            "run": np.zeros((spec.channels, 5)),
        }
        repetitions = math.ceil(math.log(_SILENT) / math.log(_PER_REPETITION))
        return Prepared(
            tail_frames=self.tail_frames((repetitions + 1) * (frames - 1)),
            state={**self.initial_state(), "fade": fade},
            buffers=buffers,
        )

    @kernel
    def process(x, y, ctx, state, history, held, run):
        """Go on channel by channel."""
        lost = packet_lost(x, ctx.flags, state.zeros)
        for c in range(x.shape[0]):
            _play(x[c], y[c], history[c], held[c], run[c], lost, state.fade)
