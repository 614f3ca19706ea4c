# SPDX-License-Identifier: MIT
"""What the network refines, made by the same compiled code that plays."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcore import helper
from rtcore.dsp import foresee, foresight_memory


@helper
def _all(x: Any, lost: Any, now: Any, ahead: Any, hop: int, out: Any) -> None:
    """Write the two pieces of every hop."""
    for k in range(lost.size):
        piece = x[k * hop : (k + 1) * hop]
        foresee(piece, lost[k], out[k, :hop], out[k, hop:], now, ahead)


def extrapolated(x: np.ndarray, lost: np.ndarray, rate_hz: int, hop: int) -> np.ndarray:
    """Give each hop as it is known, and the guess of the one behind it.

    Parameters
    ----------
    x : ndarray, shape (hops * hop,)
        The sound.
    lost : ndarray of bool, shape (hops,)
        Which hops never come.
    rate_hz, hop : int
        Sample rate, and samples of a hop.

    Returns
    -------
    ndarray of float32, shape (hops, 2 * hop)
    """
    now, ahead = foresight_memory(rate_hz)
    out = np.zeros((lost.size, 2 * hop), np.float32)
    _all(np.ascontiguousarray(x, np.float32), lost, now, ahead, hop, out)
    return out
