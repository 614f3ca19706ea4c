# SPDX-License-Identifier: MIT
"""Hold the sound below a ceiling, by turning the gain down before a peak arrives.

The gain is found in four steps: the gain that each frame needs by itself; its minimum over the
look-ahead, so that a peak is known that much earlier; a slow return towards 1; and a mean over
the look-ahead, which makes a ramp of each step.  Each of the values that enter the mean knows of
the peak that leaves the delay line, so the mean is no larger than that peak allows.

Gains are whole numbers of 2^-40.  So the sum behind the mean is exact however long it runs, and
sound below the ceiling is multiplied by exactly 1.
"""

from __future__ import annotations

import numpy as np

from rtcore import Param, Plugin, Prepared, Setting, Spec, helper, kernel

_ONE = 1 << 40  # the gain 1
# The return to 1 aims a little beyond, or it would take for ever.
_BEYOND = 1.0001


def _representable(ceiling_db: float, _sample_rate: float) -> float:
    """Give the nearest number of single precision that is not above."""
    single = np.float32(ceiling_db)
    return float(
        single if float(single) <= ceiling_db else np.nextafter(single, np.float32(-np.inf))
    )


@helper
def _amplitude(ceiling_db):
    """Convert to the nearest amplitude of single precision that is not above."""
    exact = 10.0 ** (np.float64(ceiling_db) / 20.0)
    single = np.float32(exact)
    if np.float64(single) > exact:
        single = np.nextafter(single, np.float32(0.0))
    return single


def _share_per_frame(time_ms: float, sample_rate: float) -> float:
    """Convert a time constant to the share of the way that one frame goes, at most all of it."""
    return min(1.0, 1000.0 / (time_ms * sample_rate))


@helper
def _minimum(needed, queue, born, ends, now):
    """Replace each needed gain by the minimum of the window that ends there.

    The queue holds the values that can still become a minimum, rising from its head to its tail,
    and the frame of each: every value enters and leaves once, so the cost does not depend on the
    window.  ``ends`` are head and length.
    """
    window = queue.size
    head = ends[0]
    held = ends[1]
    for i in range(needed.size):
        if held > 0 and born[head] <= now - window:
            head = head + 1 if head + 1 < window else 0
            held -= 1
        value = needed[i]
        while held > 0:
            last = head + held - 1
            last = last if last < window else last - window
            if queue[last] < value:
                break
            held -= 1
        place = head + held
        place = place if place < window else place - window
        queue[place] = value
        born[place] = now
        held += 1
        needed[i] = queue[head]
        now += 1
    ends[0] = head
    ends[1] = held


@helper
def _release(gain, level, share):
    """Let the gain rise no faster than the release; it falls at once."""
    for i in range(gain.size):
        level = min(gain[i], level + share * (_BEYOND - level))
        gain[i] = level
    return level


@helper
def _mean(gain, ring, at, total):
    """Replace each gain by its mean over the window, rounded down, by an exact running sum."""
    window = ring.size
    share = 1.0 / (np.float64(window) * _ONE)
    for i in range(gain.size):
        new = np.int64(gain[i] * _ONE)
        total += new - ring[at]
        ring[at] = new
        at = at + 1 if at + 1 < window else 0
        # All ones give window * 2^40, and dividing that by itself is exactly 1.
        gain[i] = total * share if total != window * _ONE else 1.0
    return at, total


class Limiter(Plugin):
    """Hold the sound below a ceiling, by turning the gain down before a peak arrives.

    No output sample is ever above the ceiling. All channels get the same gain, so that the sound
    keeps its direction. Below the ceiling the sound is only delayed, bit for bit.

    Parameters
    ----------
    ceiling_db : float
        Largest peak in dB re full scale, -80 to 20. While it falls, sound that already waits in
        the delay line is cut at it.
    release_ms : float
        Time constant of the gain's return after a peak, 1 to 10,000 ms.
    lookahead_ms : float
        How much earlier than the peak the gain begins to fall, 0 to 100 ms; it is the latency.
    """

    id = "limiter"
    ceiling_db = Param(
        -1.0,
        min=-80.0,
        max=20.0,
        unit="dB",
        smoothing_s=0.02,
        convert=_representable,
        doc="largest peak of the output, re full scale",
    )
    release_ms = Param(
        100.0,
        min=1.0,
        max=10000.0,
        unit="ms",
        kernel_name="release",
        convert=_share_per_frame,
        doc="time constant of the gain's return after a peak",
    )
    lookahead_ms = Setting(
        2.0, type=float, min=0.0, max=100.0, unit="ms", doc="how early the gain begins to fall"
    )
    state = {
        "now": "i8",
        "line_at": "i8",
        "mean_at": "i8",
        "total": "i8",
        "level": "f8",
        "known_db": "f8",
        "known": "f8",
    }
    buffers = {
        "line": "real[:, :]",
        "ceiling": "real[:]",
        "gain": "f8[:]",
        "queue": "f8[:]",
        "born": "i8[:]",
        "ends": "i8[:]",
        "ring": "i8[:]",
    }

    def prepare(self, spec: Spec) -> Prepared:
        """Make the delay line and the windows, all at a gain of 1."""
        ahead = spec.frames(self.lookahead_ms / 1000.0)
        window = ahead + 1
        buffers = {
            "line": np.zeros((spec.channels, ahead)),
            "ceiling": np.ones(spec.max_frames),
            "gain": np.ones(spec.max_frames),
            "queue": np.ones(window),
            "born": np.zeros(window, np.int64),
            "ends": np.zeros(2, np.int64),
            "ring": np.full(window, _ONE),
        }
        return Prepared(
            latency_frames=ahead,
            lookahead_frames=ahead,
            tail_frames=ahead,
            state={"level": 1.0, "total": window * _ONE, "known_db": 0.0, "known": 1.0},
            buffers=buffers,
        )

    @kernel
    def process(x, y, state, line, ceiling, gain, queue, born, ends, ring, ceiling_db, release):
        """Find the gain of each frame, delay the sound, and multiply."""
        channels, frames = x.shape
        # A ceiling that moves does so evenly in decibels, or it would fall off a cliff at the end.
        for i in range(frames):
            if ceiling_db[i] != state.known_db:
                state.known_db = ceiling_db[i]
                state.known = _amplitude(ceiling_db[i])
            ceiling[i] = state.known
        part = gain[:frames]
        for i in range(frames):
            part[i] = abs(x[0, i])
        for c in range(1, channels):
            for i in range(frames):
                part[i] = max(part[i], abs(x[c, i]))
        for i in range(frames):
            part[i] = ceiling[i] / part[i] if part[i] > ceiling[i] else 1.0
        _minimum(part, queue, born, ends, state.now)
        state.now += frames
        state.level = _release(part, state.level, np.float64(release))
        state.mean_at, state.total = _mean(part, ring, state.mean_at, state.total)
        length = line.shape[1]
        at = state.line_at
        for c in range(channels):
            at = state.line_at
            for i in range(frames):
                late = x[c, i]
                if length > 0:
                    late = line[c, at]
                    line[c, at] = x[c, i]
                    at = at + 1 if at + 1 < length else 0
                # The product may round up by half a step, so the ceiling has the last word.
                y[c, i] = min(max(late * part[i], -ceiling[i]), ceiling[i])
        state.line_at = at
