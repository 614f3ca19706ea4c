# SPDX-License-Identifier: MIT
"""Linear prediction in compiled code: the spectral envelope of a piece of sound as a filter.

A sample is predicted as ``-(a[1] x[n-1] + .. + a[p] x[n-p])``.  What the prediction misses, the
residual, is white or a train of pulses; fed through the inverse filter it gives the sound back.
The method is the autocorrelation method with the Levinson-Durbin recursion (J. Makhoul, "Linear
prediction: a tutorial review", Proc. IEEE 63, 1975), whose filters are stable by construction.
"""

from __future__ import annotations

from typing import Any

from rtcore.kernels import helper

__all__ = ["autocorrelate", "predict_residual", "solve_predictor", "synthesise"]


@helper
def autocorrelate(padded: Any, order: int, out: Any) -> None:
    """Give the autocorrelation of a windowed piece, lags 0 to `order`.

    Parameters
    ----------
    padded : ndarray, shape (order + frames,)
        `order` zeros and then the piece.
    order : int
        The longest lag.
    out : ndarray, shape (order + 1,)
        Overwritten.
    """
    for k in range(order + 1):
        out[k] = 0.0
    for i in range(order, padded.size):
        value = padded[i]
        # Over lags and forwards, so that the loop is vectorised: the longest lag comes first.
        earlier = padded[i - order : i + 1]
        for k in range(order + 1):
            out[k] += value * earlier[k]
    for k in range((order + 1) // 2):
        out[k], out[order - k] = out[order - k], out[k]


@helper
def solve_predictor(correlation: Any, order: int, floor: float, a: Any, spare: Any) -> None:
    """Find the predictor of a piece of sound from its autocorrelation.

    Parameters
    ----------
    correlation : ndarray, shape (order + 1,)
        Lags 0 to `order`; the first must be positive.
    order : int
        Coefficients without the leading 1.
    floor : float
        Power of white noise that is added, as a share of the piece's own: it bounds the range of
        the envelope, and so the precision that is needed.
    a : ndarray, shape (order + 1,)
        Overwritten with the coefficients; ``a[0]`` is 1.
    spare : ndarray, shape (order,)
        Overwritten.
    """
    a[0] = 1.0
    for k in range(1, order + 1):
        a[k] = 0.0
    missed = correlation[0] * (1.0 + floor)
    for i in range(1, order + 1):
        total = correlation[i]
        for j in range(1, i):
            total += a[j] * correlation[i - j]
        reflection = -total / missed
        for j in range(1, i):
            spare[j] = a[j] + reflection * a[i - j]
        for j in range(1, i):
            a[j] = spare[j]
        a[i] = reflection
        missed *= 1.0 - reflection * reflection


@helper
def predict_residual(x: Any, a: Any, order: int, out: Any) -> None:
    """Give what the prediction misses; the first `order` samples, which have no past, give 0.

    Parameters
    ----------
    x : ndarray, shape (frames,)
        The sound.
    a : ndarray, shape (order + 1,)
        The predictor.
    order : int
        Its order, a multiple of 4.
    out : ndarray, shape (frames,)
        Overwritten.
    """
    for i in range(order):
        out[i] = 0.0
    count = x.size - order
    told = out[order:]
    for i in range(count):
        told[i] = x[order + i]
    for k in range(1, order + 1, 4):  # four at a time, to pass over the memory less often
        a0, a1, a2, a3 = a[k], a[k + 1], a[k + 2], a[k + 3]
        x0, x1, x2, x3 = x[order - k :], x[order - k - 1 :], x[order - k - 2 :], x[order - k - 3 :]
        for i in range(count):
            told[i] += (a0 * x0[i] + a1 * x1[i]) + (a2 * x2[i] + a3 * x3[i])


@helper
def synthesise(line: Any, a: Any, order: int, frames: int, spare: Any) -> None:
    """Turn a residual into sound, in its place.

    Parameters
    ----------
    line : ndarray, shape (order + frames,)
        The last `order` samples of the sound so far, then the residual, which is overwritten.
    a : ndarray, shape (order + 1,)
        The predictor.
    order : int
        Its order, a multiple of 4.
    frames : int
        Samples of residual.
    spare : ndarray, shape (order,)
        Overwritten.
    """
    back = spare[:order]
    for k in range(order):  # in the order of the samples
        back[k] = a[order - k]
    for i in range(order, order + frames):
        # Four sums, or each multiplication would wait for the one before.
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        before = line[i - order : i]
        for k in range(0, order, 4):
            s0 += back[k] * before[k]
            s1 += back[k + 1] * before[k + 1]
            s2 += back[k + 2] * before[k + 2]
            s3 += back[k + 3] * before[k + 3]
        line[i] -= (s0 + s1) + (s2 + s3)
