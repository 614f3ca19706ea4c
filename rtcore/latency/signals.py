# SPDX-License-Identifier: MIT
"""The sounds that systems are tried with: pairs that part at one sample, and probes for delay.

A pair is a *base* and an *other* sound. The experiment at sample n feeds the base, and the base up
to n followed by the other. No single pair serves every system: a limiter acts on what is loud, a
gate on what is quiet, and the weak edge of a window shows best against silence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rtcore.synth import speech_like

Sound = np.ndarray[Any, np.dtype[Any]]
_Pair = tuple[Sound, Sound]


def pair(name: str, *, channels: int, frames: int, sample_rate: float, seed: int = 0) -> _Pair:
    """Make a base and another sound.

    Parameters
    ----------
    name : str
        A key of :data:`PAIRS`.
    channels, frames : int
        Shape of both.
    sample_rate : float
        In Hz, for the speech.
    seed : int
        Another seed gives other sounds of the same kind.

    Returns
    -------
    base, other : ndarray
        (channels, frames), float64, within -1 to 1; nowhere equal.
    """
    rng = np.random.default_rng([seed, sorted(PAIRS).index(name)])
    base, other = PAIRS[name](rng, channels, frames, sample_rate)
    other[base == other] += 0.125
    return base, other


def spliced(base: Sound, other: Sound, at: int) -> Sound:
    """Give the base up to a sample and the other sound from there on."""
    return np.concatenate((base[:, :at], other[:, at:]), axis=1)


def _noise(rng: np.random.Generator, channels: int, frames: int, level: float) -> Sound:
    return np.clip(level * rng.standard_normal((channels, frames)), -1.0, 1.0)


def _signs(rng: np.random.Generator, channels: int, frames: int, level: float) -> Sound:
    """Noise of one magnitude: no sample of it is too small to be seen."""
    return level * rng.choice((-1.0, 1.0), (channels, frames))


def _speech(rng: np.random.Generator, channels: int, frames: int, rate: float) -> Sound:
    voice = speech_like(frames / rate + 0.1, max(rate, 8000.0), seed=int(rng.integers(1 << 30)))
    voice = np.atleast_2d(np.asarray(voice, np.float64))[:1, :frames]
    return np.repeat(0.9 * voice / max(float(np.abs(voice).max()), 1e-9), channels, axis=0)


def _noise_pair(rng: np.random.Generator, channels: int, frames: int, _rate: float) -> _Pair:
    base = np.clip(_noise(rng, channels, frames, 0.1), -0.4, 0.4)
    return base, base + _signs(rng, channels, frames, 0.5)


def _onset_pair(rng: np.random.Generator, channels: int, frames: int, _rate: float) -> _Pair:
    return np.zeros((channels, frames)), _signs(rng, channels, frames, 0.9)


def _louder_pair(rng: np.random.Generator, channels: int, frames: int, _rate: float) -> _Pair:
    return _noise(rng, channels, frames, 1e-3), _signs(rng, channels, frames, 0.98)


def _softer_pair(rng: np.random.Generator, channels: int, frames: int, _rate: float) -> _Pair:
    # So loud that it clips: what restores clipped sound looks ahead nowhere else.
    return _noise(rng, channels, frames, 0.7), 1e-3 * _noise(rng, channels, frames, 0.3)


def _speech_pair(rng: np.random.Generator, channels: int, frames: int, rate: float) -> _Pair:
    base = 0.45 * _speech(rng, channels, frames, rate)
    return base, np.clip(base + _signs(rng, channels, frames, 0.5), -1.0, 1.0)


def _transient_pair(rng: np.random.Generator, channels: int, frames: int, _rate: float) -> _Pair:
    clicks = np.where(rng.random((channels, frames)) < 0.002, 0.5, 0.0)
    base = clicks * rng.choice((-1.0, 1.0), clicks.shape)
    return base, -base + _signs(rng, channels, frames, 0.4)


#: Name to the maker of a pair, the one that shows most in linear systems first.
PAIRS: dict[str, Callable[[np.random.Generator, int, int, float], _Pair]] = {
    "silence then sound": _onset_pair,
    "noise": _noise_pair,
    "quiet then loud": _louder_pair,
    "speech": _speech_pair,
    "transients": _transient_pair,
    "loud then quiet": _softer_pair,
}
