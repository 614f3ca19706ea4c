# SPDX-License-Identifier: MIT
"""How fast the sender's clock runs, seen from the receiver: a loop that holds the buffer's depth.

The depth is how long a packet lies in the buffer before its turn.  Where the sender's clock is
fast the depth grows; the loop then takes more frames of the sender for each of the device.  It is
a second-order loop (proportional and integral, critically damped): its integral settles at the
drift between the clocks, and the depth comes back to its target without a lasting error.
"""

from __future__ import annotations

import statistics
from collections import deque

#: Natural frequency in rad/s: a drift of 200 ppm moves the depth by 0.5 ms while it settles.
NATURAL = 0.15
#: What the speed may be off by; 1000 ppm are less than two hundredths of a semitone.
MOST = 1e-3
#: While the depth is far off; 17 hundredths of a semitone.
MOST_FAR = 1e-2
FAR_S = 0.005
_WINDOW_S = 1.0
_NEAR_S = 0.001  # so near, or after so long, what is left of the error is drift
_SETTLED_S = 10.0


class RateLoop:
    """Holds a depth by the speed at which packets are played.

    Parameters
    ----------
    packet_s : float
        Duration of a packet.
    """

    def __init__(self, packet_s: float) -> None:
        self.drift = 0.0
        self.step = 1.0
        self._since_s = 0.0
        self._seen: deque[float] = deque(maxlen=max(3, round(_WINDOW_S / packet_s)))

    def see(self, depth_s: float) -> None:
        """Take the depth at which a packet has come, in seconds."""
        self._seen.append(depth_s)

    @property
    def depth_s(self) -> float | None:
        """The median depth of the last second; None before any packet."""
        return statistics.median(self._seen) if self._seen else None

    @property
    def lowest_s(self) -> float | None:
        """The least depth of the last second, where there is a second."""
        full = len(self._seen) == self._seen.maxlen
        return min(self._seen) if full else None

    def forget(self) -> None:
        """Begin with a new stream; what is known of the clocks is kept."""
        self._seen.clear()
        self._since_s = 0.0
        self.step = 1.0 + self.drift

    def turn(self, target_s: float, elapsed_s: float) -> float:
        """Choose the speed.

        Parameters
        ----------
        target_s : float
            The depth that is wanted.
        elapsed_s : float
            Since the last turn.

        Returns
        -------
        float
            Packet frames for each of the device's, near 1.
        """
        depth_s = self.depth_s
        if depth_s is None or self.lowest_s is None:
            return self.step
        error_s = depth_s - target_s
        self._since_s += elapsed_s
        far = abs(error_s) > FAR_S
        most = MOST_FAR if far else MOST
        settled = abs(error_s) < _NEAR_S or self._since_s > _SETTLED_S
        if settled and not far:  # else the integral would wind up on the way to the target
            self.drift += NATURAL * NATURAL * error_s * elapsed_s
            self.drift = min(max(self.drift, -MOST), MOST)
        wanted = self.drift + 2.0 * NATURAL * error_s
        self.step = 1.0 + min(max(wanted, -most), most)
        return self.step
