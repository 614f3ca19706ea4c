# SPDX-License-Identifier: MIT
"""Turn the gain down while the sound is loud: the automatic gain compressor of CEC2.

The law is that of ``clarity.enhancer.compressor`` (claritychallenge/clarity, MIT), copied with
its peculiarities: above the threshold the gain tends to ``attenuation * rms + (1 - attenuation)
* threshold``, which is a level and not a ratio of levels.  So the static curve jumps down at the
threshold and then expands; it protects no ears.  A limiter belongs behind it.
"""

from __future__ import annotations

import numpy as np

from rtcore import Param, ParameterError, Plugin, Prepared, Setting, Spec, helper, kernel

_FLOOR = 1e-8  # added to the mean square, as the original does


def _share_per_frame(time_ms: float, sample_rate: float) -> float:
    """Convert a time constant to the share of the way that one frame goes, at most all of it."""
    return min(1.0, 1.0 / (time_ms / 1000.0) / sample_rate)


@helper
def _square(x, power):
    """Square the samples; rows without a channel get silence.

    The squares are stored before they are used: so no multiplication is fused with the addition
    that follows, which would round differently at the end of a block.
    """
    for c in range(x.shape[0]):
        for i in range(x.shape[1]):
            value = np.float64(x[c, i])
            power[c, i] = value * value
    for c in range(x.shape[0], power.shape[0]):
        for i in range(x.shape[1]):
            power[c, i] = 0.0


@helper
def _slide(power, squares, sums, at):
    """Turn the squares of two channels into their mean over the window that ends at each frame.

    A running sum would gather rounding errors for as long as it runs.  Here a second sum begins
    at zero with each round of the circular buffer and replaces the first at the round's end, so
    an error lives for two windows at most, and its place depends on the stream alone.
    """
    window = squares.shape[1]
    share = 1.0 / window
    running_a, fresh_a = sums[0, 0], sums[0, 1]
    running_b, fresh_b = sums[1, 0], sums[1, 1]
    done = 0
    while done < power.shape[1]:
        count = min(window - at, power.shape[1] - done)
        for i in range(count):
            new_a = power[0, done + i]
            new_b = power[1, done + i]
            running_a += new_a - squares[0, at + i]
            running_b += new_b - squares[1, at + i]
            fresh_a += new_a
            fresh_b += new_b
            squares[0, at + i] = new_a
            squares[1, at + i] = new_b
            power[0, done + i] = running_a * share
            power[1, done + i] = running_b * share
        done += count
        at += count
        if at == window:
            at = 0
            running_a, fresh_a = fresh_a, 0.0
            running_b, fresh_b = fresh_b, 0.0
    sums[0, 0], sums[0, 1] = running_a, fresh_a
    sums[1, 0], sums[1, 1] = running_b, fresh_b
    return at


@helper
def _link(power, channels, frames):
    """Give all channels the power of the loudest."""
    for c in range(1, channels):
        for i in range(frames):
            power[0, i] = max(power[0, i], power[c, i])
    for c in range(1, channels):
        for i in range(frames):
            power[c, i] = power[0, i]


@helper
def _steer(power, keep, threshold, attenuation, attack, release):
    """Say for each frame how the gain moves: ``gain = gain * keep + power``."""
    rest = (1.0 - attenuation) * threshold
    for i in range(power.size):
        rms = np.sqrt(max(power[i], 0.0) + _FLOOR)
        loud = rms > threshold
        target = rms * attenuation + rest
        keep[i] = 1.0 - attack if loud else 1.0 - release
        power[i] = target * attack if loud else release


@helper
def _follow(power, keep, gain):
    """Move the gains of two channels frame by frame; they are left in ``keep``."""
    gain_a, gain_b = gain[0], gain[1]
    for i in range(power.shape[1]):
        gain_a = gain_a * keep[0, i] + power[0, i]
        gain_b = gain_b * keep[1, i] + power[1, i]
        keep[0, i] = gain_a
        keep[1, i] = gain_b
    gain[0], gain[1] = gain_a, gain_b


class Compressor(Plugin):
    """Turn the gain down while the sound is loud (the CEC2 automatic gain compressor).

    Each channel has a gain of its own. Above `threshold` it tends to
    ``attenuation * rms + (1 - attenuation) * threshold``, below it to 1.

    Parameters
    ----------
    threshold : float
        RMS above which the gain is turned down, re full scale.
    attenuation : float
        Weight of the RMS in the gain's target, 0 to 1.
    attack_ms, release_ms : float
        Time constants of the gain above and below the threshold.
    makeup : float
        Amplitude ratio by which everything is multiplied.
    rms_buffer_s : float
        Length of the window of the RMS.
    linked : bool
        Whether the loudest channel steers all of them, so that the sound keeps its direction.
    """

    id = "compressor"
    threshold = Param(0.35, min=0.0, max=100.0, doc="RMS above which the gain is turned down")
    attenuation = Param(0.1, min=0.0, max=1.0, doc="weight of the RMS in the gain above threshold")
    attack_ms = Param(
        50.0,
        min=0.1,
        max=60000.0,
        unit="ms",
        kernel_name="attack",
        convert=_share_per_frame,
        doc="time constant of the gain above the threshold",
    )
    release_ms = Param(
        1000.0,
        min=0.1,
        max=60000.0,
        unit="ms",
        kernel_name="release",
        convert=_share_per_frame,
        doc="time constant of the gain below the threshold",
    )
    makeup = Param(1.0, min=0.0, max=100.0, smoothing_s=0.02, doc="amplitude ratio of the whole")
    rms_buffer_s = Setting(
        0.064, type=float, min=0.0, max=10.0, unit="s", doc="length of the window of the RMS"
    )
    linked = Setting(False, type=bool, doc="whether the loudest channel steers all")
    state = {"at": "i8", "linked": "i8"}
    buffers = {
        "squares": "f8[:, :]",
        "sums": "f8[:, :]",
        "gain": "f8[:]",
        "power": "f8[:, :]",
        "keep": "f8[:, :]",
    }

    def prepare(self, spec: Spec) -> Prepared:
        """Make the window, and room for the steps in between."""
        window = int(self.rms_buffer_s * spec.sample_rate)  # cut, not rounded, as the original
        if window < 1:
            raise ParameterError(
                "rms_buffer_s",
                f"must hold at least one frame, which is {1.0 / spec.sample_rate:.3g} s at "
                f"{spec.sample_rate:g} Hz, got {self.rms_buffer_s:g}",
            )
        rows = spec.channels + spec.channels % 2  # an odd one is paired with silence
        buffers = {
            "squares": np.zeros((rows, window)),
            "sums": np.zeros((rows, 2)),
            "gain": np.ones(rows),
            "power": np.zeros((rows, spec.max_frames)),
            "keep": np.zeros((rows, spec.max_frames)),
        }
        return Prepared(state={"linked": int(self.linked)}, buffers=buffers)

    @kernel
    def process(
        x,
        y,
        state,
        squares,
        sums,
        gain,
        power,
        keep,
        threshold,
        attenuation,
        attack,
        release,
        makeup,
    ):
        """Work in passes, so that all but the two short recursions is vectorised.

        Channels go in pairs: a recursion waits for its own last result most of the time.
        """
        channels, frames = x.shape
        rows = power.shape[0]
        _square(x, power)
        end = state.at
        for c in range(0, rows, 2):
            end = _slide(power[c : c + 2, :frames], squares[c : c + 2], sums[c : c + 2], state.at)
        state.at = end
        if state.linked != 0:
            _link(power, channels, frames)
        for c in range(rows):
            _steer(
                power[c, :frames],
                keep[c, :frames],
                np.float64(threshold),
                np.float64(attenuation),
                np.float64(attack),
                np.float64(release),
            )
        for c in range(0, rows, 2):
            _follow(power[c : c + 2, :frames], keep[c : c + 2, :frames], gain[c : c + 2])
        for c in range(channels):
            for i in range(frames):
                y[c, i] = x[c, i] * keep[c, i] * makeup[i]
