# SPDX-License-Identifier: MIT
"""Plugins that break one promise each; the id names the check that must notice."""

from __future__ import annotations

import numpy as np

from rtcore import Param, Plugin, Prepared, kernel
from rtcore.dsp.losses import packet_lost


class BadDescribed(Plugin):
    id = "bad_described"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i]


class BadPrepares(Plugin):
    """Copy, by way of fresh memory."""

    id = "bad_prepares"

    @kernel
    def process(x, y):
        fresh = np.zeros(x.shape[1])
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                fresh[i] += x[c, i]
                y[c, i] = fresh[i]


class BadChunking(Plugin):
    """Remove each block's mean."""

    id = "bad_chunking"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            mean = 0.0
            for i in range(x.shape[1]):
                mean += x[c, i] / x.shape[1]
            for i in range(x.shape[1]):
                y[c, i] = x[c, i] - mean


class BadChunkingUnwritten(Plugin):
    """Pass loud samples and forget to write the others."""

    id = "bad_chunking_unwritten"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                if abs(x[c, i]) > 0.1:
                    y[c, i] = x[c, i]


class BadChunkingRounded(Plugin):
    """Soften the sound by a low-pass whose state is rounded at each block's end.

    The number 0.3 is of double precision, so `held` is too, until it is put into the buffer.
    """

    id = "bad_chunking_rounded"
    buffers = {"level": "real[:]"}

    def prepare(self, spec):
        return Prepared(tail_frames=64, buffers={"level": np.zeros(spec.channels)})

    @kernel
    def process(x, y, level):
        for c in range(x.shape[0]):
            held = level[c]
            for i in range(x.shape[1]):
                held = 0.7 * held + 0.3 * x[c, i]
                y[c, i] = held
            level[c] = held


class BadLatency(Plugin):
    """Come 100 frames late and say nothing of it."""

    id = "bad_latency"
    facts = {"tail_frames": 100}
    state = {"at": "i8"}
    buffers = {"line": "real[:, :]"}

    def prepare(self, spec):
        return Prepared(**self.facts, buffers={"line": np.zeros((spec.channels, 100))})

    @kernel
    def process(x, y, state, line):
        end = state.at
        for c in range(x.shape[0]):
            at = state.at
            for i in range(x.shape[1]):
                y[c, i] = line[c, at]
                line[c, at] = x[c, i]
                at = (at + 1) % 100
            end = at
        state.at = end


class BadLatencyAhead(BadLatency):
    """Come 100 frames late and claim to look ahead by as much."""

    id = "bad_latency_ahead"
    facts = {"tail_frames": 100, "latency_frames": 100, "lookahead_frames": 100}


class BadLatencyNegative(BadLatency):
    """Claim to know the future."""

    id = "bad_latency_negative"
    facts = {"tail_frames": 100, "latency_frames": 100, "lookahead_frames": 101}


class BadLatencyLoss(Plugin):
    """Fill what was lost with what came behind it, and say nothing of looking ahead."""

    id = "bad_latency_loss"
    conceals = True
    hop_frames = 128
    state = {"gone": "i8"}
    buffers = {"held": "real[:, :]"}

    def prepare(self, spec):
        held = np.zeros((spec.channels, 128))
        return Prepared(latency_frames=128, tail_frames=128, buffers={"held": held})

    @kernel
    def process(x, y, ctx, state, held):
        lost = packet_lost(x, ctx.flags, 0)
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i] if state.gone and not lost else held[c, i]
                held[c, i] = x[c, i]
        state.gone = 1 if lost else 0


class BadTail(BadLatency):
    """Come 100 frames late and forget the tail."""

    id = "bad_tail"
    facts = {"latency_frames": 100}


class BadLatencyResponse(Plugin):
    """Filter with a linear phase, and say nothing of its delay."""

    id = "bad_latency_response"
    buffers = {"before": "real[:, :]"}

    def prepare(self, spec):
        return Prepared(tail_frames=2, buffers={"before": np.zeros((spec.channels, 2))})

    @kernel
    def process(x, y, before):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = 0.25 * x[c, i] + 0.5 * before[c, 0] + 0.25 * before[c, 1]
                before[c, 1] = before[c, 0]
                before[c, 0] = x[c, i]


class BadSilence(Plugin):
    """Add a constant."""

    id = "bad_silence"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i] + 1e-3


class BadSubnormals(Plugin):
    """Keep a constant against subnormals that is one itself."""

    id = "bad_subnormals"
    state = {"level": "real"}

    @kernel
    def process(x, y, state):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                if abs(x[c, i]) < 1e-30:
                    state.level = np.float32(1e-40)
                y[c, i] = x[c, i]


class BadFinite(Plugin):
    """Divide each sample by its own size."""

    id = "bad_finite"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i] / abs(x[c, i])


class BadReset(Plugin):
    """Change the sign every 100 frames of the stream, which no reset takes back."""

    id = "bad_reset"

    @kernel
    def process(x, y, ctx):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                odd = ((ctx.position + i) // 100) % 2
                y[c, i] = x[c, i] * (1.0 - 2.0 * odd)


class BadInput(Plugin):
    """Use the input as scratch memory."""

    id = "bad_input"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                x[c, i] *= 0.5
                y[c, i] = x[c, i]


class BadClicks(Plugin):
    """Make the sound louder or softer at once."""

    id = "bad_clicks"
    amount = Param(1.0, min=0.5, max=1.0)

    @kernel
    def process(x, y, amount):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = amount * x[c, i]
