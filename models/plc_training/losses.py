# SPDX-License-Identifier: MIT
"""Which hops are lost, drawn for training: single packets, Gilbert models, and long bursts."""

from __future__ import annotations

import numpy as np

HOP_MS = 10


def draw_losses(hops: int, rng: np.random.Generator, seldom: float = 0.5) -> np.ndarray:
    """Draw a trace.

    Parameters
    ----------
    hops : int
        Of 10 ms each.
    rng : Generator
        Decides.
    seldom : float
        Share of the clips that lose little.

    Returns
    -------
    ndarray of bool, shape (hops,)
        The first tenth of a second is never lost.
    """
    packet = 2 if rng.random() < 0.85 else 1
    packets = -(-hops // packet)
    lost = np.zeros(packets, bool)
    # Little is 3 to 20 %, in mean bursts of 1 to 4 packets; the others lose 5 to 60 %, of 1 to 7.
    little = rng.random() < seldom
    stay = 1.0 - 1.0 / rng.uniform(1.05, 4.0 if little else 7.0)
    rate = rng.uniform(0.03, 0.2) if little else rng.uniform(0.05, 0.6)
    enter = min(1.0, rate / (1.0 - rate) * (1.0 - stay))
    state = False
    for k in range(packets):
        state = rng.random() < (stay if state else enter)
        lost[k] = state
    if not little and rng.random() < 0.4:
        burst = int(rng.uniform(0.12, 1.0) * 1000 / HOP_MS / packet)
        start = int(rng.integers(0, max(1, packets - burst)))
        lost[start : start + burst] = True
        lost[start + burst : start + burst + 5] = False
    trace = np.repeat(lost, packet)[:hops]
    trace[:10] = False
    return trace
