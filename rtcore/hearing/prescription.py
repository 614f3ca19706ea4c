# SPDX-License-Identifier: MIT
"""How much gain a hearing loss asks for: the NAL-R rule and its linear-phase filter.

NAL-R (D. Byrne and H. Dillon, "The National Acoustic Laboratories' new procedure for
selecting the gain and frequency response of a hearing aid", Ear and Hearing 7(4), 1986)
gives an insertion gain at six frequencies. The filter is the one of the Clarity and Cadenza
baselines: frequency sampling on 513 bins and a Hamming window, as MATLAB's ``fir2`` does.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable
from numbers import Real
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rtcore.errors import ParameterError
from rtcore.hearing.audiogram import Audiogram

NALR_FREQUENCIES_HZ: Final = (250.0, 500.0, 1000.0, 2000.0, 4000.0, 6000.0)
"""The frequencies at which NAL-R prescribes a gain, in Hz."""

OCTAVES_HZ: Final = (250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
"""The octave frequencies of `gain_per_octave`, in Hz."""

MAX_NFIR: Final = 1022
MIN_SAMPLE_RATE_HZ: Final = 8000.0

_BIAS_DB: Final = np.array([-17.0, -8.0, 1.0, -1.0, -2.0, -2.0])
_BINS: Final = 513  # 0 Hz to the Nyquist frequency of a 1024-point transform


def nalr_gain_db(audiogram: Audiogram) -> NDArray[np.float64]:
    """Prescribe the NAL-R insertion gain.

    ``X + 0.31 HL + bias``, never below 0 dB, where X is 0.05 times the sum of the levels at
    500, 1000 and 2000 Hz, and grows by 0.116 per dB beyond a sum of 180 dB. An ear without
    any loss (no level above 0 dB HL) gets no gain at all.

    Parameters
    ----------
    audiogram : Audiogram
        Thresholds; resampled to the six NAL-R frequencies where it was measured at others.

    Returns
    -------
    ndarray of float64, shape (6,)
        Gain in dB at `NALR_FREQUENCIES_HZ`.

    Examples
    --------
    >>> from rtcore.hearing import standard_audiogram
    >>> nalr_gain_db(standard_audiogram("N3")).round(2).tolist()
    [0.1, 9.1, 19.65, 20.75, 22.85, 24.4]
    """
    levels = np.array(audiogram.resample(NALR_FREQUENCIES_HZ).levels_db_hl)
    if levels.max() <= 0.0:
        return np.zeros(len(NALR_FREQUENCIES_HZ))
    total = levels[1] + levels[2] + levels[3]
    common = 0.05 * total if total <= 180.0 else 9.0 + 0.116 * (total - 180.0)
    return np.maximum(common + 0.31 * levels + _BIAS_DB, 0.0)


def nalr_gain_at_db(audiogram: Audiogram, frequencies_hz: Iterable[float]) -> NDArray[np.float64]:
    """Give the prescribed gain between the six NAL-R frequencies.

    Parameters
    ----------
    audiogram : Audiogram
        Thresholds.
    frequencies_hz : iterable of float
        Any frequencies in Hz.

    Returns
    -------
    ndarray of float64
        Gain in dB, linear in dB over linear frequency (as the filter is designed), the
        outermost gains held below 250 Hz and above 6000 Hz.
    """
    return np.interp(list(frequencies_hz), NALR_FREQUENCIES_HZ, nalr_gain_db(audiogram))


def gain_per_octave(audiogram: Audiogram) -> dict[float, float]:
    """Give the prescribed gain at each octave from 250 to 8000 Hz, for display.

    Returns
    -------
    dict of float to float
        Frequency in Hz to insertion gain in dB. 8000 Hz carries the gain of 6000 Hz.
    """
    return dict(zip(OCTAVES_HZ, nalr_gain_at_db(audiogram, OCTAVES_HZ).tolist(), strict=True))


def nalr_taps(
    audiogram: Audiogram, nfir: int = 220, sample_rate: float = 44100.0
) -> NDArray[np.float64]:
    """Design the linear-phase NAL-R filter of the Clarity and Cadenza baselines.

    Equal to pyclarity's ``NALR(nfir, sample_rate).build(audiogram)`` within rounding.

    Parameters
    ----------
    audiogram : Audiogram
        Thresholds.
    nfir : int, optional
        Order of the filter, even, 2 to 1022. It delays the sound by ``nfir / 2`` frames. A
        long filter follows the prescription more closely: at 44.1 kHz, 221 taps give the ten
        standard losses up to 4.6 dB more than prescribed at 250 Hz, 2.8 dB at 500 Hz and
        less than 1 dB off above; 1023 taps 1.2 dB, 0.8 dB and 0.2 dB.
    sample_rate : float, optional
        Frames per second, at least 8000. Below 12000 the gain of 6000 Hz is placed at the
        Nyquist frequency, as pyclarity does.

    Returns
    -------
    ndarray of float64, shape (nfir + 1,)
        Symmetric taps. A pure delay (a single 1.0) for an ear without any loss.

    Raises
    ------
    ParameterError
        When nfir is odd or out of range, or the sample rate is too low.

    Examples
    --------
    >>> taps = nalr_taps(Audiogram([45, 45, 35, 45, 60, 65], NALR_FREQUENCIES_HZ))
    >>> round(float(abs(taps).sum()), 9)
    28.846583644
    """
    order = check_nfir(nfir)
    nyquist_hz = check_sample_rate(sample_rate) / 2.0
    if max(audiogram.resample(NALR_FREQUENCIES_HZ).levels_db_hl) <= 0.0:
        delay = np.zeros(order + 1)
        delay[order // 2] = 1.0
        return delay
    nodes = np.arange(order + 1) / order
    gains_db = _extended_gain_db(nalr_gain_db(audiogram), nyquist_hz, nyquist_hz * nodes)
    return _frequency_sampled(nodes, 10.0 ** (gains_db / 20.0))


def check_nfir(nfir: object) -> int:
    """Accept an even filter order from 2 to 1022, or say what is wrong with it.

    An odd order would shift the sound by half a frame, and the design has no more than
    1023 taps to give.
    """
    if isinstance(nfir, bool) or not isinstance(nfir, int | np.integer):
        raise ParameterError("nfir", f"must be a whole number, got {reprlib.repr(nfir)}")
    order = int(nfir)
    if not 2 <= order <= MAX_NFIR:
        shown = order if abs(order) < 10**9 else "a number of many digits"
        raise ParameterError("nfir", f"must lie between 2 and {MAX_NFIR}, got {shown}")
    if order % 2:
        what = f"must be even, got {order} (an odd order delays by half a frame)"
        raise ParameterError("nfir", f"{what}; use {order - 1} or {order + 1}")
    return order


def check_sample_rate(sample_rate: object) -> float:
    """Accept a sample rate of at least 8000 Hz, or say what is wrong with it."""
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, Real):
        what = f"must be a number of frames per second, got {reprlib.repr(sample_rate)}"
        raise ParameterError("sample_rate", what)
    rate = float(sample_rate)
    if not (math.isfinite(rate) and rate >= MIN_SAMPLE_RATE_HZ):
        what = f"NAL-R needs a sample rate of at least {MIN_SAMPLE_RATE_HZ:g} Hz, got {rate:g}"
        raise ParameterError("sample_rate", f"{what}; resample the sound first")
    return rate


def _extended_gain_db(
    gain_db: NDArray[np.float64], nyquist_hz: float, wanted_hz: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate the six gains, held to 0 Hz and to the Nyquist frequency."""
    known_hz = np.array([0.0, *NALR_FREQUENCIES_HZ, nyquist_hz])
    known_db = np.array([gain_db[0], *gain_db, gain_db[-1]])
    order = np.argsort(known_hz, kind="stable")  # below 12 kHz the last point is not the highest
    return np.interp(wanted_hz, known_hz[order], known_db[order])


def _frequency_sampled(
    nodes: NDArray[np.float64], gains: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Design a linear-phase filter by frequency sampling, as MATLAB's ``fir2`` does.

    Parameters
    ----------
    nodes : ndarray, shape (order + 1,)
        Frequencies in units of the Nyquist frequency, 0 to 1.
    gains : ndarray, shape (order + 1,)
        Amplitude gain at each node.

    Returns
    -------
    ndarray, shape (order + 1,)
        Linear-phase taps with a delay of ``order / 2`` frames.
    """
    # A segment's bins run from its left gain to its right one, both included; that the
    # neighbour then starts at the same gain again is part of the published design.
    ends = (nodes * _BINS).astype(np.int64)
    segment = np.repeat(np.arange(len(nodes) - 1), np.diff(ends))
    place, last = np.arange(_BINS) - ends[segment], np.diff(ends)[segment] - 1
    # Each number is rounded as ``np.linspace`` rounds it: to a step, to a product, to a sum.
    left, right = gains[segment], gains[segment + 1]
    bins = place * ((right - left) / np.maximum(last, 1)) + left
    bins = np.where((place == last) & (last > 0), right, bins)
    # Cutting out a zero-phase response would be more exact, yet 1e-11 away from the published
    # taps, which carry the rounding of these large angles.
    half = (len(nodes) - 1) // 2
    delay = np.exp(-1j * np.pi * half * np.arange(_BINS) / (_BINS - 1))
    taps = np.fft.irfft(bins * delay, 2 * (_BINS - 1))[: 2 * half + 1]
    return taps * np.hamming(len(taps))
