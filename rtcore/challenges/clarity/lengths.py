# SPDX-License-Identifier: MIT
"""How long an output may be."""

from __future__ import annotations

from pathlib import Path

from rtcore.errors import AudioFileError

__all__ = ["check_length"]

#: By how much it may be longer than its scene: tails of filters, and no more.
_LONGER_S = 0.1
#: By how much shorter: what converters of rates round.
_SHORTER_S = 1.0 / 32000


def check_length(path: Path, output_s: float, scene_s: float) -> None:
    """Refuse an output that is not as long as its scene.

    Parameters
    ----------
    path : Path
        For the error.
    output_s, scene_s : float
        How long they last, in s.

    Raises
    ------
    AudioFileError
        With both lengths.
    """
    if not scene_s - _SHORTER_S <= output_s <= scene_s + _LONGER_S:
        what = f"lasts {output_s:.3f} s, and its scene {scene_s:.3f} s"
        remedy = "an output is as long, or longer by a filter's tail, so make it again"
        raise AudioFileError(f"{path}: {what}; {remedy}")
