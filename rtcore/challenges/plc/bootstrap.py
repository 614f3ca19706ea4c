# SPDX-License-Identifier: MIT
"""Means with intervals of confidence, from clips drawn again and again (B. Efron, 1979)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["RESAMPLES", "Interval", "interval"]

RESAMPLES = 10_000
_DRAWN_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A mean over clips.

    Attributes
    ----------
    count : int
        Clips.
    mean : float
        Of their values.
    low, high : float or None
        Bounds of its interval of confidence; None for a single clip, which tells nothing.
    """

    count: int
    mean: float
    low: float | None
    high: float | None


def interval(
    values: Sequence[float | None] | np.ndarray,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval | None:
    """Give the mean of values and its percentile bootstrap interval.

    For two systems compared on the same clips the values are the differences clip by clip: that
    makes it a *paired* interval, in which the clips' own difficulty cancels.

    Parameters
    ----------
    values : sequence of float or None
        One for each clip; None and NaN are left out.
    confidence : float
        Share of the drawn means that lie within.
    seed : int
        The same values and seed give the same interval.
    resamples : int
        How often the clips are drawn, with replacement.

    Returns
    -------
    Interval or None
        None without values.
    """
    x = np.array([v for v in values if v is not None and np.isfinite(v)], float)
    if not x.size:
        return None
    mean = float(np.mean(x))
    if x.size == 1:
        return Interval(1, mean, None, None)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, _DRAWN_AT_ONCE // x.size)
    for begin in range(0, resamples, step):
        end = min(resamples, begin + step)
        means[begin:end] = x[rng.integers(0, x.size, (end - begin, x.size))].mean(axis=1)
    outside = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, [outside, 1.0 - outside])
    return Interval(int(x.size), mean, float(low), float(high))
