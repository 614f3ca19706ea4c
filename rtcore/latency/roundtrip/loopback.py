# SPDX-License-Identifier: MIT
"""The probe of the round trip: a sound that is found again in what a device recorded.

The probe is a maximum-length sequence, faded at both ends. Its power is spread evenly over time
and band, so that a matched filter finds it far below the noise, at a level that hurts nobody.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rtcore.kernels import kernel
from rtcore.latency.probes import mls
from rtcore.parameters import Param, Setting
from rtcore.plugin import Plugin, Prepared, Spec

Sound = np.ndarray[Any, np.dtype[Any]]

ORDERS = (9, 14)
_FADE_SHARE = 0.05
_FOUND = 9.0  # a peak so many times the correlation's noise is no chance
_REACH = 32  # neighbours on each side from which values between samples are interpolated
_GRID = 64  # steps of a sample in which the peak is looked for
_WHOLE_FRAMES = 2e-3  # what is so close to a whole number is one
_FULL_SCALE = 0.999
_ECHO_SHARE = 0.5
_APART_S = 0.002
_MOST_ECHOES = 3


@functools.cache
def probe_sound(order: int, peak: float) -> Sound:
    """Make the probe.

    Parameters
    ----------
    order : int
        The sequence has ``2 ** order - 1`` samples.
    peak : float
        Greatest sample.

    Returns
    -------
    ndarray
        (samples,), float32; its first and its last sample are not zero.
    """
    sequence = mls((1 << order) - 1, level=peak)
    fade = max(2, round(_FADE_SHARE * sequence.size))
    ramp = np.sin(0.5 * np.pi * (np.arange(fade) + 1.0) / (fade + 1.0)) ** 2
    sequence[:fade] *= ramp
    sequence[-fade:] *= ramp[::-1]
    return np.asarray(sequence, np.float32)


def order_for(frames: int) -> int:
    """Give the order of the longest probe that fits into so many frames, within :data:`ORDERS`."""
    low, high = ORDERS
    return min(max(int(math.log2(max(frames, 1) + 1)), low), high)


class Probe(Plugin):
    """Replace the sound by a probe in one channel, and by silence in the others."""

    id = "round_trip_probe"
    go = Param(0.0, min=0.0, max=1.0, doc="1 lets it sound from the next frame on")
    order = Setting(13, type=int, min=ORDERS[0], max=ORDERS[1], doc="its length is 2^order - 1")
    peak = Setting(0.1, type=float, min=0.0, max=1.0, doc="its greatest sample")
    channel = Setting(0, type=int, min=0, max=63, doc="which channel carries it, from 0")
    period_frames = Setting(0, type=int, min=0, max=1 << 40, doc="from one to the next; 0: once")
    state: ClassVar[Mapping[str, str]] = {"at": "i8", "period": "i8", "channel": "i8"}
    buffers: ClassVar[Mapping[str, str]] = {"wave": "real[:]"}

    def prepare(self, _spec: Spec) -> Prepared:
        """Make the sound."""
        state = {"period": self.period_frames, "channel": self.channel}
        return Prepared(state=state, buffers={"wave": probe_sound(self.order, self.peak)})

    @kernel
    def process(x, y, go, state, wave):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, N805, D102 - a kernel
        silence = 0 * wave[0]
        for i in range(x.shape[1]):  # type: ignore[attr-defined]  # compiled: x is the sound
            value = silence
            if go > 0.5:
                if state.at < wave.shape[0]:
                    value = wave[state.at]
                state.at += 1
                if state.period > 0 and state.at >= state.period:
                    state.at = 0
            for c in range(y.shape[0]):
                y[c, i] = value if c == state.channel else silence


class Tape:
    """A recorder's sink that knows every frame by its number and forgets what was dealt with."""

    def __init__(self) -> None:
        self._blocks: list[Sound] = []
        self._first = 0  # frame with which the first kept block begins
        self._frames = 0
        self._keeping = True
        self._lock = threading.Lock()

    @property
    def frames(self) -> int:
        """How many frames have come so far."""
        with self._lock:
            return self._frames

    def write(self, samples: Sound) -> None:
        """Take (channels, frames)."""
        with self._lock:
            self._frames += samples.shape[1]
            if self._keeping:
                self._blocks.append(samples)

    def stop_keeping(self) -> None:
        """Forget everything, and what is still to come."""
        with self._lock:
            self._keeping = False
            self._blocks.clear()

    def cut(self, start: int, stop: int) -> Sound:
        """Give the frames from `start` up to `stop`, as far as they have come; keep them."""
        with self._lock:
            whole = self._joined()
            return whole[:, max(start - self._first, 0) : max(stop - self._first, 0)].copy()

    def forget(self, before: int) -> None:
        """Forget what came before a frame."""
        with self._lock:
            whole = self._joined()
            gone = min(max(before - self._first, 0), whole.shape[1])
            self._blocks[:] = [whole[:, gone:]]
            self._first += gone

    def _joined(self) -> Sound:
        if not self._blocks:
            return np.zeros((1, 0), np.float32)
        if len(self._blocks) > 1:
            self._blocks[:] = [np.concatenate(self._blocks, axis=1)]
        return self._blocks[0]


@dataclass(frozen=True)
class Echo:
    """The probe as it came back.

    Attributes
    ----------
    frames : float
        How late, with sub-sample resolution; whole where it is whole within 0.002.
    confidence : float
        0 to 1: how far it stands out from whatever else looks like the probe, as 1 less the power
        of the best rival more than 2 ms away.
    gain_db : float
        Of the way that it took.
    peak_dbfs : float
        Greatest sample while it came in.
    inverted : bool
        Whether it came back upside down.
    bit_exact : bool
        Whether every sample of it came back as it was sent: then `frames` is beyond doubt.
    clipped : int
        Samples at full scale.
    echoes : tuple of float
        Delays at which it came back again at half its strength or more.
    """

    frames: float
    confidence: float
    gain_db: float
    peak_dbfs: float
    inverted: bool
    bit_exact: bool
    clipped: int
    echoes: tuple[float, ...] = ()


def find_probe(wave: Sound, heard: Sound, sample_rate: float) -> Echo | None:
    """Find the probe in a recording by matched filter.

    Parameters
    ----------
    wave : ndarray
        (samples,), as it was sent.
    heard : ndarray
        (frames,), recorded from the frame on in which the probe began; longer than the probe by
        the longest delay that is looked for.
    sample_rate : float
        In Hz.

    Returns
    -------
    Echo or None
        The first arrival that is half as strong as the strongest; None where nothing stands out
        of the noise.
    """
    from scipy.signal import correlate

    padded = np.pad(heard.astype(np.float64), _REACH)
    match = correlate(padded, wave.astype(np.float64), mode="valid", method="fft")
    lags = np.abs(match[_REACH : match.size - _REACH])
    if lags.size < 2 or not heard.any():
        return None
    noise = float(np.median(lags)) / 0.6745
    if lags.max() <= _FOUND * noise:
        return None
    peaks = _arrivals(lags, max(1, round(_APART_S * sample_rate)))
    at = min(peaks)
    shift, height = _between(match[at : at + 2 * _REACH + 1])
    frames = at + shift
    nearest = round(frames)
    if abs(frames - nearest) < _WHOLE_FRAMES:
        frames = float(nearest)
    piece = heard[at : at + wave.size]
    energy = float(np.dot(wave, wave.astype(np.float64)))
    return Echo(
        frames=frames,
        confidence=_standing_out(lags, at, max(1, round(_APART_S * sample_rate))),
        gain_db=decibels(height / energy),
        peak_dbfs=decibels(float(np.abs(piece).max())),
        inverted=bool(match[at + _REACH] < 0),
        bit_exact=bool(np.array_equal(piece, wave)),
        clipped=int(np.count_nonzero(np.abs(piece) >= _FULL_SCALE)),
        echoes=tuple(float(p) for p in sorted(peaks) if p != at),
    )


def decibels(amplitude: float) -> float:
    """Give an amplitude in dB re 1, -200 at least."""
    return round(20.0 * math.log10(max(amplitude, 1e-10)), 2) + 0.0  # never -0


def _arrivals(lags: Sound, apart: int) -> list[int]:
    """Find the strongest peak and others of half its height, each well apart from the others."""
    left = lags.copy()
    found: list[int] = []
    while len(found) <= _MOST_ECHOES:
        at = int(np.argmax(left))
        if found and left[at] < _ECHO_SHARE * lags[found[0]]:
            break
        found.append(at)
        left[max(0, at - apart) : at + apart + 1] = 0.0
    return found


def _standing_out(lags: Sound, at: int, apart: int) -> float:
    """Compare a peak with the best rival that is well apart from it."""
    rivals = np.concatenate((lags[: max(0, at - apart)], lags[at + apart + 1 :]))
    if not rivals.size:
        return 1.0
    return round(max(0.0, 1.0 - float(rivals.max() / lags[at]) ** 2), 4)


def _between(around: Sound) -> tuple[float, float]:
    """Find place and height of the peak between samples, given its sample and those around it.

    The correlation is interpolated by a windowed sinc on a fine grid, and the highest three points
    of that by a parabola.
    """
    middle = around.size // 2
    offsets = np.arange(-_GRID, _GRID + 1) / _GRID
    distance = offsets[:, None] - (np.arange(around.size) - middle)[None, :]
    window = np.cos(0.5 * np.pi * np.clip(distance / (middle + 1), -1.0, 1.0)) ** 2
    values = np.abs((np.sinc(distance) * window) @ around)
    best = int(np.clip(np.argmax(values), 1, values.size - 2))
    below, top, above = values[best - 1 : best + 2]
    bend = below - 2.0 * top + above
    shift = 0.5 * (below - above) / bend if bend < 0 else 0.0
    return float(offsets[best] + shift / _GRID), float(top - 0.25 * (below - above) * shift)
