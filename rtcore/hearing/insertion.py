# SPDX-License-Identifier: MIT
"""Measure what a hearing aid did to a sound: its gain in third-octave bands."""

from __future__ import annotations

from typing import Any

import numpy as np

_SEGMENT_S = 0.08
_EDGE = 2.0 ** (1.0 / 6.0)


def insertion_gain_db(
    unaided: np.ndarray[Any, Any],
    aided: np.ndarray[Any, Any],
    sample_rate: float,
    centres_hz: tuple[float, ...],
) -> dict[float, float]:
    """Compare the power of two recordings of one sound in third-octave bands.

    Parameters
    ----------
    unaided, aided : ndarray
        (frames,) of the same sound before and after; a few ms of delay between them do not matter.
    sample_rate : float
        In Hz.
    centres_hz : tuple of float
        Middles of the bands, which reach from ``centre / 2**(1/6)`` to ``centre * 2**(1/6)``.

    Returns
    -------
    dict
        Gain in dB by band; bands above the Nyquist frequency or without any sound are left out.
    """
    from scipy.signal import welch

    segment = min(len(unaided), len(aided), round(_SEGMENT_S * sample_rate))
    frequencies, before = welch(unaided, sample_rate, nperseg=segment)
    _, after = welch(aided, sample_rate, nperseg=segment)
    gains = {}
    for centre in centres_hz:
        band = (frequencies >= centre / _EDGE) & (frequencies < centre * _EDGE)
        if (
            np.any(band)
            and centre * _EDGE < sample_rate / 2
            and before[band].sum() > 0
            and after[band].sum() > 0
        ):
            gains[centre] = float(10.0 * np.log10(after[band].sum() / before[band].sum()))
    return gains


def expected_gain_db(
    unaided: np.ndarray[Any, Any],
    taps: np.ndarray[Any, Any],
    sample_rate: float,
    centres_hz: tuple[float, ...],
) -> dict[float, float]:
    """Say what :func:`insertion_gain_db` gives for a sound that a filter alone has passed."""
    return insertion_gain_db(unaided, np.convolve(unaided, taps), sample_rate, centres_hz)
