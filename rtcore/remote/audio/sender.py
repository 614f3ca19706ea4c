# SPDX-License-Identifier: MIT
"""The sending end: a sink of an engine's output that publishes packets.

PUB and SUB carry the sound over TCP.  A publisher never waits: a subscriber that does not take its
packets costs packets, not time.  What lies in the publisher's queue and in the system's send buffer
is bounded; behind a stall it arrives late, and being late it is dropped there.  The system's
receive buffer is left alone: one smaller than two TCP segments (64 KB each on loop-back) makes TCP
wait 200 ms at a time for a window that is worth its while.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import zmq

from rtcore.errors import StreamError
from rtcore.remote.addresses import Address
from rtcore.remote.audio.packets import Format, Packet, pack
from rtcore.remote.sockets import Sockets, endpoint

#: What waits for a subscriber; further packets are dropped.
QUEUE_S = 0.25
_SEND_BYTES = 1 << 17
_STALLED_MS = 3000  # unacknowledged for so long, a connection is given up and made anew


class Sender:
    """Publishes packets of what it is given.

    Parameters
    ----------
    sockets : Sockets
        With the server's keys where others than this machine may listen.
    address : Address
        Where to publish.
    form : Format
        Of the packets.
    clock : function, optional
        Gives (frames, monotonic ns): how many frames the engine had played when. Without it the
        time at which sound is handed over counts.

    Notes
    -----
    `write` is called by one thread, which is never the audio thread.
    """

    def __init__(
        self,
        sockets: Sockets,
        address: Address,
        form: Format,
        *,
        clock: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        self.form = form
        self.clock = clock
        self.stream = secrets.randbits(63)
        self.sequence = 0
        self._rest = np.zeros((form.channels, 0), np.float32)
        sockets.context.sockopts[zmq.SNDBUF] = _SEND_BYTES  # both count only before binding
        sockets.context.sockopts[zmq.TCP_MAXRT] = _STALLED_MS
        self._socket = sockets.bind(zmq.PUB, address, hwm=max(2, round(QUEUE_S / form.seconds)))
        self._sent_bytes = 0
        self.url = endpoint(self._socket)

    def write(self, samples: np.ndarray[Any, Any]) -> None:
        """Take (channels, frames) of any length; send the packets that are whole.

        Raises
        ------
        StreamError
            Where the channels are not the format's.
        """
        if samples.ndim != 2 or len(samples) != self.form.channels:
            what = f"the sender takes {self.form.channels} channels, got {samples.shape}"
            raise StreamError(f"{what}; give it the chain's output")
        sound = np.concatenate([self._rest, samples.astype(np.float32, copy=False)], axis=1)
        whole = sound.shape[1] // self.form.frames * self.form.frames
        for begin in range(0, whole, self.form.frames):
            self._send(sound[:, begin : begin + self.form.frames], sound.shape[1] - begin)
        self._rest = sound[:, whole:].copy()

    def _send(self, samples: np.ndarray[Any, Any], behind: int) -> None:
        """Publish one packet, whose first frame is so many frames behind the latest one."""
        packet = Packet(self.form, self.stream, self.sequence, self._captured_ns(behind), samples)
        self.sequence += 1
        message = pack(packet)
        self._sent_bytes += len(message)
        self._socket.send(message, zmq.NOBLOCK)  # a publisher drops, it does not refuse

    def _captured_ns(self, behind: int) -> int:
        """Tell when a packet's first frame was captured, in nanoseconds since 1970."""
        now_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        frames, at_ns = self.clock() if self.clock is not None else (0, 0)
        if at_ns == 0:
            frames, at_ns = self.sequence * self.form.frames + behind, now_ns
        begins = self.sequence * self.form.frames
        captured_ns = at_ns - round((frames - begins) * 1e9 / self.form.sample_rate)
        return wall_ns - now_ns + min(captured_ns, now_ns)

    def stats(self) -> dict[str, Any]:
        """Give what was sent; JSON-able."""
        return {
            "address": self.url,
            "format": str(self.form),
            "packets": self.sequence,
            "seconds": round(self.sequence * self.form.seconds, 3),
            "bytes": self._sent_bytes,
        }

    def close(self) -> None:
        """Close the socket; nothing lingers."""
        self._socket.close()
