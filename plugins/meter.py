# SPDX-License-Identifier: MIT
"""Measure the sound that passes, and leave it as it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtcore import Plugin, Prepared, Setting, Spec, helper, kernel
from rtcore.hearing import Calibration

# Rows of the buffer `level`; the columns are channels.
_PEAK, _RMS, _HIGHEST, _CLIPPED, _POWER, _TOP = range(6)


@dataclass(frozen=True)
class Reading:
    """What a meter has measured; each array has one value per channel.

    Attributes
    ----------
    peak, rms : ndarray
        Largest sample and root mean square of the last whole window, re full scale.
    highest : ndarray
        Largest sample since the meter was reset.
    clipped : ndarray of int
        Samples at full scale or above since then.
    frames : int
        Frames measured since then.
    """

    peak: np.ndarray[Any, Any]
    rms: np.ndarray[Any, Any]
    highest: np.ndarray[Any, Any]
    clipped: np.ndarray[Any, Any]
    frames: int

    @property
    def peak_db(self) -> np.ndarray[Any, Any]:
        """Peak in dB re full scale; minus infinity for silence."""
        return _decibels(self.peak)

    @property
    def rms_db(self) -> np.ndarray[Any, Any]:
        """RMS in dB re an RMS of 1 (a full-scale sine has -3 dB)."""
        return _decibels(self.rms)

    def db_spl(self, calibration: Calibration | None = None) -> np.ndarray[Any, Any]:
        """Give the sound pressure level of each channel.

        Parameters
        ----------
        calibration : Calibration, optional
            Of the device; 100 dB SPL for an RMS of 1 is assumed where none is given.
        """
        chosen = calibration or Calibration()
        return np.array([chosen.db_spl(float(rms)) for rms in self.rms])


def _decibels(amplitude: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.array([20.0 * math.log10(a) if a > 0.0 else -math.inf for a in amplitude])


@helper
def _measure(x, level, c):
    """Take in a piece of one channel that lies in one window."""
    power = level[_POWER, c]
    top = level[_TOP, c]
    clipped = level[_CLIPPED, c]
    for i in range(x.size):
        value = np.float64(abs(x[i]))
        top = max(top, value)
        clipped += 1.0 if value >= 1.0 else 0.0
    for i in range(x.size):
        value = np.float64(x[i])
        power += value * value
    level[_POWER, c] = power
    level[_TOP, c] = top
    level[_CLIPPED, c] = clipped
    level[_HIGHEST, c] = max(level[_HIGHEST, c], top)


class Meter(Plugin):
    """Measure the sound that passes, and leave it as it is, bit for bit.

    :meth:`read` may be called at any time, also while an engine plays: it takes no lock. Each
    number it gives is whole; two numbers may belong to neighbouring blocks.

    Parameters
    ----------
    window_s : float
        Peak and RMS are those of windows of this length, one after the other, 1 ms to 60 s.

    Examples
    --------
    >>> chain = Chain([Meter()], sample_rate=48000, channels=2)
    >>> y = chain.process(x)
    >>> Meter.read(chain.nodes[0].node).rms_db
    """

    id = "meter"
    window_s = Setting(
        0.1, type=float, min=0.001, max=60.0, unit="s", doc="length of the windows of peak and RMS"
    )
    state = {"filled": "i8", "window": "i8", "frames": "i8"}
    buffers = {"level": "f8[:, :]"}

    def prepare(self, spec: Spec) -> Prepared:
        """Set everything to zero."""
        window = max(1, spec.frames(self.window_s))
        return Prepared(
            state={"window": window}, buffers={"level": np.zeros((_TOP + 1, spec.channels))}
        )

    @staticmethod
    def read(node: Any) -> Reading:
        """Read the meter of a chain: ``Meter.read(chain.nodes[k].node)``."""
        level = node.buffer("level")
        return Reading(
            peak=level[_PEAK].copy(),
            rms=level[_RMS].copy(),
            highest=level[_HIGHEST].copy(),
            clipped=level[_CLIPPED].astype(np.int64),
            frames=int(node.record["frames"][0]),
        )

    @kernel
    def process(x, y, state, level):
        """Copy, and measure window by window."""
        channels, frames = x.shape
        for c in range(channels):
            for i in range(frames):
                y[c, i] = x[c, i]
        done = 0
        while done < frames:
            count = min(frames - done, state.window - state.filled)
            for c in range(channels):
                _measure(x[c, done : done + count], level, c)
            done += count
            state.filled += count
            if state.filled == state.window:
                state.filled = 0
                for c in range(channels):
                    level[_PEAK, c] = level[_TOP, c]
                    level[_RMS, c] = np.sqrt(level[_POWER, c] / state.window)
                    level[_TOP, c] = 0.0
                    level[_POWER, c] = 0.0
        state.frames += frames
