# SPDX-License-Identifier: MIT
"""A head from formulas: what hearing-aid microphones at its ears hear of a source.

A rigid sphere: delays after Woodworth, shadow after C. P. Brown and R. O. Duda, "A structural
model for binaural sound synthesis", IEEE Trans. Speech Audio Process. 6(5), 1998. A room is an
exponentially decaying noise behind the direct sound. It sounds like a head and no more; real
challenge sets are rendered from measured ones.
"""

from __future__ import annotations

import numpy as np

__all__ = ["MICS", "at_ears", "response_to", "room_tail"]

_RADIUS_M = 0.0875
_SOUND_M_S = 344.0
#: Of the microphone pairs CH0 (ear-drum), CH1 (front), CH2 (middle) and CH3 (rear), how far
#: forward of the ear they lie on the sphere: 7.6 mm from one to the next.
MICS = tuple(np.degrees(d / _RADIUS_M) for d in (0.0, 0.0076, 0.0, -0.0076))
_EAR_DEG = 90.0
_BASE_DELAY_S = 0.001  # keeps all delays positive
_SHADOW_MIN, _SHADOW_DEG = 0.1, 150.0
#: Of half the sample rate: above it impulse responses fade out.
_FULL_BAND = 0.7


def at_ears(x: np.ndarray, azimuth_deg: float, mic: int, sample_rate: int) -> np.ndarray:
    """Give what a pair of microphones hears of a distant source, without a room.

    Parameters
    ----------
    x : array, shape (frames,)
        The source.
    azimuth_deg : float
        Where it is: 0 ahead, positive to the left.
    mic : int
        0 to 3, an index of :data:`MICS`.
    sample_rate : int
        In Hz.

    Returns
    -------
    numpy.ndarray, shape (2, frames)
        Left and right, later than the source by 1 ms and what the head adds.
    """
    from scipy.fft import next_fast_len

    padded = 2 * next_fast_len(len(x) // 2 + sample_rate // 50)
    omega = 2.0 * np.pi * np.fft.rfftfreq(padded, 1.0 / sample_rate)
    spectrum = np.fft.rfft(x, padded)
    heard = [
        np.fft.irfft(spectrum * _response(omega, azimuth_deg - side * (_EAR_DEG - MICS[mic])))
        for side in (1.0, -1.0)
    ]
    return np.stack(heard)[:, : len(x)]


def response_to(direction: np.ndarray, mic: int, taps: int, sample_rate: int) -> np.ndarray:
    """Give the impulse responses of a pair of microphones to a source anywhere around.

    Parameters
    ----------
    direction : array, shape (3,)
        Unit vector towards it: x ahead, y to the left, z up.
    mic : int
        0 to 3, an index of :data:`MICS`.
    taps : int
        How long.
    sample_rate : int
        In Hz.

    Returns
    -------
    numpy.ndarray, shape (2, taps)
        Left and right.
    """
    hz = np.fft.rfftfreq(taps, 1.0 / sample_rate)
    # Delays between samples would ring on and on, were all as loud up to half the sample rate.
    fall = np.clip((hz / (sample_rate / 2) - _FULL_BAND) / (1.0 - _FULL_BAND), 0.0, 1.0)
    fade = 0.5 + 0.5 * np.cos(np.pi * fall)
    ears = []
    for side in (1.0, -1.0):
        angle = np.radians(side * (_EAR_DEG - MICS[mic]))
        towards = direction @ np.array([np.cos(angle), np.sin(angle), 0.0])
        incidence_deg = float(np.degrees(np.arccos(np.clip(towards, -1.0, 1.0))))
        spectrum = fade * _response(2.0 * np.pi * hz, incidence_deg)
        ears.append(np.fft.irfft(spectrum, taps))
    return np.stack(ears)


def _response(omega: np.ndarray, incidence_deg: float) -> np.ndarray:
    """Give delay and shadow for a sound that comes from so far beside the ear's own direction."""
    theta = abs((incidence_deg + 180.0) % 360.0 - 180.0)
    angle = np.radians(theta)
    travel = -np.cos(angle) if theta < 90.0 else angle - np.pi / 2
    delay_s = _BASE_DELAY_S + _RADIUS_M / _SOUND_M_S * travel
    weight = 1.0 + _SHADOW_MIN / 2 + (1.0 - _SHADOW_MIN / 2) * np.cos(np.pi * theta / _SHADOW_DEG)
    corner = 1j * omega * _RADIUS_M / (2.0 * _SOUND_M_S)
    return np.asarray((1.0 + weight * corner) / (1.0 + corner) * np.exp(-1j * omega * delay_s))


def room_tail(
    x: np.ndarray, rng: np.random.Generator, sample_rate: int, *, rt60_s: float = 0.2
) -> np.ndarray:
    """Give what a room adds to a source: another decaying noise for each ear, 12 dB below it.

    Parameters
    ----------
    x : array, shape (frames,)
        The source.
    rng : numpy.random.Generator
        Draws the room.
    sample_rate : int
        In Hz.
    rt60_s : float
        In which the sound decays by 60 dB.

    Returns
    -------
    numpy.ndarray, shape (2, frames)
    """
    from scipy.signal import fftconvolve

    frames = round(rt60_s * sample_rate)
    decay = 10.0 ** (-3.0 * np.arange(frames) / frames)
    response = rng.normal(size=(2, frames)) * decay
    response[:, : round(0.002 * sample_rate)] = 0.0
    response *= 10.0 ** (-12.0 / 20.0) / np.sqrt(np.sum(response**2, axis=1, keepdims=True))
    return np.asarray(fftconvolve(x[None], response, axes=1))[:, : len(x)]
