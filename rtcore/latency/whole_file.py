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
_ALIKE = 1e-4


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
    ats = [p.at for p in positions]
    return Lookahead(
        samples=max(p.lookahead for p in positions if p.lookahead is not None),
        upper_samples=None,
        whole_file=True,
        # Half of what is before the change: no ordinary look-ahead reaches that far.
        cause=explain_whole_file(before, after, at // 2),
        noise_floor=noise_floor,
        positions=tuple(positions),
        scanned=(min(ats), max(ats)),
        gap_samples=max(ats) - min(ats),
        hop_samples=None,
        period_samples=0,
        runs=runs,
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
    clear = np.abs(a) > 0.05 * float(np.abs(a).max(initial=0.0))
    if clear.any() and np.isfinite(b[clear]).all():
        ratio = b[clear] / a[clear]
        factor = float(np.median(ratio))
        if float(np.abs(ratio - factor).max()) <= _ALIKE * abs(factor):
            kind = _normalisation(before, after)
            return f"{what}, by one factor ({factor:.6g}): {kind}"
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
