# SPDX-License-Identifier: MIT
"""Plugins that are late, hang or fail as told, and a device that waits for what the test wants."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from waiting import reaches

from rtcore import Attached, Param, Plugin, Prepared, Setting, kernel
from rtcore.kernels.abi import load_acquire
from rtcore.kernels.rt import CLOCK_MONOTONIC, clock_nanosleep

HOP = 48
OPEN = 1 << 40
GOOD, NAN, INFINITE, STATUS = range(4)


@kernel
def smooth(x, y, state, ctx, gain, held, pause, plan_of):
    """Wait until the hop is let through, fail as planned, else filter with memory."""
    number = ctx.position // x.shape[1]
    while load_acquire(np.uintp(state.gate)) <= number:
        pause[1] = 200_000
        clock_nanosleep(
            np.int32(CLOCK_MONOTONIC), np.int32(0), np.uintp(pause.ctypes.data), np.uintp(0)
        )
    if state.sleep_ns > 0:
        pause[1] = state.sleep_ns
        clock_nanosleep(
            np.int32(CLOCK_MONOTONIC), np.int32(0), np.uintp(pause.ctypes.data), np.uintp(0)
        )
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            held[c] += 0.25 * (x[c, i] - held[c])
            y[c, i] = gain[i] * held[c]
    if ctx.flags != 0:
        y[0, 0] = 0.125 * ctx.flags
    wish = plan_of[number % plan_of.size]
    if wish == 1:
        y[0, 3] = np.nan
    if wish == 2:
        y[y.shape[0] - 1, x.shape[1] - 1] = np.inf
    return np.int32(7) if wish == 3 else np.int32(0)


@kernel
def first_channel(x, y, state, ctx):
    """Wait until the hop is let through, and keep the first channel."""
    number = ctx.position // x.shape[1]
    while load_acquire(np.uintp(state.gate)) <= number:
        pass
    for i in range(x.shape[1]):
        y[0, i] = x[0, i]


class Inline(Plugin):
    """A filter with memory and a smoothed gain that can be held up and made to fail."""

    id = "t_planted"
    hop_frames = HOP
    gain = Param(1.0, min=-10.0, max=10.0, smoothing_s=0.003)
    plan = Setting((GOOD,), doc="what becomes of each hop, over and over")
    sleep_s = Setting(0.0, doc="how long each hop takes")
    state: ClassVar = {"gate": "i8", "sleep_ns": "i8"}
    buffers: ClassVar = {"held": "real[:]", "pause": "i8[:]", "plan_of": "i8[:]"}
    process = smooth

    def prepare(self, spec):
        """Begin from silence."""
        buffers = {
            "held": np.zeros(spec.channels),
            "pause": np.zeros(2),
            "plan_of": np.array(self.plan),
        }
        return Prepared(state={"sleep_ns": round(1e9 * self.sleep_s)}, buffers=buffers)

    def attach(self, buffers):
        """Make the gate: hops below its number are let through."""
        del buffers
        gate = np.full(1, OPEN)
        return Attached({"gate": gate.ctypes.data}, gate)


class Planted(Inline):
    """The same on a worker, placed and concealed as the test wants."""

    id = "t_worker"
    placement = "worker"
    worker_allowance_s = Setting(None)
    worker_late = Setting("conceal")


class Narrow(Planted):
    """Two channels come in, one goes out."""

    id = "t_narrow"
    process = first_channel

    def prepare(self, spec):
        """Say so."""
        return replace(super().prepare(spec), channels_out=1)


def worker_of(chain, number=0):
    """Give the worker of a node."""
    return chain.nodes[number].node.worker


def gate_of(chain, number=0):
    """Give the word that lets hops of a node through."""
    return chain.nodes[number].node.keep


class Device:
    """Plays a chain live, block by block, with as much time between blocks as the test wants."""

    def __init__(self, chain):
        self.chain = chain
        self.worker = worker_of(chain)
        chain.stream.wake()
        chain.stream._context["deadline_ns"] = 1  # somebody waits

    def block(self, x, *, lost=False):
        """Play one block."""
        return self.chain.process(x, lost=lost)

    def rests(self, gate, sent):
        """Whether the worker has done what it is let, and waits for more or before the gate."""
        if gate == OPEN:
            return self.worker.idle
        settled, waiting = self.worker.settled_hops, self.worker.waiting_hops
        in_hand = int(self.worker._counts["posted"][0]) - settled - waiting
        return settled >= min(gate, sent) and in_hand == min(1, in_hand + waiting)

    def play(self, x, block, *, through=lambda _hops: OPEN, meanwhile=lambda _at: None):
        """Play a sound; before each block the worker gets through as many hops as it is let.

        ``through(hops)`` gives the gate once so many hops have been sent.
        """
        gate, pieces = gate_of(self.chain), []
        for at in range(0, x.shape[1], block):
            gate[0] = through(at // HOP)
            assert reaches(lambda at=at: self.rests(int(gate[0]), at // HOP), turn_s=0.0003)
            meanwhile(at)
            pieces.append(self.block(x[:, at : at + block]))
        return np.concatenate(pieces, axis=1)


def steepest(y):
    """Give the greatest step from one frame to the next."""
    return float(np.abs(np.diff(y, axis=1)).max())
