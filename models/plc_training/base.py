# SPDX-License-Identifier: MIT
"""What the network refines, made by the same compiled code that plays."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcore import helper
from rtcore.dsp import backcast, foresee, foresight_memory
from rtcore.onnx.patches import hindsight_order


@helper
def _all(x: Any, lost: Any, now: Any, ahead: Any, hop: int, out: Any) -> None:
    """Write the two pieces of every hop."""
    for k in range(lost.size):
        piece = x[k * hop : (k + 1) * hop]
        foresee(piece, lost[k], out[k, :hop], out[k, hop:], now, ahead)


@helper
def _behind(x: Any, lost: Any, hop: int, order: int, out: Any, scratch: Any) -> None:
    """Write the backcasts of hops behind losses."""
    for k in range(1, lost.size):
        if lost[k - 1] and not lost[k]:
            backcast(x[k * hop : (k + 1) * hop], order, out[k], scratch)


def backcasts(x: np.ndarray, lost: np.ndarray, hop: int, samples: int) -> np.ndarray:
    """Give what each hop that came behind a loss tells of the samples before it.

    Parameters
    ----------
    x : ndarray, shape (hops * hop,)
        The sound.
    lost : ndarray of bool, shape (hops,)
        Which hops never come.
    hop, samples : int
        Samples of a hop, and of the piece before it.

    Returns
    -------
    ndarray of float32, shape (hops, samples)
        Zeros for all other hops.
    """
    order = hindsight_order(hop)
    out, scratch = np.zeros((lost.size, samples), np.float32), np.zeros((3, 2 * hop))
    _behind(np.ascontiguousarray(x, np.float32), lost, hop, order, out, scratch)
    return out


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


def gaps(x: np.ndarray, lost: np.ndarray, rate_hz: int, hop: int) -> np.ndarray:
    """Give each hop as it came, with silence where it did not and for the one behind it.

    For networks that are to do without the guess; see :func:`extrapolated`.
    """
    del rate_hz
    out = np.zeros((lost.size, 2 * hop), np.float32)
    out[:, :hop] = np.where(lost[:, None], 0.0, x.reshape(lost.size, hop))
    return out
