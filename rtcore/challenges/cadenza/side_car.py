# SPDX-License-Identifier: MIT
"""What is written beside a system's answers, so that their scores can say how they were made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rtcore.atomicfile import write_whole

__all__ = ["SIDE_CAR", "write_side_car"]

#: Its name, which no official file has.
SIDE_CAR = "rtcore-enhance.json"


def write_side_car(folder: Path, facts: Mapping[str, Any]) -> Path:
    """Write what answers were made of: chain, separator, fingerprint, whether ``--compat``.

    Parameters
    ----------
    folder : Path
        Of the answers.
    facts : mapping
        JSON-able; the version of rtcore is added.

    Raises
    ------
    RtcoreError
        Where it cannot be written.
    """
    from rtcore import __version__

    content = {"rtcore": __version__, **facts}
    text = json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"
    write_whole(folder / SIDE_CAR, text, "how the answers were made")
    return folder / SIDE_CAR
