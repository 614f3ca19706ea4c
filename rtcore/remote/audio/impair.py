# SPDX-License-Identifier: MIT
"""A bad network made on purpose: packets that are lost or held back, the same ones each time.

What becomes of a packet depends only on its number and the seed, not on when it came.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

from rtcore.errors import StreamError
from rtcore.remote.audio.packets import Packet

_LONGEST_S = 2.0


class Impairment:
    """Loses packets and holds them back.

    Parameters
    ----------
    lost : array of bool, optional
        Which packets are lost, by their number; it begins anew at its end.
    jitter_s : float
        Each packet is held back for up to so long, evenly distributed.
    seed : int
        Of the jitter.

    Raises
    ------
    StreamError
        Where there is no packet in `lost`, or `jitter_s` is not between 0 and 2 s.
    """

    def __init__(self, lost: Any = None, *, jitter_s: float = 0.0, seed: int = 0) -> None:
        self.lost = np.zeros(1, bool) if lost is None else np.asarray(lost, bool).reshape(-1)
        if not self.lost.size:
            msg = "a trace of losses holds no packets; give one line for each"
            raise StreamError(msg)
        if not 0.0 <= jitter_s <= _LONGEST_S:
            what = f"the jitter must lie between 0 and 2000 ms, got {1e3 * jitter_s:g} ms"
            raise StreamError(f"{what}; give the longest delay of a packet")
        self.jitter_s = jitter_s
        self.seed = seed
        self.dropped = 0
        self._held: list[tuple[int, int, int, Packet]] = []
        self._count = 0

    def drops(self, sequence: int) -> bool:
        """Say whether a packet is lost."""
        return bool(self.lost[sequence % self.lost.size])

    def delay_s(self, sequence: int) -> float:
        """Say for how long a packet is held back."""
        if self.jitter_s == 0.0:
            return 0.0
        return self.jitter_s * float(np.random.default_rng((self.seed, sequence)).random())

    def put(self, packet: Packet, arrival_ns: int) -> None:
        """Take a packet that has come."""
        if self.drops(packet.sequence):
            self.dropped += 1
            return
        due_ns = arrival_ns + round(1e9 * self.delay_s(packet.sequence))
        self._count += 1
        heapq.heappush(self._held, (due_ns, self._count, arrival_ns, packet))

    def due(self, now_ns: int) -> list[tuple[Packet, int]]:
        """Give the packets that are held back no longer, each with the moment it seems to come."""
        out = []
        while self._held and self._held[0][0] <= now_ns:
            due_ns, _, _, packet = heapq.heappop(self._held)
            out.append((packet, max(due_ns, 0)))
        return out

    def wait_s(self, now_ns: int, longest_s: float) -> float:
        """Say how long nothing is due."""
        if not self._held:
            return longest_s
        return min(max((self._held[0][0] - now_ns) * 1e-9, 0.0), longest_s)
