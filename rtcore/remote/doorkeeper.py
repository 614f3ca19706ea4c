# SPDX-License-Identifier: MIT
"""Who may come in: the answer to ZeroMQ's question about each client's key."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import zmq
from zmq.utils import z85

from rtcore.remote.keys import ServerKeys

_ZAP = "inproc://zeromq.zap.01"  # the place that ZeroMQ fixes for it


class Doorkeeper:
    """Answers ZeroMQ's question whether a client's key is known (RFC 27), on its own thread.

    Parameters
    ----------
    context : zmq.Context
        Whose sockets ask.
    keys : ServerKeys
        Who is let in.
    on_refused : function, optional
        Called with a sentence for each client that was turned away.
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        keys: ServerKeys,
        on_refused: Callable[[str], None] | None = None,
    ) -> None:
        self.refused = 0
        self._keys = keys
        self._told = on_refused or (lambda _sentence: None)
        self._quit = threading.Event()
        self._socket = context.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind(_ZAP)
        self._thread = threading.Thread(target=self._run, name="rtcore-doorkeeper", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._quit.is_set():
                if self._socket.poll(100):
                    self._socket.send_multipart(self._answer(self._socket.recv_multipart()))
        except zmq.ContextTerminated:
            pass
        finally:
            self._socket.close()

    def _answer(self, frames: list[bytes]) -> list[bytes]:
        """Decide; the frames are those of RFC 27."""
        version, request, _domain, address, _identity, mechanism = frames[:6]
        name = None
        if mechanism == b"CURVE" and len(frames) == 7:
            name = self._keys.clients.get(z85.encode(frames[6]))
        if name is None:
            self.refused += 1
            where = address.decode("ascii", "replace")
            self._told(f"a client at {where} was turned away: the server does not know its key")
            return [version, request, b"400", b"this key is not known here", b"", b""]
        return [version, request, b"200", b"OK", name.encode(), b""]

    def close(self) -> None:
        """End the thread."""
        self._quit.set()
        self._thread.join()
