# SPDX-License-Identifier: MIT
"""Where two outputs part, and what that says of a system that parts at the very start."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

Sound = np.ndarray[Any, np.dtype[Any]]

#: Differences within this many noise floors are noise: Gaussian noise exceeds it once in 1e11.
NOISE_MARGIN = 1.5
_ALIKE = 1e-4


def first_difference(a: Sound, b: Sound, threshold: float = 0.0) -> int | None:
    """Find the first frame in which two outputs differ.

    Parameters
    ----------
    a, b : ndarray
        (channels, frames). NaN equals NaN and differs from every number.
    threshold : float
        Differences up to this are none.

    Returns
    -------
    int or None
        None where they never differ.
    """
    if threshold > 0.0:
        differs = ~(np.abs(a - b) <= threshold)
    else:
        differs = a != b
    if differs.any() and np.isnan(a).any():
        differs &= ~(np.isnan(a) & np.isnan(b))
    frames = differs.any(axis=0)
    at = int(frames.argmax())
    return at if frames[at] else None


def noise_floor(outputs: Sequence[Sound]) -> float:
    """Give the largest difference between outputs for one and the same input."""
    largest = 0.0
    for a, b in itertools.combinations(outputs, 2):
        if first_difference(a, b) is not None:
            largest = max(largest, float(np.nanmax(np.abs(a - b), initial=0.0)))
    return largest


def level_db(part: float, whole: Sound) -> float:
    """Give a difference in dB re the largest sample of an output."""
    peak = float(np.nanmax(np.abs(whole), initial=0.0))
    return 20.0 * float(np.log10(max(part, 1e-30) / max(peak, 1e-30)))


def first_sound(y: Sound) -> int:
    """Give the first frame that is not silent, or the number of frames."""
    heard = (y != 0.0).any(axis=0)
    return int(heard.argmax()) if heard.any() else y.shape[1]


def explain_whole_file(before: Sound, after: Sound, at: int) -> str:
    """Say in words what made an output change from its start on.

    Parameters
    ----------
    before, after : ndarray
        (channels, frames): outputs for inputs that differ from frame `at` on only.
    at : int
        That frame.
    """
    what = "the start of the output changes with the end of the input"
    a, b = before[:, :at], after[:, :at]
    clear = np.abs(a) > 0.05 * float(np.abs(a).max(initial=0.0))
    if clear.any() and np.isfinite(b[clear]).all():
        ratio = b[clear] / a[clear]
        factor = float(np.median(ratio))
        if float(np.abs(ratio - factor).max()) <= _ALIKE * abs(factor):
            kind = _normalisation(before, after)
            return f"{what}, by one factor ({factor:.3g}): {kind}"
    step = b - a
    if float(np.ptp(step)) <= _ALIKE * float(np.abs(step).max(initial=0.0)):
        return (
            f"{what}, by one constant ({float(step.mean()):.3g}): the whole file's mean is removed"
        )
    return (
        f"{what}: something is computed from the whole file (a normalisation, a network that "
        "sees all of it), or from a stretch longer than the sounds of this test"
    )


def _normalisation(before: Sound, after: Sound) -> str:
    """Name what stays the same when a whole file is scaled."""
    measures = {
        "peak": lambda y: float(np.abs(y).max()),
        "RMS level": lambda y: float(np.sqrt(np.mean(np.square(y)))),
    }
    for name, measure in measures.items():
        a, b = measure(before), measure(after)
        if abs(a - b) <= _ALIKE * a:
            return f"the whole file is normalised to its {name}"
    return "the whole file is normalised, to its loudness or another level"
