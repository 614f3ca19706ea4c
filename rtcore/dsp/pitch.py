# SPDX-License-Identifier: MIT
"""Find the pitch period at the end of a piece of sound, by normalised cross-correlation.

The search has two steps, as that of ITU-T G.711 Appendix I has: all lags at a low rate, and then
the few around the best at the full rate.
"""

from __future__ import annotations

import math
from typing import Any

from rtcore.kernels import helper

__all__ = ["find_period"]

#: Added to powers, so that silence correlates with nothing.
_TINY = 1e-12


@helper
def _thin_out(x: Any, step: int, out: Any) -> None:
    """Add up `step` samples to one, aligned to the end: a low-pass that is good enough here."""
    start = x.size - out.size * step
    for i in range(out.size):
        total = 0.0
        for j in range(step):
            total += x[start + i * step + j]
        out[i] = total


@helper
def _correlate(x: Any, window: int, low: int, out: Any) -> None:
    """Correlate the last `window` samples with those `low`, `low` + 1, .. earlier; normalised."""
    end = x.size
    for k in range(out.size):
        out[k] = 0.0
    count = out.size
    power = 0.0
    for i in range(end - window, end):
        value = x[i]
        power += value * value
        # Over lags and forwards, so that the loop is vectorised: the longest lag comes first.
        earlier_samples = x[i - low - count + 1 : i - low + 1]
        for k in range(count):
            out[k] += value * earlier_samples[k]
    for k in range(count // 2):
        out[k], out[count - 1 - k] = out[count - 1 - k], out[k]
    earlier = 0.0
    for i in range(end - window - low, end - low):
        earlier += x[i] * x[i]
    for k in range(out.size):
        out[k] /= math.sqrt(power * max(earlier, 0.0) + _TINY)
        before = end - window - low - k - 1
        if before >= 0:
            earlier += x[before] * x[before] - x[before + window] * x[before + window]


@helper
def _best(scores: Any, start: int, stop: int) -> int:
    """Give the place of the largest score from `start` up to `stop`, which is left out."""
    at = start
    for k in range(start + 1, stop):
        if scores[k] > scores[at]:
            at = k
    return at


@helper
def _shortest(scores: Any, low: int, share: float) -> int:
    """Give the best lag, or the shortest part of it that is nearly as good: not its multiple."""
    best = _best(scores, 0, scores.size)
    for part in range(4, 1, -1):
        middle = (best + low) // part - low
        if middle < 1:
            continue
        at = _best(scores, middle - 1, min(middle + 2, scores.size))
        if scores[at] > share * scores[best]:
            return at
    return best


@helper
def find_period(
    x: Any, step: int, window: int, low: int, high: int, share: float, thin: Any, scores: Any
) -> tuple[int, float]:
    """Find the lag at which the end of a sound resembles its past most.

    Parameters
    ----------
    x : ndarray, shape (frames,)
        The past; at least `window` + `high` + 2 `step` frames.
    step : int
        The coarse search runs at one `step`-th of the rate.
    window : int
        Frames that are compared.
    low, high : int
        Shortest and longest lag in frames.
    share : float
        A half, a third or a quarter of the best lag is preferred where its correlation is at
        least this share of the best.
    thin : ndarray, shape (frames // step,)
        Overwritten.
    scores : ndarray
        At least `high` - `low` + 4 elements, overwritten.

    Returns
    -------
    tuple of int and float
        The lag in frames, and the correlation there, -1 to 1.
    """
    _thin_out(x, step, thin)
    first = low // step
    coarse = scores[: high // step - first + 1]
    _correlate(thin, window // step, first, coarse)
    lag = (_shortest(coarse, first, share) + first) * step
    start = max(lag - step, low)
    fine = scores[: min(lag + step, high) - start + 1]
    _correlate(x, window, start, fine)
    at = _best(fine, 0, fine.size)
    return start + at, fine[at]
