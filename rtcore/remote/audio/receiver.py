# SPDX-License-Identifier: MIT
"""The receiving end: a thread that takes packets from a socket to the engine's inlet."""

from __future__ import annotations

import threading
import time
from typing import Any

import zmq

from rtcore.engine.inlet import Inlet
from rtcore.errors import DeviceError, StreamError
from rtcore.remote.addresses import Address
from rtcore.remote.audio.impair import Impairment
from rtcore.remote.audio.jitter import Depth, JitterBuffer
from rtcore.remote.audio.packets import MOST_BYTES, TOPIC, Format, Packet, unpack
from rtcore.remote.sockets import Sockets, renew

#: Packets that wait in ZeroMQ for the thread; it takes them as they come.
QUEUE_PACKETS = 64
_POLL_S = 0.05
_MOST_AT_ONCE = 64
#: After so long a silence the connection is made anew: libzmq gives one up for good on which
#: something came that it does not allow, such as a message above the limit.
_RENEW_S = 5.0


class Receiver:
    """Subscribes to a sender, and fills an inlet from a thread of its own.

    Parameters
    ----------
    sockets : Sockets
        With the client's keys where the sender wants them.
    address : Address
        Of the sender.
    depth : Depth
        How deep packets shall lie.
    impairment : Impairment, optional
        What is lost and held back on purpose.
    """

    def __init__(
        self,
        sockets: Sockets,
        address: Address,
        depth: Depth,
        *,
        impairment: Impairment | None = None,
    ) -> None:
        self.address = address
        self.depth = depth
        self.impairment = impairment or Impairment()
        self.refused = 0  # messages that were no packet, or of another format
        self.refusal = ""  # what was wrong with the last one
        self.error: BaseException | None = None
        self.form: Format | None = None
        self.buffer: JitterBuffer | None = None
        self._quit = threading.Event()
        self._heard_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="rtcore-receive", daemon=True)
        self._socket = sockets.connect(zmq.SUB, address, hwm=QUEUE_PACKETS, max_bytes=MOST_BYTES)
        self._socket.subscribe(TOPIC)
        self._known = threading.Event()
        self._thread.start()

    def first_format(self, timeout_s: float) -> Format:
        """Wait for the first packet, and say what the stream is made of.

        Raises
        ------
        DeviceError
            Where none comes in time.
        """
        self._known.wait(timeout_s)
        if self.form is None:
            why = f"; the last message was refused: {self.refusal}" if self.refusal else ""
            what = f"{self.address.url}: no sound came within {timeout_s:g} s{why}"
            raise DeviceError(f"{what}; start the sender, check its address and keys")
        return self.form

    def start(self, inlet: Inlet) -> None:
        """Fill an inlet from now on; what came before is forgotten.

        Parameters
        ----------
        inlet : Inlet
            For packets of the format that :meth:`first_format` gave.
        """
        if self.form is None:
            msg = "the format of the packets is not known yet; wait for the first one"
            raise StreamError(msg)
        self.buffer = JitterBuffer(inlet, self.form, self.depth)

    def _messages(self, timeout_s: float) -> list[bytes]:
        """Take what has come."""
        messages: list[bytes] = []
        if time.monotonic() - self._heard_s > _RENEW_S:
            self._heard_s = time.monotonic()
            renew(self._socket, self.address)
        if not self._socket.poll(max(1, round(1e3 * timeout_s)) if timeout_s > 0.0 else 0):
            return messages
        try:
            while len(messages) < _MOST_AT_ONCE:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
                messages.append(parts[0] if len(parts) == 1 else b"")
        except zmq.Again:
            pass
        self._heard_s = time.monotonic()
        return messages

    def _checked(self, message: bytes) -> Packet | None:
        """Read a message; count and remember what is wrong with it."""
        try:
            packet = unpack(message)
            if self.form is not None and packet.format != self.form:
                what = f"the stream changed from {self.form} to {packet.format}"
                raise StreamError(f"{what}; start rtcore receive again")
        except StreamError as error:
            self.refused += 1
            self.refusal = str(error)
            return None
        return packet

    def _run(self) -> None:
        try:
            while not self._quit.is_set():
                self._step()
        except zmq.ContextTerminated:
            pass
        except BaseException as error:  # noqa: BLE001 - else nobody would hear of it
            self.error = error
        finally:
            self._socket.close()

    def _step(self) -> None:
        """Wait for packets, and bring those that are due to the buffer."""
        messages = self._messages(self.impairment.wait_s(time.monotonic_ns(), _POLL_S))
        now_ns = time.monotonic_ns()
        buffer = self.buffer  # the other thread may give it meanwhile
        for message in messages:
            packet = self._checked(message)
            if packet is None:
                continue
            if self.form is None:
                self.form = packet.format
                self._known.set()
            if buffer is not None:
                self.impairment.put(packet, now_ns)
        if buffer is not None:
            for packet, arrival_ns in self.impairment.due(time.monotonic_ns()):
                buffer.take(packet, arrival_ns)
            buffer.turn()

    def stop(self) -> None:
        """End the thread; what plays goes on with silence."""
        self._quit.set()
        self._thread.join()

    def stats(self) -> dict[str, Any]:
        """Give what was counted; JSON-able."""
        return {
            "format": str(self.form) if self.form is not None else None,
            "refused_messages": self.refused,
            "refusal": self.refusal,
            "dropped_on_purpose": self.impairment.dropped,
            **(self.buffer.stats() if self.buffer is not None else {}),
        }
