# SPDX-License-Identifier: MIT
"""A speech-like signal made from nothing, for demonstrations and tests without any file.

A pulse train with a moving pitch, and noise, run through the resonances of vowels and fricatives
(source-filter synthesis; formants of an average male voice after Peterson and Barney, 1952,
J. Acoust. Soc. Am. 24, 175-184).  It has the level fluctuations, the pitch and the spectrum of
speech, and says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

#: First three formants in Hz.
VOWELS: dict[str, tuple[float, float, float]] = {
    "i": (270.0, 2290.0, 3010.0),
    "e": (530.0, 1840.0, 2480.0),
    "a": (730.0, 1090.0, 2440.0),
    "o": (570.0, 840.0, 2410.0),
    "u": (300.0, 870.0, 2240.0),
}
_BANDWIDTHS_HZ = (60.0, 90.0, 150.0)
_FRICATIVES_HZ = {"s": 5500.0, "sh": 2800.0, "f": 7000.0}
_SYLLABLE_S = (0.14, 0.30)
_SPEECH_RMS = 0.0178  # 65 dB SPL where RMS 1.0 is 100 dB SPL


def _resonate(
    x: np.ndarray[Any, Any], frequency_hz: float, bandwidth_hz: float, rate: float
) -> np.ndarray[Any, Any]:
    """Run a signal through one resonance with unit gain at 0 Hz (Klatt's digital resonator)."""
    from scipy.signal import lfilter

    if frequency_hz >= 0.48 * rate:  # above what the rate can carry
        return x
    radius = np.exp(-np.pi * bandwidth_hz / rate)
    b = 2.0 * radius * np.cos(2.0 * np.pi * frequency_hz / rate)
    c = -radius * radius
    return np.asarray(lfilter([1.0 - b - c], [1.0, -b, -c], x))


def _envelope(frames: int, rate: float) -> np.ndarray[Any, Any]:
    rise = min(frames // 3, round(0.03 * rate))
    shape = np.ones(frames)
    shape[:rise] = np.sin(0.5 * np.pi * np.arange(rise) / rise) ** 2
    shape[-rise:] = shape[:rise][::-1]
    return shape


def _voiced(
    rng: np.random.Generator, frames: int, rate: float, pitch_hz: float
) -> np.ndarray[Any, Any]:
    contour = pitch_hz * (
        1.0 + 0.15 * np.sin(np.pi * np.arange(frames) / frames + rng.uniform(0, np.pi))
    )
    phase = np.cumsum(contour) / rate
    pulses = np.diff(np.floor(phase), prepend=0.0)
    vowel = VOWELS[str(rng.choice(list(VOWELS)))]
    sound = pulses + 0.01 * rng.standard_normal(frames)
    sound = _resonate(sound, 0.0, 100.0, rate)  # the glottis: -6 dB an octave
    for formant, bandwidth in zip(vowel, _BANDWIDTHS_HZ, strict=True):
        sound = _resonate(sound, formant, bandwidth, rate)
    return sound / max(float(np.sqrt(np.mean(sound**2))), 1e-12)


def _fricative(rng: np.random.Generator, frames: int, rate: float) -> np.ndarray[Any, Any]:
    centre = _FRICATIVES_HZ[str(rng.choice(list(_FRICATIVES_HZ)))]
    noise = np.diff(rng.standard_normal(frames + 1))
    sound = _resonate(noise, min(centre, 0.4 * rate), 1500.0, rate)
    return 0.3 * sound / max(float(np.sqrt(np.mean(sound**2))), 1e-12)


def speech_like(
    seconds: float, sample_rate: float, *, rms: float = _SPEECH_RMS, seed: int = 0
) -> np.ndarray[Any, Any]:
    """Make a mono speech-like signal.

    Parameters
    ----------
    seconds : float
        Its length.
    sample_rate : float
        In Hz, at least 8000.
    rms : float
        Root mean square over the whole; 0.0178 is 65 dB SPL where RMS 1.0 is 100 dB SPL.
    seed : int
        Equal seeds give equal signals.

    Returns
    -------
    ndarray
        float64, (frames,).
    """
    rng = np.random.default_rng(seed)
    total = round(seconds * sample_rate)
    pieces: list[np.ndarray[Any, Any]] = []
    made = 0
    while made < total:
        frames = round(rng.uniform(*_SYLLABLE_S) * sample_rate)
        if rng.uniform() < 0.12:
            piece = np.zeros(2 * frames)
        elif rng.uniform() < 0.25:
            piece = _fricative(rng, frames // 2, sample_rate) * _envelope(frames // 2, sample_rate)
        else:
            loudness = 10.0 ** (rng.uniform(-9.0, 0.0) / 20.0)
            piece = (
                loudness
                * _voiced(rng, frames, sample_rate, rng.uniform(95, 140))
                * _envelope(frames, sample_rate)
            )
        pieces.append(piece)
        made += len(piece)
    signal = np.concatenate(pieces)[:total] if pieces else np.zeros(0)
    level = float(np.sqrt(np.mean(signal**2))) if total else 0.0
    return signal * (rms / level) if level > 0 else signal


def _noise(seconds: float, sample_rate: float, seed: int) -> np.ndarray[Any, Any]:
    return _SPEECH_RMS * np.random.default_rng(seed).standard_normal(round(seconds * sample_rate))


def _tone(seconds: float, sample_rate: float, seed: int) -> np.ndarray[Any, Any]:
    # Whole periods in each second: pieces of a second join without a step.
    phase = 2.0 * np.pi * 1000.0 * (np.arange(round(seconds * sample_rate)) / sample_rate + seed)
    return _SPEECH_RMS * np.sqrt(2.0) * np.sin(phase)


def _speech(seconds: float, sample_rate: float, seed: int) -> np.ndarray[Any, Any]:
    return speech_like(seconds, sample_rate, seed=seed)


def _silence(seconds: float, sample_rate: float, _seed: int) -> np.ndarray[Any, Any]:
    return np.zeros(round(seconds * sample_rate))


#: Sounds without end, by name.
SOURCES: dict[str, Callable[[float, float, int], np.ndarray[Any, Any]]] = {
    "speech": _speech,
    "noise": _noise,
    "tone": _tone,
    "silence": _silence,
}


def endless(name: str, sample_rate: float) -> Iterator[np.ndarray[Any, Any]]:
    """Make a sound without end at 65 dB SPL (by the default calibration), a second at a time.

    Parameters
    ----------
    name : str
        ``speech``, ``noise`` (white), ``tone`` (1 kHz) or ``silence``.
    sample_rate : float
        In Hz.

    Yields
    ------
    ndarray
        (1, frames).
    """
    seed = 0
    while True:
        yield SOURCES[name](1.0, sample_rate, seed)[np.newaxis]
        seed += 1
