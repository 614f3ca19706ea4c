# SPDX-License-Identifier: MIT
"""Systems that use the whole file: how they are told, and what they do, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtcore.latency.difference import Sound
from rtcore.latency.result import Lookahead, Position

#: Where in a sound, as a share of it, a change lies that must not show at its start.
LATE = 0.94
#: The sounds that show best what makes a whole file change: their output is never silent.
PLAINEST = "noise"
_NEAR_START = 0.02
_PLACES = 2  # that must look ahead, to tell how the look-ahead grows
_ALIKE = 1e-4
_STEP = 1.0 / 32768  # of 16-bit samples
_QUIETEST_PEAK = 0.05  # of sounds whose rounding to 16 bits is small beside them


def late_position(frames: int) -> int:
    """Give the position of the change that must not show at the start of a sound."""
    return round(LATE * frames)


def shows_at_start(position: Position, sounds_from: int, frames: int) -> bool:
    """Say whether a change shows as soon as there is any sound in the output.

    Parameters
    ----------
    position : Position
        The experiment.
    sounds_from : int
        First frame of the output for the base that is not silent.
    frames : int
        Length of the sound.
    """
    begin = 0 if sounds_from > position.at else sounds_from
    return position.first is not None and position.first <= begin + _NEAR_START * frames


def depends_on_all(
    before: Sound,
    after: Sound,
    at: int,
    *,
    positions: Sequence[Position],
    noise_floor: float,
    runs: int,
) -> Lookahead:
    """Sum up experiments in which the end of the input changes the start of the output.

    Parameters
    ----------
    before, after : ndarray
        (channels, frames): outputs for inputs that differ from frame `at` on only.
    at : int
        That frame.
    positions, noise_floor, runs
        As in :class:`~rtcore.latency.result.Lookahead`.
    """
    # Half of what is before the change: no ordinary look-ahead reaches that far.
    cause = explain_whole_file(before, after, at // 2)
    return whole_file(cause, positions=positions, noise_floor=noise_floor, runs=runs)


def whole_file(
    cause: str, *, positions: Sequence[Position], noise_floor: float, runs: int
) -> Lookahead:
    """Sum up that no number is the look-ahead, because of `cause`."""
    ats = [p.at for p in positions]
    return Lookahead(
        samples=max(p.lookahead for p in positions if p.lookahead is not None),
        upper_samples=None,
        whole_file=True,
        cause=cause,
        noise_floor=noise_floor,
        positions=tuple(positions),
        scanned=(min(ats), max(ats)),
        gap_samples=max(ats) - min(ats),
        hop_samples=None,
        period_samples=0,
        runs=runs,
    )


def grows(near: Sequence[Position], frames: int, far: Sequence[Position], times: int) -> str:
    """Say in words that the look-ahead grows with the length of the sound; empty if it does not.

    Parameters
    ----------
    near, far : sequence of Position
        Experiments with one pair of sounds, at the same places of a short and of a long sound.
    frames : int
        Length of the short one.
    times : int
        How much longer the other one is.
    """
    ahead = [
        (a.lookahead, b.lookahead)
        for a, b in zip(near, far, strict=True)
        if a.lookahead is not None and b.lookahead is not None and a.lookahead > 0
    ]
    if len(ahead) < _PLACES or max(a for a, _ in ahead) < _NEAR_START * frames:
        return ""
    if not all(abs(b - times * a) <= times * (4 + _NEAR_START * a) for a, b in ahead):
        return ""
    a, b = max(ahead)
    return (
        f"the look-ahead grows with the length of the sound ({a} samples of {frames}, {b} of "
        f"{times * frames}): the whole file is divided into parts, or used as a whole"
    )


def explain_whole_file(before: Sound, after: Sound, at: int) -> str:
    """Say in words what made an output change from its start on.

    Parameters
    ----------
    before, after : ndarray
        (channels, frames): outputs for inputs that differ from frame `at` on only.
    at : int
        Frames that are compared.
    """
    what = "the start of the output changes with the end of the input"
    a, b = before[:, :at], after[:, :at]
    factor = _factor(a, b)
    if factor is not None:
        kind = _normalisation(before, after)
        told = f"{factor:.6g}" if abs(factor - 1.0) > _ALIKE else f"1 {factor - 1.0:+.2g}"
        return f"{what}, by one factor ({told}): {kind}"
    step = b - a
    offset = float(step.mean())
    alike = float(np.ptp(step)) <= _ALIKE * float(np.abs(step).max(initial=0.0))
    if alike and abs(offset) > _ALIKE**2 * float(np.abs(a).max(initial=0.0)):
        means = np.abs((before.mean(axis=1), after.mean(axis=1)))
        kind = "mean is removed" if float(means.max()) <= _ALIKE * abs(offset) else "offset changes"
        return f"{what}, by one constant ({offset:.3g}): the whole file's {kind}"
    return (
        f"{what}: something is computed from the whole file (a normalisation, a network that "
        "sees all of it), or from a stretch longer than the sounds of this test"
    )


def _factor(a: Sound, b: Sound) -> float | None:
    """Give the factor, other than 1, by which all of one sound is another; None where none is."""
    size = np.abs(a)
    peak = float(size.max(initial=0.0))
    clear = size > 0.05 * peak
    if not clear.any() or not np.isfinite(b[clear]).all():
        return None
    factor = float(np.median(b[clear] / a[clear]))
    change = abs(factor - 1.0)
    # Each of the sounds may have been rounded to 16 bits.
    rounded = 0.51 * _STEP * (1.0 + abs(factor)) if peak > _QUIETEST_PEAK else 0.0
    rounded = rounded if change * peak > 4.0 * rounded else 0.0
    alike = min(_ALIKE * abs(factor), 0.01 * change)
    off = np.abs(b[clear] - factor * a[clear]) - alike * size[clear]
    return factor if change > 0.0 and float(off.max()) <= rounded else None


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
