# SPDX-License-Identifier: MIT
"""Let what came through be heard exactly as it came, around a model that only fills gaps.

The model's way through rounding and resampling is heard from a little before a lost hop until a
little behind it; all else is the input, delayed as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcore.kernels import helper

__all__ = ["keep_what_came", "untouched_buffers"]

_BEFORE_S, _BEHIND_S = 0.001, 0.002
# Places in `kept`.
_AT, _SINCE, _LATENCY, _BEFORE, _WHOLE, _BEHIND = range(6)


def untouched_buffers(
    channels: int,
    frames: int,
    latency: int,
    sample_rate: float,
    joint_frames: int,
    *,
    resampled: bool,
) -> dict[str, np.ndarray[Any, Any]]:
    """Lay out what :func:`keep_what_came` needs.

    Parameters
    ----------
    channels, frames : int
        Of a hop of the stream.
    latency : int
        Frames by which the model's output is late.
    sample_rate : float
        Of the stream, in Hz.
    joint_frames : int
        Frames behind a loss that are the model's, for its own cross-fade.
    resampled : bool
        Whether the model has another rate, so that its output is smeared around a loss.

    Returns
    -------
    dict of str to ndarray
        ``came``: (channels, latency + frames); ``shares``: the model's share of each of these
        frames; ``kept``: see the places above.
    """
    before = min(round(_BEFORE_S * sample_rate), latency) if resampled else 0
    behind = round(_BEHIND_S * sample_rate) if resampled else 0
    kept = np.zeros(6, np.int64)
    kept[_SINCE] = joint_frames + behind + 1
    kept[_LATENCY], kept[_BEFORE], kept[_WHOLE], kept[_BEHIND] = (
        latency,
        before,
        joint_frames,
        behind,
    )
    return {
        "came": np.zeros((channels, latency + frames)),
        "shares": np.zeros(latency + frames),
        "kept": kept,
    }


@helper
def keep_what_came(x: Any, y: Any, lost: bool, came: Any, shares: Any, kept: Any) -> None:
    """Mix a hop of a model's output with the input that belongs to it.

    Parameters
    ----------
    x : array, shape (channels, frames)
        The input.
    y : array, shape (channels, frames)
        The model's output; in its place.
    lost : bool
        Whether the input never came.
    came, shares, kept : arrays
        See :func:`untouched_buffers`.
    """
    room = shares.size
    whole, behind = kept[_WHOLE], kept[_BEHIND]
    for i in range(x.shape[1]):
        at = (kept[_AT] + i) % room
        for c in range(x.shape[0]):
            came[c, at] = x[c, i]
        if lost:
            if kept[_SINCE] > 0:  # rise before the loss, in frames that are still held
                for d in range(1, kept[_BEFORE] + 1):
                    earlier = (at - d) % room
                    shares[earlier] = max(shares[earlier], 1.0 - d / (kept[_BEFORE] + 1.0))
            kept[_SINCE] = 0
            shares[at] = 1.0
        else:
            kept[_SINCE] = min(kept[_SINCE] + 1, whole + behind + 1)
            past = kept[_SINCE] - whole
            shares[at] = 1.0 if past <= 0 else max(0.0, 1.0 - past / (behind + 1.0))
    for i in range(x.shape[1]):
        at = (kept[_AT] + i - kept[_LATENCY]) % room
        share = shares[at]
        for c in range(x.shape[0]):
            if share == 0.0:
                y[c, i] = came[c, at]
            elif share < 1.0:
                y[c, i] = came[c, at] + share * (y[c, i] - came[c, at])
    kept[_AT] = (kept[_AT] + x.shape[1]) % room
