# SPDX-License-Identifier: MIT
"""Sounds by which a delay is found: impulses, maximum-length sequences, noise, chirps, speech.

Each is one channel, float64, within -1 to 1, and equal for equal arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rtcore.synth import speech_like

Sound = np.ndarray[Any, np.dtype[Any]]

#: Room around each impulse, in samples: half of it lies on either side of the response.
IMPULSE_ROOM = 2304
_SMALL, _LARGE = 0.01, 0.9
_SHORTEST_MLS_BITS, _LONGEST_MLS_BITS = 4, 20


def impulses(*, count: int = 8, seed: int = 0) -> Sound:
    """Make small impulses and as many large ones, of either sign, at uneven distances.

    A frame-wise system treats an impulse by its place in the frame; uneven distances visit many.

    Parameters
    ----------
    count : int
        Impulses of each size.
    seed : int
        Another seed gives other places and signs.
    """
    rng = np.random.default_rng([seed, 1])
    steps = IMPULSE_ROOM + rng.integers(0, IMPULSE_ROOM // 4, 2 * count)
    places = np.cumsum(steps) - steps[0]
    sound = np.zeros(int(places[-1]) + 1)
    sound[places] = np.repeat((_SMALL, _LARGE), count) * rng.choice((-1.0, 1.0), 2 * count)
    return sound


def mls(frames: int, *, level: float = 0.25) -> Sound:
    """Make a maximum-length sequence, cut to a length.

    Parameters
    ----------
    frames : int
        At least 1; the shortest sequence that is long enough gets cut.
    level : float
        Magnitude of every sample.

    Notes
    -----
    Its circular autocorrelation is an impulse (D. D. Rife and J. Vanderkooy, "Transfer-function
    measurement with maximum-length sequences", J. Audio Eng. Soc. 37(6), 1989).
    """
    from scipy.signal import max_len_seq

    bits = min(max(int(frames).bit_length(), _SHORTEST_MLS_BITS), _LONGEST_MLS_BITS)
    return level * (2.0 * max_len_seq(bits, length=frames)[0] - 1.0)


def noise(frames: int, *, level: float = 0.1, seed: int = 0) -> Sound:
    """Make Gaussian noise of an RMS, its rare peaks cut at full scale.

    Through a memoryless non-linearity, Gaussian noise comes out as itself by a factor and an
    uncorrelated rest (Bussgang's theorem): so the delay stays visible.
    """
    sound = level * np.random.default_rng([seed, 2]).standard_normal(frames)
    return np.clip(sound, -1.0, 1.0)


def chirp(
    frames: int,
    *,
    sample_rate: float,
    low_hz: float = 50.0,
    high_hz: float | None = None,
    level: float = 0.5,
) -> Sound:
    """Make a linear sweep, faded in and out.

    Parameters
    ----------
    frames : int
        Its length.
    sample_rate : float
        In Hz.
    low_hz, high_hz : float
        Where it begins and ends; 0.45 of the rate where no end is given.
    level : float
        Its peak.
    """
    from scipy.signal import chirp as sweep
    from scipy.signal.windows import tukey

    time_s = np.arange(frames) / sample_rate
    end_hz = 0.45 * sample_rate if high_hz is None else high_hz
    sound = sweep(time_s, low_hz, frames / sample_rate, end_hz, phi=-90.0)
    return np.asarray(level * sound * tukey(frames, 0.02))


def speech(frames: int, *, sample_rate: float, level: float = 0.5, seed: int = 0) -> Sound:
    """Make a speech-like sound of a peak, for systems that suppress whatever is no speech."""
    rate = max(sample_rate, 8000.0)
    sound = speech_like((frames + 1) / rate, rate, seed=seed)[:frames]
    return np.asarray(level * sound / max(float(np.abs(sound).max()), 1e-9))


def _speech(frames: int, sample_rate: float, seed: int) -> Sound:
    return speech(frames, sample_rate=sample_rate, seed=seed)


def _noise(frames: int, _sample_rate: float, seed: int) -> Sound:
    return noise(frames, seed=seed)


#: The long probes of :func:`rtcore.latency.delay.measure_delay`: frames, rate, seed to sound.
LONG: dict[str, Callable[[int, float, int], Sound]] = {"noise": _noise, "speech": _speech}
