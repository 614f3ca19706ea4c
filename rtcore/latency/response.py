# SPDX-License-Identifier: MIT
"""The linear part of a system, as an impulse response, and where it lies in time.

The response is the one of least squares: the filter of 2049 taps around the lag of the largest
cross-correlation that leaves the least of the output unexplained (the Wiener filter: S. Haykin,
"Adaptive Filter Theory", chapter 2). With silence after the probe it is exact for a linear system.
Both sounds are whitened first with the inverse of the probe's spectral envelope, so that speech
serves as well as noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Sound = np.ndarray[Any, np.dtype[Any]]

#: Taps on either side of the lag where the response was found.
HALF = 1024
_WHITENING_ORDER = 16
_RIDGE = 1e-7  # of the probe's energy; keeps bands that the probe does not reach from exploding
_BINS = 512  # of the coherence


@dataclass(frozen=True)
class Response:
    """A linear response and how far it is to be trusted.

    Attributes
    ----------
    taps : ndarray
        The response; its first tap is `first` samples late.
    first : int
        May be negative.
    error : float
        Standard error of each tap.
    explained : float
        0 to 1: share of the output's energy that the filtered input explains.
    coherence : ndarray
        0 to 1, at `bins` frequencies from 0 to half the rate; empty where there is none.
    """

    taps: Sound
    first: int
    error: float
    explained: float
    coherence: Sound

    @property
    def certain(self) -> bool:
        """Whether its largest tap can be no accident: six errors, among up to a million lags."""
        return float(np.abs(self.taps).max()) > 6.0 * self.error and self.explained > 1e-3

    def within(self, most: int) -> Response:
        """Leave out what is later, or earlier, than a number of samples."""
        late = np.abs(self.first + np.arange(self.taps.size))
        return replace(self, taps=np.where(late <= most, self.taps, 0.0))

    @property
    def heard(self) -> Sound:
        """The taps without those that are no more than error."""
        size = np.abs(self.taps)
        return np.where(size > max(4.0 * self.error, 1e-5 * float(size.max())), self.taps, 0.0)


def correlate(x: Sound, y: Sound) -> tuple[Sound, int]:
    """Cross-correlate; give it over the lag of `y`, and the lag of its first value."""
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(x.size + y.size - 1, real=True)
    cross = irfft(rfft(y, size) * np.conj(rfft(x, size)), size)
    first = 1 - x.size
    return np.concatenate((cross[first:] if first else cross[:0], cross[: y.size])), first


def without_offset(x: Sound, y: Sound) -> tuple[Sound, Sound]:
    """Run both sounds through one filter that stops 0 Hz; what lies between them stays as it is."""
    from scipy.signal import lfilter

    b, a = [1.0, -1.0], [1.0, -0.999]
    # Where the probe has not begun, the output's first sample is its offset.
    offset = y[0] if x[0] == 0.0 else 0.0
    return lfilter(b, a, x), lfilter(b, a, y, zi=[-offset])[0]


def inverse_envelope(x: Sound) -> Sound:
    """Give the filter that whitens a sound, by linear prediction."""
    from scipy.linalg import solve_toeplitz

    order = min(_WHITENING_ORDER, x.size - 1)
    auto = np.array([float(x[: x.size - k] @ x[k:]) for k in range(order + 1)])
    auto[0] *= 1.0 + 1e-6
    if order == 0:
        return np.ones(1)
    return np.concatenate(([1.0], -solve_toeplitz(auto[:-1], auto[1:])))


def best_lag(x: Sound, y: Sound, max_samples: int | None) -> int:
    """Give the lag at which the whitened sounds resemble each other most, by either sign."""
    from scipy.signal import lfilter

    envelope = inverse_envelope(x)
    cross, first = correlate(lfilter(envelope, 1.0, x), lfilter(envelope, 1.0, y))
    if max_samples is not None:
        lags = np.arange(first, first + cross.size)
        cross = np.where(np.abs(lags) <= max_samples, cross, 0.0)
    return first + int(np.argmax(np.abs(cross)))


def fit(x: Sound, y: Sound, lag: int) -> Response:
    """Find the response around a lag by least squares.

    Parameters
    ----------
    x, y : ndarray
        Probe and response, (frames,), not silent.
    lag : int
        Of the middle tap.
    """
    from scipy.linalg import solve_toeplitz
    from scipy.signal import fftconvolve, lfilter

    probe = np.array(x)
    probe[: max(0, -lag)] = 0.0  # what would come out before the recording began or after its end
    probe[max(0, y.size - lag) :] = 0.0
    sent = _loud(probe)
    if sent.size < min(_loud(x).size, 4 * HALF):  # they hardly overlap
        return _nothing(lag)
    envelope = inverse_envelope(probe)
    white = lfilter(envelope, 1.0, probe)
    cross, start = correlate(white, lfilter(envelope, 1.0, y))
    first = lag - HALF
    taps = solve_toeplitz(_own(white), _part(cross, first - start, 2 * HALF + 1))
    model = _part(fftconvolve(probe, taps), -first, y.size)
    start, end = int(sent[0]) + lag - HALF, int(sent[-1]) + lag + HALF + 1
    # A system's own noise before and after the probe says nothing about the delay; but as many
    # taps as there are samples would explain anything.
    if end - start >= 4 * HALF:
        y, model = y[max(0, start) : max(0, end)], model[max(0, start) : max(0, end)]
    rest = y - model
    energy, left = float(y @ y), float(rest @ rest)
    if energy == 0.0:
        return _nothing(lag)
    sounding = max(int(np.count_nonzero(y)), sent.size)
    spare = max(1, sounding - taps.size)
    white_rest = lfilter(envelope, 1.0, rest)
    error = np.sqrt(float(white_rest @ white_rest) / spare / float(white @ white))
    explained = 1.0 - min(1.0, left / energy * sounding / spare)
    return Response(taps, first, float(error), explained, _coherence(model, y))


def _loud(x: Sound) -> Sound:
    """Say where a sound is; what a filter leaves of its end does not count."""
    size = np.abs(x)
    return np.flatnonzero(size > 2e-3 * float(size.max()))


def _nothing(lag: int) -> Response:
    return Response(np.zeros(2 * HALF + 1), lag - HALF, np.inf, 0.0, np.zeros(0))


def _own(white: Sound) -> Sound:
    own, start = correlate(white, white)
    own = _part(own, -start, 2 * HALF + 1)
    own[0] *= 1.0 + _RIDGE
    return own


def _part(values: Sound, start: int, count: int) -> Sound:
    """Cut out a stretch, with zeros where there is nothing."""
    part = np.zeros(count)
    low, high = max(0, start), min(values.size, start + count)
    if low < high:
        part[low - start : high - start] = values[low:high]
    return part


def _coherence(model: Sound, y: Sound) -> Sound:
    from scipy.signal import csd, welch

    segment = min(_BINS, y.size)
    _, both = csd(model, y, nperseg=segment)
    power = welch(model, nperseg=segment)[1] * welch(y, nperseg=segment)[1]
    share = np.abs(both) ** 2 / np.where(power > 0.0, power, 1.0)
    return np.clip(share, 0.0, 1.0)


@dataclass(frozen=True)
class Place:
    """Where a response lies.

    Attributes
    ----------
    peak : float
        Of its largest absolute value, between the samples.
    peak_error : float
        Standard error of it, from noise and from what is not symmetric.
    centre : float
        About which it is most symmetric, or most antisymmetric.
    centre_error : float
        Likewise.
    symmetry : float
        0 to 1: how far the response is its own mirror image about the centre; 1 for linear phase.
    width : float
        RMS distance of its energy from the peak, in samples.
    """

    peak: float
    peak_error: float
    centre: float
    centre_error: float
    symmetry: float
    width: float


def locate(response: Response) -> Place:
    """Find the peak, and the centre of symmetry.

    The convolution of a response with itself is largest at twice its centre of symmetry, where it
    equals the energy: by Cauchy and Schwarz no other response, and no other lag, reaches that.
    """
    from scipy.fft import irfft, rfft

    taps = response.heard
    size = 4 * (HALF + 1)
    spectrum = rfft(taps, size)
    energy = float(taps @ taps)
    peak, _, bend = _refine(spectrum, size, int(np.argmax(np.abs(taps))))
    folded = irfft(spectrum**2, size)
    twice, height, _ = _refine(spectrum**2, size, int(np.argmax(np.abs(folded))))
    symmetry = min(1.0, abs(height) / energy)
    omega = 2.0 * np.pi * np.arange(spectrum.size) / size
    slope = 2.0 / size * float(np.sum(np.abs(omega * spectrum) ** 2))  # energy of the derivative
    # What is not symmetric moves either place a little, and is no delay.
    lopsided = np.sqrt((1.0 - symmetry) / 2.0) / 8.0
    away = np.arange(taps.size) - peak
    return Place(
        peak=response.first + peak,
        peak_error=response.error * np.pi / np.sqrt(3.0) / max(abs(bend), 1e-12) + lopsided,
        centre=response.first + twice / 2.0,
        centre_error=response.error / np.sqrt(max(slope, 1e-24)) + lopsided,
        symmetry=symmetry,
        width=float(np.sqrt(taps**2 @ away**2 / energy)),
    )


def _refine(spectrum: Sound, size: int, at: int) -> tuple[float, float, float]:
    """Find the extremum of a band-limited sequence near a sample, by Newton's method.

    Returns
    -------
    place, value, bend : float
        Where it is, how large, and its second derivative there.
    """
    omega = 2.0 * np.pi * np.arange(spectrum.size) / size
    weight = np.full(spectrum.size, 2.0 / size)
    weight[0] = weight[-1] = 1.0 / size
    place = float(at)
    for _ in range(8):
        turned = weight * spectrum * np.exp(1j * omega * place)
        slope = -float(np.sum(omega * turned.imag))
        bend = -float(np.sum(omega**2 * turned.real))
        step = slope / bend if bend != 0.0 else 0.0
        place -= float(np.clip(step, -0.5, 0.5))
        if abs(step) < 1e-9:
            break
    place = place if abs(place - at) <= 1.0 else float(at)
    turned = weight * spectrum * np.exp(1j * omega * place)
    return place, float(np.sum(turned.real)), -float(np.sum(omega**2 * turned.real))


def group_delay(response: Response) -> Sound:
    """Give the group delay in samples, at the frequencies of the coherence.

    That is the real part of F(n h) / F(h) (J. O. Smith, "Introduction to Digital Filters",
    "Numerical computation of group delay").
    """
    taps = response.heard
    bins = max(response.coherence.size, 2)
    size = 2 * (bins - 1) * -(-taps.size // (2 * (bins - 1)))
    stride = size // (2 * (bins - 1))
    at = int(np.argmax(np.abs(taps)))  # counted from the peak, for the sake of precision
    plain = np.fft.rfft(taps, size)[::stride]
    ramp = np.fft.rfft((np.arange(taps.size) - at) * taps, size)[::stride]
    floor = 1e-9 * float(np.abs(plain).max())
    late = np.divide(ramp, plain, out=np.zeros_like(ramp), where=np.abs(plain) > floor)
    return np.asarray(response.first + at + late.real)
