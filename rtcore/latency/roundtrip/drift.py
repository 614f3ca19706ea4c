# SPDX-License-Identifier: MIT
"""How fast a quantity drifts over a long run, in parts per million, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = np.ndarray[Any, np.dtype[Any]]

_PPM = 1e6
_SURE = 0.975  # both sides: 95 %
_CHUNKS = (6, 120)
_FEWEST = 4
_NORMAL = 1.4826  # from the median of absolute deviations to a standard deviation
_CLEAR = 8.0  # standard deviations that a step must have to be a jump
_MOST_JUMPS = 0.2  # of the points; with more there is no line to speak of


@dataclass(frozen=True)
class Slope:
    """A drift.

    Attributes
    ----------
    ppm : float
        Change per frame of time, in millionths.
    uncertainty_ppm : float
        The true value is within this of `ppm` with a probability of 95 %, as far as the scatter
        of the points around the line, and how long a deviation lasts, can tell.
    points : int
        How many went into it.
    jumps : int
        How often the quantity jumped; each costs certainty, and says that frames were lost or the
        schedule was begun anew.
    seconds : float
        From the first point to the last.
    """

    ppm: float
    uncertainty_ppm: float
    points: int
    jumps: int
    seconds: float


def slope(at_s: Numbers, value_s: Numbers, *, jump_s: float, resolution_s: float) -> Slope | None:
    """Fit a straight line with steps where the values jump.

    Parameters
    ----------
    at_s, value_s : ndarray
        (points,), seconds.
    jump_s : float
        A step from one point to the next that is larger than this, once the drift itself is taken
        out, is a jump; so is a smaller one that stands out clearly of all others.
    resolution_s : float
        No value is better known than this.

    Returns
    -------
    Slope or None
        None where there are too few points, or a jump at more than every fifth.
    """
    if at_s.size < _FEWEST:
        return None
    steps, spans = np.diff(value_s), np.diff(at_s)
    usual = float(np.median(steps / spans))
    beyond = np.abs(steps - usual * spans)
    clear = max(_CLEAR * _NORMAL * float(np.median(beyond)), 10.0 * resolution_s)
    jumped = beyond > min(jump_s, clear)
    if np.count_nonzero(jumped) > _MOST_JUMPS * at_s.size:
        return None
    piece = np.concatenate(([0], np.cumsum(jumped)))
    freedom = at_s.size - int(piece[-1]) - 2
    if freedom < 1:
        return None
    # Within each piece both are taken from their means: one slope for all, a height for each.
    x, y = _without_means(at_s, piece), _without_means(value_s, piece)
    spread = float(x @ x)
    if spread == 0.0:
        return None
    rise = float(x @ y) / spread
    rest = y - rise * x
    sigma = max(math.sqrt(float(rest @ rest) / freedom), resolution_s / math.sqrt(3.0))
    error = _quantile(freedom) * sigma / math.sqrt(spread) * _lasting(rest)
    return Slope(
        ppm=round(_PPM * rise, 4),
        uncertainty_ppm=round(_PPM * error, 4),
        points=int(at_s.size),
        jumps=int(piece[-1]),
        seconds=round(float(at_s[-1] - at_s[0]), 3),
    )


def clock_slope(
    frames: Numbers, time_ns: Numbers, *, sample_rate: float, block_frames: int
) -> Slope | None:
    """Compare a device's clock with the system's, from when its blocks began.

    A block is never early and often late, by as much as the system let its thread wait. So the
    earliest block of each stretch counts, and the line goes through those.

    Parameters
    ----------
    frames : int array
        (samples,), frames that had come.
    time_ns : int array
        (samples,), when, on the monotonic clock.
    sample_rate : float
        Nominal, in Hz.
    block_frames : int
        Frames of a block; half of one is a jump.

    Returns
    -------
    Slope or None
        Positive where the device is faster than its nominal rate; None where there is too little
        to say.
    """
    if frames.size < _FEWEST or frames[-1] == frames[0]:
        return None
    device_s = (frames - frames[0]) / sample_rate
    late_s = (time_ns - time_ns[0]) * 1e-9 - device_s
    fewest, most = _CHUNKS
    chunks = int(np.clip(device_s[-1] / 0.25, fewest, most))
    edges = np.linspace(0.0, device_s[-1], chunks + 1)[1:-1]
    earliest = []
    start = 0
    for stop in [*np.searchsorted(device_s, edges), frames.size]:
        if stop > start:
            earliest.append(start + int(np.argmin(late_s[start:stop])))
        start = stop
    return slope(
        device_s[earliest],
        -late_s[earliest],
        jump_s=0.5 * block_frames / sample_rate,
        resolution_s=1e-6,
    )


def _without_means(values: Numbers, piece: Numbers) -> Numbers:
    """Take from each piece its own mean."""
    means = np.bincount(piece, weights=values) / np.bincount(piece)
    return values - means[piece]


def _quantile(freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf(_SURE, freedom))


def _lasting(rest: Numbers) -> float:
    """Say by how much deviations that last over several points make the fit less certain."""
    power = float(rest @ rest)
    if power == 0.0 or rest.size < 3:
        return 1.0
    alike = min(max(float(rest[1:] @ rest[:-1]) / power, 0.0), 0.95)
    return math.sqrt((1.0 + alike) / (1.0 - alike))
