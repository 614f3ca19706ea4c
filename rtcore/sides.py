# SPDX-License-Identifier: MIT
"""Side inputs: vectors that are fed to a plugin while it plays, beside the sound.

Features of a video, a reference, the embedding of a speaker: each vector holds from a frame of the
stream on, until the next one does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtcore.errors import PluginError, StreamError

__all__ = ["SideInput", "frames_of", "vectors_of"]

MAX_WIDTH = 65536
_LAST_FRAME = 1 << 60
_TINY = np.finfo(np.float32).tiny


@dataclass(frozen=True)
class SideInput:
    """What a plugin declares of one side input.

    Parameters
    ----------
    width : int
        Numbers in a vector, 1 to 65536; they are kept as float32.
    initial : float or sequence of float
        What holds until the first vector comes: one number for all, or ``width`` of them.
    rate_hz : float, optional
        Vectors in a second, for those that are fed together.
    lateness_s : float, optional
        How much later than at its frame a vector may come and still be used; any time if None.
    doc : str
        What it is.

    Raises
    ------
    PluginError
        Where one of these cannot be.

    Examples
    --------
    >>> side_inputs = {"lips": SideInput(20, rate_hz=25.0)}
    """

    width: int
    initial: float | Sequence[float] = 0.0
    rate_hz: float | None = None
    lateness_s: float | None = None
    doc: str = ""

    def __post_init__(self) -> None:
        """Check all of it."""
        whole = isinstance(self.width, int) and not isinstance(self.width, bool)
        if not whole or not 1 <= self.width <= MAX_WIDTH:
            msg = f"side input: width must be a whole number from 1 to {MAX_WIDTH}, got "
            raise PluginError(f"{msg}{self.width!r}")
        if not isinstance(self.initial, (int, float)):
            object.__setattr__(self, "initial", tuple(self.initial))  # so that two can be compared
        try:
            good = bool(np.isfinite(self.first()).all())
        except (TypeError, ValueError):
            good = False
        if not good:
            msg = f"side input: initial must be one finite number or {self.width} of them, got "
            raise PluginError(f"{msg}{self.initial!r}")
        for key, least in (("rate_hz", 0.0), ("lateness_s", -1.0)):
            value = getattr(self, key)
            if value is not None and not (_number(value) and least < value < math.inf):
                msg = f"side input: {key} must be None or a number of at least 0, got {value!r}"
                raise PluginError(msg)

    def first(self) -> np.ndarray[Any, Any]:
        """Give the initial vector."""
        initial = np.asarray(self.initial, np.float32)
        return np.ascontiguousarray(np.broadcast_to(initial, (self.width,)))


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def vectors_of(name: str, width: int, given: Any) -> np.ndarray[Any, Any]:
    """Bring what is fed to float32 of shape (vectors, width).

    Parameters
    ----------
    name : str
        Of the side input, for the sentence.
    width : int
        Numbers in a vector.
    given : array
        (width,) or (vectors, width); (vectors,) where the width is 1.

    Raises
    ------
    StreamError
        Where the shape or the type is wrong, or a number is not finite.
    """
    array = np.asarray(given)
    if array.dtype.kind not in "fiub":
        msg = f"side input '{name}' takes numbers, got {array.dtype}; feed an array of float32"
        raise StreamError(msg)
    shape = array.shape
    if array.ndim < 2:
        array = array.reshape(-1, 1) if width == 1 else array.reshape(1, -1)
    if array.ndim != 2 or array.shape[1] != width:
        msg = (
            f"side input '{name}' takes vectors of {width} numbers, got an array of shape {shape}; "
            f"feed one of shape ({width},) or (vectors, {width})"
        )
        raise StreamError(msg)
    with np.errstate(over="ignore"):
        vectors = np.array(array, np.float32, order="C")  # the caller may change theirs
    vectors[np.abs(vectors) < _TINY] = 0.0  # as for sound: nothing subnormal comes in
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        msg = (
            f"side input '{name}': vector {int(np.argmax(bad))} holds a number that is not finite; "
            "feed the vector before it again, or none"
        )
        raise StreamError(msg)
    return vectors


def frames_of(
    name: str, count: int, at_frame: Any, rate_hz: float | None, sample_rate: float
) -> np.ndarray[Any, Any]:
    """Give the frame from which each vector holds; -1 for the next that is played.

    Parameters
    ----------
    name : str
        Of the side input, for the sentence.
    count : int
        Vectors.
    at_frame : int, array of int or None
        Of the first vector, or of each.
    rate_hz : float or None
        Vectors in a second: vector k holds ``round(k * sample_rate / rate_hz)`` frames after the
        first.
    sample_rate : float
        In Hz.

    Raises
    ------
    StreamError
        Where that does not say it, or the frames go back.
    """
    if at_frame is None:
        if count > 1:
            msg = (
                f"side input '{name}': {count} vectors need the frame of the first of them; give "
                "at_frame"
            )
            raise StreamError(msg)
        return np.full(count, -1, np.int64)
    frames = np.asarray(at_frame)
    if frames.ndim == 0 and count > 1:
        if rate_hz is None or not (_number(rate_hz) and 0.0 < rate_hz < math.inf):
            msg = (
                f"side input '{name}': {count} vectors need their rate, got {rate_hz!r}; give "
                "rate_hz, or at_frame for each"
            )
            raise StreamError(msg)
        steps = np.floor(np.arange(count) * (sample_rate / rate_hz) + 0.5)
        frames = frames + steps.astype(np.int64)
    frames = frames.reshape(-1)
    good = frames.dtype.kind in "iu" and frames.shape == (count,)
    if not good or (count and (frames.min() < 0 or frames.max() > _LAST_FRAME)):
        msg = (
            f"side input '{name}': at_frame must be a whole number from 0 on, or {count} of them, "
            f"got {at_frame!r}"
        )
        raise StreamError(msg)
    frames = frames.astype(np.int64)
    if (np.diff(frames) < 0).any():
        raise StreamError(f"side input '{name}': the frames go back; feed vectors in their order")
    return frames
