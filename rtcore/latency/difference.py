# SPDX-License-Identifier: MIT
"""Where two outputs part, and how far outputs for one and the same input differ."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

Sound = np.ndarray[Any, np.dtype[Any]]

#: Differences within this many noise floors are noise: Gaussian noise exceeds it once in 1e11.
NOISE_MARGIN = 1.5
#: What rounding may change, re the largest sample: in double precision, and in single precision
#: through all of a file. An FFT of a minute, or a recursive filter with a long memory, stays below.
ROUNDING, SINGLE_ROUNDING = 1e-12, 1e-6


def first_difference(a: Sound, b: Sound, threshold: float = 0.0) -> int | None:
    """Find the first frame in which two outputs differ.

    Parameters
    ----------
    a, b : ndarray
        (channels, frames). NaN equals NaN and differs from every number.
    threshold : float
        Differences up to this are none.

    Returns
    -------
    int or None
        None where they never differ.
    """
    if threshold > 0.0:
        differs = ~(np.abs(a - b) <= threshold)
    else:
        differs = a != b
    if differs.any() and np.isnan(a).any():
        differs &= ~(np.isnan(a) & np.isnan(b))
    frames = differs.any(axis=0)
    at = int(frames.argmax())
    return at if frames[at] else None


def noise_floor(outputs: Sequence[Sound]) -> float:
    """Give the largest difference between outputs for one and the same input."""
    largest = 0.0
    for a, b in itertools.combinations(outputs, 2):
        if first_difference(a, b) is not None:
            largest = max(largest, float(np.nanmax(np.abs(a - b), initial=0.0)))
    return largest


def rounding_of(a: Sound, b: Sound, *, single: bool) -> float:
    """Give the largest difference that rounding may make of two outputs.

    Parameters
    ----------
    a, b : ndarray
        (channels, frames).
    single : bool
        Whether to allow for single precision, where all samples are of that precision.
    """
    both = np.stack((a, b))
    peak = _peak(both)
    single = single and bool(np.array_equal(both, both.astype(np.float32), equal_nan=True))
    return peak * (SINGLE_ROUNDING if single else ROUNDING)


def _peak(sound: Sound) -> float:
    return float(np.abs(sound[np.isfinite(sound)]).max(initial=0.0))


def faulty_samples(sound: Sound) -> int:
    """Count the samples that are NaN or infinite."""
    return int(sound.size - np.count_nonzero(np.isfinite(sound)))


def level_db(part: float, whole: Sound) -> float:
    """Give a difference in dB re the largest finite sample of an output."""
    peak = _peak(whole)
    return 20.0 * float(np.log10(max(part, 1e-30) / max(peak, 1e-30)))


def first_sound(y: Sound) -> int:
    """Give the first frame that is not silent, or the number of frames."""
    heard = (y != 0.0).any(axis=0)
    return int(heard.argmax()) if heard.any() else y.shape[1]
