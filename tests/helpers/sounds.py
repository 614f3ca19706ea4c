# SPDX-License-Identifier: MIT
"""Small plugins and signals for the tests of the chain and of the engine."""

from __future__ import annotations

import numpy as np

from rtcore import Param, Plugin, Prepared, Setting, helper, kernel


class Scale(Plugin):
    """Multiply by a smoothed number."""

    id = "t_scale"
    factor = Param(1.0, min=-10.0, max=10.0, smoothing_s=0.004)

    @kernel
    def process(x, y, factor):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = factor[i] * x[c, i]


class Step(Plugin):
    """Multiply by a number that jumps."""

    id = "t_step"
    factor = Param(1.0)
    offset = Param(0.0)

    @kernel
    def process(x, y, factor, offset):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = factor * x[c, i] + offset


class Smear(Plugin):
    """A one-pole low-pass filter: it remembers."""

    id = "t_smear"
    pole = Setting(0.9, type=float, min=0.0, max=0.9999)
    buffers = {"held": "real[:]", "coefficient": "real[:]"}

    def prepare(self, spec):
        return Prepared(buffers={"held": np.zeros(spec.channels), "coefficient": [1 - self.pole]})

    @kernel
    def process(x, y, held, coefficient):
        b = coefficient[0]
        for c in range(x.shape[0]):
            value = held[c]
            for i in range(x.shape[1]):
                value += b * (x[c, i] - value)  # one product: it is fused the same way everywhere
                y[c, i] = value
            held[c] = value


class Late(Plugin):
    """Delay by a number of frames."""

    id = "t_late"
    frames = Setting(10, type=int, min=1, max=10000)
    state = {"at": "i8"}
    buffers = {"line": "real[:, :]"}

    def prepare(self, spec):
        line = np.zeros((spec.channels, self.frames))
        return Prepared(latency_frames=self.frames, tail_frames=self.frames, buffers={"line": line})

    @kernel
    def process(x, y, state, line):
        for i in range(x.shape[1]):
            for c in range(x.shape[0]):
                value = line[c, state.at]
                line[c, state.at] = x[c, i]
                y[c, i] = value
            state.at = (state.at + 1) % line.shape[1]


class Facts(Plugin):
    """Say what the context says: position, flags, number of frames, in the first three channels."""

    id = "t_facts"

    @kernel
    def process(x, y, ctx):
        for i in range(x.shape[1]):
            y[0, i] = ctx.position + i
            y[1, i] = ctx.flags
            y[2, i] = x.shape[1]


class Count(Plugin):
    """Emit the frame number (exact in float32 for 5 minutes), whatever comes in."""

    id = "t_count"

    @kernel
    def process(x, y, ctx):
        for c in range(y.shape[0]):
            for i in range(y.shape[1]):
                y[c, i] = ctx.position + i


@helper
def noise_at(position, channel):
    """Give a number in (-0.5, 0.5) that depends on nothing but its place."""
    bits = (position * 2654435761 + channel * 40503 + 12345) & 0xFFFFFFFF
    bits = ((bits >> 15) ^ bits) * 2246822519 & 0xFFFFFFFF
    bits = ((bits >> 13) ^ bits) & 0xFFFFFF
    return bits / 16777216.0 - 0.5


class Noise(Plugin):
    """Emit noise that is the same at the same frame of each stream."""

    id = "t_noise"

    @kernel
    def process(x, y, ctx):
        for c in range(y.shape[0]):
            for i in range(y.shape[1]):
                y[c, i] = noise_at(ctx.position + i, c)


class Bomb(Plugin):
    """Pass sound on until a frame, then give NaN, Inf or a status."""

    id = "t_bomb"
    at = Setting(100, type=int)
    kind = Setting("nan", choices=("nan", "inf", "status"))
    buffers = {"plan": "i8[:]"}

    def prepare(self, spec):
        return Prepared(buffers={"plan": [self.at, ("nan", "inf", "status").index(self.kind)]})

    @kernel
    def process(x, y, ctx, plan):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i]
                if ctx.position + i >= plan[0] and plan[1] < 2:
                    y[c, i] = np.nan if plan[1] == 0 else -np.inf
        if plan[1] == 2 and ctx.position + x.shape[1] > plan[0]:
            return 7
        return 0


class Spin(Plugin):
    """Pass sound on, and waste time in one block out of so many."""

    id = "t_spin"
    rounds = Setting(0, type=int)
    every_frames = Setting(6400, type=int)
    state = {"waste": "f8"}
    buffers = {"plan": "i8[:]"}

    def prepare(self, spec):
        return Prepared(buffers={"plan": [self.rounds, self.every_frames]})

    @kernel
    def process(x, y, ctx, state, plan):
        if ctx.position % plan[1] < x.shape[1]:
            for k in range(plan[0]):
                state.waste = state.waste * 0.5 + k
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i]


class Asserts(Plugin):
    """Use `assert`, which pytest would rewrite in a test module."""

    id = "t_asserts"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                assert x[c, i] < 2  # may raise
                y[c, i] = x[c, i]


class Mono(Plugin):
    """Add all channels."""

    id = "t_mono"

    def prepare(self, spec):
        return Prepared(channels_out=1)

    @kernel
    def process(x, y):
        for i in range(x.shape[1]):
            total = x[0, i]
            for c in range(1, x.shape[0]):
                total += x[c, i]
            y[0, i] = total


class Wide(Plugin):
    """Put one channel into two, the second upside down."""

    id = "t_wide"

    def prepare(self, spec):
        return Prepared(channels_out=2)

    @kernel
    def process(x, y):
        for i in range(x.shape[1]):
            y[0, i] = x[0, i]
            y[1, i] = -x[0, i]


def hop_class(hop):
    """Make a plugin with hops of a number of frames: each hop comes out backwards."""

    class Hop(Plugin):
        """Reverse each hop."""

        id = f"t_hop{hop}"
        hop_frames = hop
        process = reverse

    return Hop


@kernel
def reverse(x, y):
    last = x.shape[1] - 1
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            y[c, i] = x[c, last - i]


def reversed_hops(x, hop, delay):
    """Give what `hop_class` must give: each hop backwards, the whole late by `delay` frames."""
    padded = np.concatenate([x, np.zeros((x.shape[0], -x.shape[1] % hop))], axis=1)
    blocks = padded.reshape(x.shape[0], -1, hop)[:, :, ::-1].reshape(x.shape[0], -1)
    late = np.concatenate([np.zeros((x.shape[0], delay)), blocks], axis=1)
    return late[:, : x.shape[1]]


def noise(channels, frames, seed=0, dtype="float32", peak=0.5):
    """Give white noise."""
    rng = np.random.default_rng(seed)
    return (peak * rng.uniform(-1, 1, (channels, frames))).astype(dtype)


def sine(channels, frames, hz=440.0, rate=48000, amplitude=0.5, dtype="float32"):
    """Give a sine in all channels."""
    wave = amplitude * np.sin(2 * np.pi * hz * np.arange(frames) / rate)
    return np.tile(wave, (channels, 1)).astype(dtype)


def cut(x, sizes):
    """Cut a signal into pieces of the given sizes, over and over."""
    pieces, at, k = [], 0, 0
    while at < x.shape[1]:
        pieces.append(x[:, at : at + sizes[k % len(sizes)]])
        at += sizes[k % len(sizes)]
        k += 1
    return pieces


def in_pieces(chain, x, sizes):
    """Play a signal in pieces."""
    return np.concatenate([chain.process(piece) for piece in cut(x, sizes)], axis=1)
