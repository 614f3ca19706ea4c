# SPDX-License-Identifier: MIT
"""The kinds of steps in a model's program: rows ``(kind, target, a, b, count, extra)``.

Targets and sources are places in one memory of float32 numbers.
"""

from __future__ import annotations

import enum

__all__ = ["WIDTH", "Op"]

WIDTH = 6


class Op(enum.IntEnum):
    """What one row does."""

    SHIFT = 1  # move `count` numbers at target left by `extra`
    COPY = 2  # target <- a
    SPREAD = 3  # target[k * extra] <- a[k * b]
    FLAG = 4  # target <- the flag of the hop `a` hops ago
    MULTIPLY = 5  # target <- a * b
    ADD = 6  # target <- target + a
    FILL = 7  # target <- zeros
    MAGNITUDE = 8  # target <- |a + ib|
    LOG_POWER = 9  # target <- log10 max(a^2 + b^2, the number at extra)
    SINE = 10  # target <- sine of the angle of a + ib
    COSINE = 11  # target <- its cosine
    ROTATE = 12  # (target, extra) <- (target, extra) * (a + ib)
    TRANSFORM = 13  # (a, b) <- spectrum of target
    RESTORE = 14  # target <- sound of the spectrum (a, b)
    RUN = 15  # stage `target`
    UNLESS_HEARD = 16  # go to row `target` where the model is not heard
    GO = 17  # go to row `target`
    SIDE = 18  # target <- numbers of the side inputs, from the number `a` on
    FORESEE = 19  # (target, its next hop) <- hop at a as channel b knows it, guess of the next one
    PATCH = 20  # target <- hop at a, or patches where it never came; b: see `patch_tables`
