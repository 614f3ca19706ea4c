# SPDX-License-Identifier: MIT
"""Make much speech of little: speed and pitch, colour, rooms, noise, bandwidth, level, clipping."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

SLOWEST, FASTEST = 0.84, 1.19


def respeed(x: np.ndarray, frames: int, ratio: float) -> np.ndarray:
    """Play faster or slower, pitch and all, by cubic interpolation."""
    at = 1.0 + np.arange(frames) * ratio
    k = at.astype(np.int64)
    t = at - k
    a, b, c, d = x[k - 1], x[k], x[k + 1], x[k + 2]
    return b + 0.5 * t * (
        c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a))
    )


def tilt(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Colour the sound by a random first-order shelf."""
    pole = rng.uniform(-0.3, 0.3)
    return lfilter([1.0, -pole], [1.0, pole * rng.uniform(-0.7, 0.7)], x)


def room(x: np.ndarray, rate_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Add decaying noise as the echoes of a room: 0.1 to 0.5 s of reverberation, mostly direct."""
    t60 = rng.uniform(0.1, 0.5)
    t = np.arange(int(t60 * rate_hz)) / rate_hz
    tail = rng.standard_normal(t.size) * np.exp(-6.9 * t / t60) * (t > 0.003)
    tail *= 10.0 ** (-rng.uniform(3.0, 15.0) / 20.0) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return fftconvolve(x, tail)[: x.size]


def narrow(x: np.ndarray, rate_hz: float, rng: np.random.Generator) -> np.ndarray:
    """Cut the band as a telephone or a poor microphone does."""
    low = butter(4, rng.uniform(3300.0, 0.45 * rate_hz), fs=rate_hz, output="sos")
    x = sosfilt(low, x)
    if rng.random() < 0.5:
        high = butter(2, rng.uniform(60.0, 300.0), "highpass", fs=rate_hz, output="sos")
        x = sosfilt(high, x)
    return x


def noise(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Give noise between white and brown, of unit power."""
    pole = rng.uniform(0.0, 0.98)
    made = lfilter([1.0], [1.0, -pole], rng.standard_normal(frames))
    return made / (np.sqrt(np.mean(made**2)) + 1e-9)


def augment(
    x: np.ndarray, frames: int, rate_hz: float, noises: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Change a segment at random; it needs ``frames * FASTEST + 4`` samples.

    Parameters
    ----------
    x : ndarray, shape (at least frames * FASTEST + 4,)
        Speech.
    frames : int
        Wanted.
    rate_hz : float
        Sample rate.
    noises : ndarray
        Recorded noise, one long array.
    rng : Generator
        Decides.

    Returns
    -------
    ndarray of float32, shape (frames,)
    """
    ratio = rng.uniform(SLOWEST, FASTEST) if rng.random() < 0.8 else 1.0
    y = respeed(x, frames, ratio)
    if rng.random() < 0.5:
        y = tilt(y, rng)
    if rng.random() < 0.15:
        y = room(y, rate_hz, rng)
    power = np.sqrt(np.mean(y**2)) + 1e-6
    if rng.random() < 0.2:
        gain = power * 10.0 ** (-rng.uniform(10.0, 40.0) / 20.0)
        if noises.size > frames and rng.random() < 0.6:
            start = rng.integers(0, noises.size - frames)
            added = noises[start : start + frames] / 32768.0
            added = added / (np.sqrt(np.mean(added**2)) + 1e-6)
        else:
            added = noise(frames, rng)
        y = y + gain * added
    if rng.random() < 0.12:
        y = narrow(y, rate_hz, rng)
    y = y * (10.0 ** (-rng.uniform(1.0, 22.0) / 20.0) / (np.max(np.abs(y)) + 1e-6))
    if rng.random() < 0.02:
        y = np.clip(3.0 * y, -0.5, 0.5)
    return y.astype(np.float32)
