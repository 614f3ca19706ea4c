# SPDX-License-Identifier: MIT
"""From one sample rate to another: as the official code does it, or without looking ahead."""

from __future__ import annotations

import numpy as np

from rtcore.challenges.cadenza.needs import needed

__all__ = ["resampled", "resampled_causally"]

#: Of the causal filter, in frames of 32 kHz, and its attenuation: it passes all to 14.9 kHz.
_HALF_WIDTH, _STOP_DB = 48.0, 100.0


def resampled(x: np.ndarray, rate_in: int, rate_out: int) -> np.ndarray:
    """Convert as the official code does: soxr, high quality.

    It computes in blocks, so that what lies some 20 ms ahead changes the last bits of a sample.

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


def resampled_causally(x: np.ndarray, rate_in: int, rate_out: int) -> np.ndarray:
    """Convert with a filter that looks at no sample ahead; its delay of 1.5 ms stays.

    Parameters
    ----------
    x : array, shape (channels, frames)
        The sound.
    rate_in, rate_out : int
        In Hz; equal ones leave the sound as it is.

    Returns
    -------
    numpy.ndarray, shape (channels, frames * rate_out // rate_in)
    """
    if rate_in == rate_out:
        return x
    from scipy.signal import upfirdn

    from rtcore.dsp import ResamplerDesign

    design = ResamplerDesign(rate_in, rate_out, half_width=_HALF_WIDTH, stop_db=_STOP_DB)
    # upfirdn weighs each output's own samples, in the time domain: nothing else touches its bits.
    converted = upfirdn(design.prototype, x, design.up, design.down, axis=-1)
    return np.asarray(converted[:, : x.shape[1] * rate_out // rate_in])
