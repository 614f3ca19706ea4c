# SPDX-License-Identifier: MIT
"""The jitter buffer: when a stream begins, how deep it lies, and when it must begin anew.

The packets themselves lie in the engine's :class:`~rtcore.engine.inlet.Inlet`; here the receiving
thread decides about time.  Latency cannot grow without bound: packets are played by the clock and
not by their arrival, one that comes after its turn is dropped, and where packets lie too deep for
a second, or come too late for several in a row, the stream begins anew at its target depth.
"""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from rtcore.engine.inlet import FAR, LATE, TWICE, Inlet
from rtcore.errors import StreamError
from rtcore.remote.audio.drift import RateLoop
from rtcore.remote.audio.packets import Format, Packet

TURN_S = 0.1
#: So much deeper than the target for a second, and the stream begins anew.
DEEP_S = 0.1
_VERY_DEEP_S = 0.5  # and at once
_LATE_S = 0.2  # nothing but late packets for so long: begin anew
_GONE_S = 2.0
_HISTORY_S = 10.0
_QUANTILE = 0.995
_SPARE_S = 0.003
_LEAST_S = 0.005
_SETTLE_S = 2.0
_JITTER_GAIN = 1.0 / 16.0  # RFC 3550


@dataclass(frozen=True)
class Depth:
    """How deep packets shall lie.

    Parameters
    ----------
    target_s : float
        Fixed, or to begin with.
    adaptive : bool
        Whether it follows the jitter.
    most_s : float
        An adaptive depth goes no further.

    Raises
    ------
    StreamError
        Where a depth is not between 1 and 2000 ms.
    """

    target_s: float = 0.04
    adaptive: bool = False
    most_s: float = 0.5

    def __post_init__(self) -> None:
        for depth_s in (self.target_s, self.most_s):
            if not 0.001 <= depth_s <= 2.0:
                what = f"the depth must lie between 1 and 2000 ms, got {1e3 * depth_s:g} ms"
                raise StreamError(f"{what}; 40 ms suit a local network")


class JitterBuffer:
    """Brings packets to their places in time.

    Parameters
    ----------
    inlet : Inlet
        Where they are played.
    form : Format
        That of the packets.
    depth : Depth
        How deep they shall lie.
    """

    def __init__(self, inlet: Inlet, form: Format, depth: Depth) -> None:
        self.inlet = inlet
        self.form = form
        self.depth = depth
        self.target_s = depth.target_s
        self.rate = RateLoop(form.seconds)
        self.received = self.late = self.twice = self.restarts = 0
        self.jitter_s = 0.0
        self.first_packet = self._origin = 0
        self._stream: int | None = None
        self._began = 0.0
        self._last_ns = 0
        self._last_turn = time.monotonic()
        self._timely_ns = 0
        self._transit: float | None = None
        self._delays: deque[float] = deque(maxlen=round(_HISTORY_S / form.seconds))
        self._band: list[float] | None = None

    def take(self, packet: Packet, arrival_ns: int) -> None:
        """Put a packet where it belongs.

        Parameters
        ----------
        packet : Packet
            Of the buffer's format.
        arrival_ns : int
            When it came, in monotonic time.
        """
        self.received += 1
        self._last_ns = arrival_ns
        if packet.stream != self._stream:
            self._stream = packet.stream
            self._begin(packet.sequence, arrival_ns)
        self._measure(packet, arrival_ns)
        captured_ns = packet.captured_ns - time.time_ns() + time.monotonic_ns()
        done = self.inlet.put(packet.sequence, captured_ns, packet.samples)
        margin = self.inlet.margin_frames(packet.sequence, arrival_ns)
        if margin is None:
            self._move_start(arrival_ns)
        else:
            self.rate.see(margin / self.form.sample_rate)
        self.twice += int(done == TWICE)
        self.late += int(done == LATE)
        if done != LATE:
            self._timely_ns = arrival_ns
        if self._hopeless(done, margin, arrival_ns):
            self._begin(packet.sequence, arrival_ns)
            self.inlet.put(packet.sequence, captured_ns, packet.samples)

    def _hopeless(self, done: int, margin: float | None, arrival_ns: int) -> bool:
        """Say whether a stream must begin anew: its packets come far too early or too late.

        Behind a stall many late packets come at once, and then timely ones: that is no reason.
        """
        if done == LATE:
            return arrival_ns - self._timely_ns > _LATE_S * 1e9
        if done == FAR:
            return True
        at_once = margin is not None and (
            margin / self.form.sample_rate > self.target_s + _VERY_DEEP_S
        )
        return at_once or (self.rate.lowest_s or 0.0) > self.target_s + DEEP_S

    def _begin(self, sequence: int, arrival_ns: int) -> None:
        """Begin anew with a packet that has just come."""
        self.restarts += int(self._began > 0.0)
        self._began = time.monotonic()
        self._timely_ns = arrival_ns
        self.rate.forget()
        self._delays.clear()
        self._transit = None
        self._origin = self.first_packet = sequence
        self.inlet.begin(sequence, arrival_ns + round(self.target_s * 1e9))

    def _move_start(self, now_ns: int) -> None:
        """Let all packets that came before a stream plays say when it shall, and with which one.

        The first ones may have come late, all at once, and would make all that follows deeper: a
        quarter of the packets may tell, and those are left out whose turn would have been by now.
        """
        if not self._delays:
            return
        usual_s = sorted(self._delays)[(len(self._delays) - 1) // 4]
        start_s, packet_s = usual_s + self.target_s, self.form.seconds
        missed = math.ceil((now_ns * 1e-9 - start_s) / packet_s)
        self.first_packet = max(self.first_packet, self._origin + missed)
        start_s += (self.first_packet - self._origin) * packet_s
        self.inlet.begin_at(self.first_packet, round(start_s * 1e9))

    def _measure(self, packet: Packet, arrival_ns: int) -> None:
        """Follow the delay of packets against their places behind the first one."""
        place_s = (packet.sequence - self._origin) * self.form.seconds
        transit_s = arrival_ns * 1e-9 - place_s
        if self._transit is not None:
            self.jitter_s += _JITTER_GAIN * (abs(transit_s - self._transit) - self.jitter_s)
        self._transit = transit_s
        self._delays.append(transit_s)

    def turn(self) -> None:
        """Set the speed and the target; call it often, it acts ten times a second."""
        now = time.monotonic()
        elapsed_s = now - self._last_turn
        if elapsed_s < TURN_S:
            return
        self._last_turn = now
        if self._stream is not None and now - self._last_ns * 1e-9 > _GONE_S:
            self._stream = None  # the sender has gone; the next packet begins a stream
            self.inlet.pause()
            return
        if self.depth.adaptive and now - self._began > _SETTLE_S:
            self.target_s = self._adapted()
        self.inlet.set_step(self.rate.turn(self.target_s, elapsed_s))
        self._follow_band(now)

    def _adapted(self) -> float:
        """Give the depth at which all but a few in a thousand packets come in time."""
        ordered = sorted(self._delays)
        if len(ordered) < 2:
            return self.target_s
        high = ordered[min(len(ordered) - 1, math.ceil(_QUANTILE * len(ordered)) - 1)]
        wanted = high - ordered[len(ordered) // 2] + _SPARE_S
        return min(max(wanted, _LEAST_S), self.depth.most_s)

    def _follow_band(self, now: float) -> None:
        """Keep the least and the greatest median depth, once a stream has settled."""
        depth_s = self.rate.depth_s
        if depth_s is None or now - self._began < _SETTLE_S:
            return
        low, high = self._band or (depth_s, depth_s)
        self._band = [min(low, depth_s), max(high, depth_s)]

    def stats(self) -> dict[str, Any]:
        """Give what was counted and measured; JSON-able."""
        counts = self.inlet.counts()
        packets, lost = counts["packets"], counts["lost"]
        depth_s = self.rate.depth_s
        return {
            "received": self.received,
            "late": self.late,
            "duplicates": self.twice,
            "loss_percent": round(100.0 * lost / packets, 3) if packets else 0.0,
            "restarts": self.restarts,
            "first_packet": self.first_packet,
            "jitter_ms": round(1e3 * self.jitter_s, 3),
            "target_ms": round(1e3 * self.target_s, 3),
            "depth_ms": None if depth_s is None else round(1e3 * depth_s, 3),
            "depth_band_ms": [round(1e3 * value, 3) for value in self._band or []],
            "drift_ppm": round(1e6 * self.rate.drift, 1),
            "speed_ppm": round(1e6 * (self.rate.step - 1.0), 1),
            **counts,
        }
