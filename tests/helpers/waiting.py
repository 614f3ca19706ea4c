# SPDX-License-Identifier: MIT
"""Wait for what must come true, instead of for a time: a busy machine is no mistake of the code."""

from __future__ import annotations

import time

PATIENCE_S = 300.0


def reaches(condition, patience_s=PATIENCE_S, turn_s=0.01):
    """Wait until a condition holds, however busy the machine is; say whether it does."""
    end = time.monotonic() + patience_s
    while not condition() and time.monotonic() < end:
        time.sleep(turn_s)
    return bool(condition())
