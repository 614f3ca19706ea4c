# SPDX-License-Identifier: MIT
"""Streams with lost packets, for the tests of concealment."""

from __future__ import annotations

import numpy as np

from rtcore import Chain


def conceal(plugin, x, lost, packet, *, rate=16000.0, sizes=None):
    """Play x (channels, frames) with these packets lost, each in pieces of these sizes."""
    chain = Chain([plugin], sample_rate=rate, channels=len(x), dtype=str(x.dtype), max_frames=8192)
    return play(chain, x, lost, packet, sizes=sizes)


def play(chain, x, lost, packet, *, sizes=None):
    """Play x through a chain, packet after packet; the pieces of a packet share its flag."""
    played = []
    for k, gone in enumerate(lost):
        part = x[:, k * packet : (k + 1) * packet]
        if gone:
            part = np.zeros_like(part)
        start = 0
        for size in [*(sizes or []), part.shape[1]]:
            piece = part[:, start : start + size]
            start += size
            if piece.shape[1]:
                played.append(chain.process(piece, lost=bool(gone)))
    return np.concatenate(played, axis=1)


def after_losses(lost, packet, fade):
    """Mark the frames that must be as received: none of a loss, none of `fade` behind one."""
    kept = np.ones(len(lost) * packet, bool)
    for k in np.flatnonzero(lost):
        kept[k * packet : (k + 1) * packet + fade] = False
    return kept


def sine(rate, frequency_hz, seconds, *, level=0.3, phase=0.4):
    """Make a sine, (1, frames), in double precision."""
    t = np.arange(round(rate * seconds)) / rate
    return level * np.sin(2.0 * np.pi * frequency_hz * t + phase)[np.newaxis]
