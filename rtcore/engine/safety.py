# SPDX-License-Identifier: MIT
"""Ears first: what stands between any chain and the listener, and cannot be swapped out.

NAL-R gives listeners of the Clarity challenges up to 39 dB (N7 gets 57), and the official CEC2
chain turns a -26 dBFS tone at 2 kHz into +11 dB re full scale at its onset.  So live output ends
in a limiter without delay, a volume that fades in over a second, and a watch for howling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rtcore.engine.records import SAFETY
from rtcore.hearing.calibration import Calibration

CEILING_DB_SPL = 100.0
UNCALIBRATED_CEILING_DBFS = -12.0
FADE_IN_S = 1.0
RELEASE_S = 0.1
PRESS_HOLD_S = 0.02
PANIC_S = 0.005
SAME_MACHINE_DB = -30.0

REASON = (
    "live output is limited to {ceiling}: hearing-aid gain can exceed 39 dB, and a chain or a "
    "mistake can be far too loud; --unsafe lifts the limit"
)


@dataclass(frozen=True)
class Safety:
    """Settings of the last stage.

    Parameters
    ----------
    enabled : bool
        False for ``--unsafe`` and for the timer and file backends.
    calibration : Calibration
        Of the output; the ceiling is 100 dB SPL where it was measured, -12 dBFS until then.
    start_db : float
        Volume to begin with; -30 dB where microphone and loudspeaker share a machine.
    """

    enabled: bool = True
    calibration: Calibration = field(default_factory=Calibration)
    start_db: float = 0.0

    @property
    def ceiling(self) -> float:
        """Greatest sample that goes out, as an amplitude."""
        if not self.calibration.measured:
            return float(10.0 ** (UNCALIBRATED_CEILING_DBFS / 20.0))
        # No waveform whose peak is the RMS of 100 dB SPL can be louder than that.
        return float(self.calibration.rms_for_db_spl(CEILING_DB_SPL))

    def describe(self) -> str:
        """Say the reason in one sentence, for the user."""
        ceiling = f"{UNCALIBRATED_CEILING_DBFS:g} dBFS (uncalibrated)"
        if self.calibration.measured:
            ceiling = f"{CEILING_DB_SPL:g} dB SPL"
        return REASON.format(ceiling=ceiling)

    def record(self, sample_rate: float, real: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """Make the record for compiled code."""
        record = np.zeros(1, SAFETY)
        record["enabled"] = int(self.enabled)
        record["ceiling"] = float(np.nextafter(real.type(self.ceiling), real.type(0)))
        record["gain"] = 1.0
        record["release"] = 1.0 - math.exp(-1.0 / (RELEASE_S * sample_rate))
        record["press_hold"] = round(PRESS_HOLD_S * sample_rate)
        record["volume"] = 0.0
        record["volume_target"] = 10.0 ** (self.start_db / 20.0)
        record["volume_step"] = 1.0 / (FADE_IN_S * sample_rate)
        return record


class HowlWatch:
    """Suspects feedback where sound pressed against the ceiling for most of the last half second.

    Speech and music reach the ceiling in peaks and leave it between syllables and beats; a howl
    stays there.  (The limiter's own work is no measure: after one peak its gain takes most of a
    second to come all the way back.)
    """

    WINDOW_S = 0.5
    SHARE = 0.8

    def __init__(self) -> None:
        self._seen: list[tuple[int, int]] = []

    def howls(self, frames: int, pressed_frames: int, sample_rate: float) -> bool:
        """Take the counters as they stand now; say whether there is a howl."""
        self._seen.append((frames, pressed_frames))
        window = self.WINDOW_S * sample_rate
        while len(self._seen) > 2 and frames - self._seen[1][0] >= window:
            self._seen.pop(0)
        first_frames, first_pressed = self._seen[0]
        span = frames - first_frames
        return span >= window and (pressed_frames - first_pressed) > self.SHARE * span
