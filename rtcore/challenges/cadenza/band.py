# SPDX-License-Identifier: MIT
"""A little band made from nothing: voice, drums, bass and chords, for sets without any file."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtcore.challenges.cadenza.metadata import SAMPLE_RATE_HZ

__all__ = ["played"]

_Sound = NDArray[np.float64]
#: A minor pentatonic scale from A3, in Hz.
_SCALE_HZ = 220.0 * 2.0 ** (np.array([0, 3, 5, 7, 10, 12]) / 12.0)
_NOTE_S = 0.36
#: Where a sung vowel is strong (Hz), and how broad.
_FORMANTS_HZ = ((700.0, 130.0), (1150.0, 170.0), (2600.0, 300.0))


def played(stem: str, seconds: float, seed: int) -> _Sound:
    """Play a stem.

    Parameters
    ----------
    stem : str
        ``vocals``, ``drums``, ``bass`` or ``other``.
    seconds : float
        How long.
    seed : int
        The same seed gives the same samples.

    Returns
    -------
    ndarray, shape (2, frames)
        At 44.1 kHz, an RMS of about 0.05.
    """
    random = np.random.default_rng([seed, zlib.crc32(stem.encode())])
    players: dict[str, Callable[[int, np.random.Generator], _Sound]]
    players = {"vocals": _sung, "drums": _drummed, "bass": _bass, "other": _chords}
    y = players[stem](round(seconds * SAMPLE_RATE_HZ), random)
    return y * (0.05 / max(float(np.sqrt(np.mean(y**2))), 1e-9))


def _melody(frames: int, random: np.random.Generator) -> tuple[_Sound, _Sound]:
    """Give the pitch in Hz at each frame, and how loud each note is there."""
    note = round(_NOTE_S * SAMPLE_RATE_HZ)
    count = -(-frames // note)
    pitch_hz = np.repeat(random.choice(_SCALE_HZ, count), note)[:frames]
    t = np.arange(note) / note
    shape = np.minimum(1.0, 20.0 * t) * np.exp(-1.2 * t) * np.minimum(1.0, 12.0 * (1.0 - t))
    loud = np.repeat(random.uniform(0.4, 1.0, count), note)[:frames]
    return pitch_hz, loud * np.tile(shape, count)[:frames]


def _harmonics(pitch_hz: _Sound, weights: Callable[[_Sound], _Sound], count: int) -> _Sound:
    """Add up harmonics, each as strong as a function of its frequency says."""
    phase = 2.0 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    y = np.zeros_like(phase)
    for k in range(1, count + 1):
        y += weights(k * pitch_hz) * np.sin(k * phase)
    return y


def _sung(frames: int, random: np.random.Generator) -> _Sound:
    pitch_hz, loud = _melody(frames, random)
    t = np.arange(frames) / SAMPLE_RATE_HZ
    pitch_hz = pitch_hz * (1.0 + 0.012 * np.sin(2.0 * np.pi * 5.5 * t))  # vibrato

    def vowel(hz: _Sound) -> _Sound:
        bumps = [np.exp(-0.5 * ((hz - at) / wide) ** 2) for at, wide in _FORMANTS_HZ]
        return np.asarray(sum(bumps) + 0.05 * 300.0 / hz)

    return np.tile(loud * _harmonics(pitch_hz, vowel, 14), (2, 1))


def _bass(frames: int, random: np.random.Generator) -> _Sound:
    pitch_hz, loud = _melody(frames, random)
    return np.tile(loud * _harmonics(0.25 * pitch_hz, lambda hz: 60.0 / hz, 8), (2, 1))


def _chords(frames: int, random: np.random.Generator) -> _Sound:
    """Play two voices, one on the left and one on the right, and a third in the middle."""
    voices = []
    for ratio in (1.0, 1.5, 2.0):
        pitch_hz, loud = _melody(frames, random)
        voices.append(loud * _harmonics(ratio * pitch_hz, lambda hz: 300.0 / hz, 5))
    left, right, middle = voices
    return np.stack([left + 0.3 * right + middle, right + 0.3 * left + middle])


def _drummed(frames: int, random: np.random.Generator) -> _Sound:
    """Hit a drum and a snare in turns, and a cymbal between."""
    beat = round(0.5 * _NOTE_S * SAMPLE_RATE_HZ)
    t = np.arange(beat) / SAMPLE_RATE_HZ
    kick = np.sin(2.0 * np.pi * (50.0 * t - 3.0 * np.exp(-25.0 * t))) * np.exp(-18.0 * t)
    y = np.zeros((2, frames + beat))
    for k, begin in enumerate(range(0, frames, beat)):
        noise = random.normal(0.0, 1.0, (2, beat))
        cymbal = 0.15 * np.diff(noise, axis=1, prepend=0.0) * np.exp(-70.0 * t)
        hit = kick if k % 4 == 0 else 0.4 * noise * np.exp(-30.0 * t) if k % 4 == 2 else 0.0 * t
        y[:, begin : begin + beat] += cymbal + hit
    return y[:, :frames]
