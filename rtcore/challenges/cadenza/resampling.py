# SPDX-License-Identifier: MIT
"""From one sample rate to another, as the official code does it: soxr, high quality."""

from __future__ import annotations

import numpy as np

from rtcore.challenges.cadenza.needs import needed

__all__ = ["resampled"]


def resampled(x: np.ndarray, rate_in: int, rate_out: int) -> np.ndarray:
    """Convert as the official code does.

    soxr computes in blocks, so that what lies up to 20 ms ahead changes the last bits of a sample:
    causal entries take :func:`rtcore.challenges.resampling.resampled`.

    Parameters
    ----------
    x : array, shape (channels, frames)
        The sound.
    rate_in, rate_out : int
        In Hz; equal ones leave the sound as it is.

    Raises
    ------
    DeviceError
        Where soxr is not installed.
    """
    if rate_in == rate_out:
        return x
    soxr = needed("soxr", "sample rates are converted", "cadenza")
    converted = soxr.resample(np.ascontiguousarray(x.T), rate_in, rate_out, quality="HQ")
    return np.asarray(converted).T
