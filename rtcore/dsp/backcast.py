# SPDX-License-Identifier: MIT
"""What a sound was just before it began to be known: linear prediction run backwards.

Behind a gap the first samples that came tell how the sound went on towards them.  A predictor is
fitted by Burg's method (J. P. Burg, "Maximum entropy spectral analysis", PhD thesis, Stanford
1975), whose filters are stable and which needs no window, so that a piece of 10 ms is enough; with
an order near its length it goes on with the pitch too (I. Kauppinen and K. Roth, "Audio signal
extrapolation", Proc. DAFx 2002).  A stationary sound looks the same to it in both directions.
"""

from __future__ import annotations

from typing import Any

from rtcore.kernels import helper

__all__ = ["backcast", "burg_predictor"]

#: White noise that is added to what is fitted, as a share of its power: silence has a predictor.
_FLOOR = 1e-9


@helper
def burg_predictor(x: Any, order: int, a: Any, forward: Any, backward: Any) -> None:
    """Fit a predictor to a piece of sound by Burg's method.

    Parameters
    ----------
    x : ndarray, shape (frames,)
        The sound; more samples than `order`.
    order : int
        Coefficients without the leading 1.
    a : ndarray of float64, shape (order + 1,)
        Overwritten with the coefficients; ``a[0]`` is 1, and ``x[n]`` is predicted as
        ``-(a[1] x[n-1] + .. + a[order] x[n-order])``.
    forward, backward : ndarray of float64, shape (frames,)
        Overwritten.
    """
    frames = x.size
    power = 0.0
    for i in range(frames):
        forward[i] = backward[i] = x[i]
        power += x[i] * x[i]
    least = 2.0 * _FLOOR * power + 1e-30
    a[0] = 1.0
    for m in range(1, order + 1):
        # Errors of both directions, each where the whole predictor lies within the piece.
        product, powers = 0.0, least
        ahead, behind = forward[m:frames], backward[: frames - m]
        for i in range(ahead.size):
            product += ahead[i] * behind[i]
            powers += ahead[i] * ahead[i] + behind[i] * behind[i]
        reflection = -2.0 * product / powers
        for i in range(ahead.size):
            error = ahead[i]
            ahead[i] = error + reflection * behind[i]
            behind[i] += reflection * error
        a[m] = reflection
        for j in range(1, m // 2 + 1):
            low, high = a[j], a[m - j]
            a[j] = low + reflection * high
            if j != m - j:
                a[m - j] = high + reflection * low


@helper
def backcast(x: Any, order: int, out: Any, scratch: Any) -> None:
    """Guess what came before a piece of sound.

    Parameters
    ----------
    x : ndarray, shape (frames,)
        The piece.
    order : int
        Of the predictor; less than `frames`.
    out : ndarray, shape (samples,)
        Overwritten with the samples before the piece, the earliest first.
    scratch : ndarray of float64, shape (3, at least max(frames, order + samples))
        Overwritten.
    """
    a = scratch[0]
    burg_predictor(x, order, a, scratch[1], scratch[2])
    # The line holds what is behind the sample that is sought, so that it runs forwards in memory.
    samples = out.size
    line = scratch[1]
    for i in range(order):
        line[samples + i] = x[i]
    for i in range(samples - 1, -1, -1):
        total = 0.0
        for j in range(1, order + 1):
            total += a[j] * line[i + j]
        line[i] = -total
        out[i] = line[i]
