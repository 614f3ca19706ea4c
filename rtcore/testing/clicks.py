# SPDX-License-Identifier: MIT
"""The promise that a live parameter can be turned without a click."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rtcore.testing.case import Case, Sound

_TONE_HZ = 200.0
_HOLD_S = 0.1313  # no whole number of periods, so that the jumps come at different phases
_JUMPS = 6
# A ramp of 1 ms moves by 2 % of its way from one sample to the next at 48 kHz.
_SHARE = 0.02


def clicks(case: Case) -> Iterator[str]:
    """Move without a click when a live parameter jumps from one bound to the other.

    A tone plays while each parameter jumps. From one sample to the next the output may move
    half as much again as it does while the parameters rest, and by 2 % of the peak for the ramp.
    """
    for level in (0.05, 0.7):
        for name, (low, high) in case.bounds().items():
            worst, allowed = _steps(case, name, (low, high), level)
            if worst > allowed:
                yield (
                    f"clicks when {name} jumps between {low:g} and {high:g}: the output moves by "
                    f"{worst:.3g} from one sample to the next, expected {allowed:.3g} at most; "
                    "give the parameter smoothing_s"
                )
                break


def _steps(case: Case, name: str, ends: tuple[Any, Any], level: float) -> tuple[float, float]:
    """Give the largest step of the output, and the largest allowed one."""
    chain = case.chain(**{name: ends[0]})
    hold = round(_HOLD_S * case.sample_rate)
    tone = _tone(case, level, (_JUMPS + 2) * hold)
    played = [chain.process(tone[:, : 2 * hold])]
    for jump in range(_JUMPS):
        chain.update(0, **{name: ends[(jump + 1) % 2]})
        played.append(chain.process(tone[:, (jump + 2) * hold : (jump + 3) * hold]))
    sound = np.concatenate(played, axis=1)[:, hold:].astype(np.float64)  # without the tone's onset
    steps = np.abs(np.diff(sound, axis=1))
    rest = [s[:, -hold // 4 : -2].max() for s in np.array_split(steps, _JUMPS + 1, axis=1)]
    return float(steps.max()), float(1.5 * max(rest) + _SHARE * np.abs(sound).max())


def _tone(case: Case, level: float, frames: int) -> Sound:
    wave = level * np.sin(2.0 * np.pi * _TONE_HZ / case.sample_rate * np.arange(frames))
    return np.tile(wave, (case.channels, 1)).astype(case.dtype)
