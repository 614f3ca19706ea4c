# SPDX-License-Identifier: MIT
"""Know a sound one hop ahead: what a network refines that conceals lost packets.

Of each hop two pieces are made: the hop as it is known (what came, or the classical substitute of
:mod:`rtcore.dsp.concealment` where it never came) and a guess of the one behind it.  A network
that turns both into better sound before it is known whether the next hop will come needs no
look-ahead to join them: where the next hop is lost its guess is there already.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtcore.dsp.concealment import (
    ConcealmentTuning,
    conceal,
    concealment_memory,
    rejoin,
    remember,
)
from rtcore.kernels import helper

__all__ = ["FORESIGHT", "foresee", "foresight_memory"]

#: The substitute dies away later than where it is heard alone: the network decides.
FORESIGHT = ConcealmentTuning(hold_ms=250.0, end_ms=700.0, steepest_db_per_ms=0.15)


def foresight_memory(
    sample_rate: float, channels: int = 1, tuning: ConcealmentTuning = FORESIGHT
) -> np.ndarray[Any, Any]:
    """Make the memories of some channels, as they are before the first sample.

    Parameters
    ----------
    sample_rate : float
        In Hz.
    channels : int
        Channels.
    tuning : ConcealmentTuning
        Of the classical substitute.

    Returns
    -------
    ndarray of float64, shape (2 * channels, size)
        Two rows a channel: the sound as it is known, and one hop ahead.
    """
    return concealment_memory(sample_rate, 2 * channels, tuning)


@helper
def foresee(x: Any, lost: bool, known: Any, coming: Any, now: Any, ahead: Any) -> None:
    """Take in a hop, and write what is known of it and of the next one.

    Parameters
    ----------
    x : ndarray, shape (hop,)
        The hop; not looked at where it is lost.
    lost : bool
        Whether it never came.
    known, coming : ndarray, shape (hop,)
        Overwritten: the hop, and the guess of the next one.
    now, ahead : ndarray of float64, shape (size,)
        Rows of :func:`foresight_memory`.
    """
    hop = x.size
    if lost:
        conceal(now, known, hop)
    else:
        for i in range(hop):
            known[i] = x[i]
        rejoin(now, known, hop)
        remember(now, known, hop)
        for i in range(now.size):
            ahead[i] = now[i]
    conceal(ahead, coming, hop)
