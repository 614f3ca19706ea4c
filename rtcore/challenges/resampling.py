# SPDX-License-Identifier: MIT
"""Whole files from one sample rate to another, for submissions and scores."""

from __future__ import annotations

from functools import cache
from math import gcd

import numpy as np

__all__ = ["REACH_S", "resampled"]

#: An output depends on so many seconds of future input: 32 frames at 32 kHz.
REACH_S = 0.001
_HALF_WIDTH = 32.0


def resampled(x: np.ndarray, rate_in: int, rate_out: int) -> np.ndarray:
    """Bring a sound to another rate, without a delay.

    The filter of :class:`rtcore.dsp.resample.ResamplerDesign`: linear phase, 80 dB, and it sees 32
    frames of the lower rate ahead, 1 ms at 32 kHz.

    Parameters
    ----------
    x : array, shape (channels, frames)
        The sound.
    rate_in, rate_out : int
        In Hz.

    Returns
    -------
    numpy.ndarray, shape (channels, ceil(frames * rate_out / rate_in))
    """
    from scipy.signal import resample_poly

    if rate_in == rate_out:
        return x
    up, down = rate_out // gcd(rate_in, rate_out), rate_in // gcd(rate_in, rate_out)
    window = _low_pass(rate_in, rate_out)
    return np.asarray(resample_poly(x, up, down, axis=1, window=window))


@cache
def _low_pass(rate_in: int, rate_out: int) -> np.ndarray:
    """Design the filter; its gain is 1 at 0 Hz, where SciPy wants it."""
    from rtcore.dsp.resample import ResamplerDesign

    prototype = ResamplerDesign(rate_in, rate_out, half_width=_HALF_WIDTH).prototype
    return prototype / prototype.sum()
