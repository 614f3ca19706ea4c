# SPDX-License-Identifier: MIT
"""How long an answer may be."""

from __future__ import annotations

import math
from pathlib import Path

from rtcore.challenges.cadenza.metadata import SAMPLE_RATE_HZ, SUBMISSION_RATE_HZ
from rtcore.errors import ConfigError

__all__ = ["check_length"]

#: NAL-R makes an answer longer by this many frames of the music's rate.
_NALR_FRAMES = 220
#: By how much more an answer may be longer or shorter, for what converters round.
_SLACK_S = 0.005


def check_length(path: Path, frames: int, mixture_frames: int) -> None:
    """Refuse an answer that is not as long as the music.

    Parameters
    ----------
    path : Path
        For the error.
    frames : int
        Of the answer, at 32 kHz.
    mixture_frames : int
        Of what it answers to, at 44.1 kHz.

    Raises
    ------
    ConfigError
        With what the music asks for.
    """
    ratio = SUBMISSION_RATE_HZ / SAMPLE_RATE_HZ
    slack = _SLACK_S * SUBMISSION_RATE_HZ
    shortest = math.floor(mixture_frames * ratio - slack)
    longest = math.ceil((mixture_frames + _NALR_FRAMES) * ratio + slack)
    if not shortest <= frames <= longest:
        what = f"has {frames} frames where the music asks for {shortest} to {longest}"
        raise ConfigError(str(path), f"{what}; make it again from the whole excerpt")
