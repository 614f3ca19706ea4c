# SPDX-License-Identifier: MIT
"""The server: an engine, a control socket and a telemetry publisher, each on its own thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import zmq

from rtcore.chain import Chain
from rtcore.engine import Engine
from rtcore.remote import telemetry
from rtcore.remote.addresses import Address
from rtcore.remote.keys import ServerKeys
from rtcore.remote.player import Player
from rtcore.remote.presets import Presets, default_folder
from rtcore.remote.protocol import Desk, refusal
from rtcore.remote.sockets import CONTROL_PORT, TELEMETRY_PORT, Sockets, endpoint

TOPICS = ("stats", "event")
#: Longest frame that is read at all; above `messages.MAX_MESSAGE_BYTES` the answer is a sentence.
_MAX_READ_BYTES = 16 << 20
_LOOK_MS = 100
_AT_ONCE = 100  # requests that are answered before the socket is polled again


class Server:
    """Lets clients steer an engine.

    Parameters
    ----------
    chain : Chain
        What plays.
    make_engine : function
        Makes an engine for a chain, with a fresh backend; called at each start.
    control, telemetry_at : Address, optional
        Where to listen; 127.0.0.1, ports 5570 and 5571.
    keys : ServerKeys, optional
        Needed for any address that others than this machine can reach.
    every_s : float
        Time between two messages of telemetry.
    presets : Path, optional
        Folder of saved presets; the user's own by default.
    on_message : function, optional
        Called with sentences for whoever looks at the server.

    Raises
    ------
    ConfigError
        Where others could connect without being known.
    DeviceError
        Where the system refuses an address.
    """

    def __init__(
        self,
        chain: Chain,
        make_engine: Callable[[Chain], Engine],
        *,
        control: Address | None = None,
        telemetry_at: Address | None = None,
        keys: ServerKeys | None = None,
        every_s: float = 0.5,
        presets: Path | None = None,
        on_message: Callable[[str], None] | None = None,
    ) -> None:
        self._say = on_message or (lambda _sentence: None)
        self._sockets = Sockets(keys, on_refused=self.say)
        self._publisher: telemetry.Publisher | None = None
        self._state_told = ""
        self.player = Player(chain, make_engine, self.tell)
        try:
            self._bind(control, telemetry_at, every_s)
        except BaseException:
            self._sockets.close()
            raise
        about = {"telemetry": self.telemetry_endpoint, "topics": TOPICS, "every_s": every_s}
        self.desk = Desk(self.player, Presets(presets or default_folder()), about, self._on_mistake)
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtcore-remote", daemon=True)

    def _bind(self, control: Address | None, telemetry_at: Address | None, every_s: float) -> None:
        control = control or Address("127.0.0.1", CONTROL_PORT)
        telemetry_at = telemetry_at or Address("127.0.0.1", TELEMETRY_PORT)
        self._socket = self._sockets.bind(zmq.ROUTER, control, max_bytes=_MAX_READ_BYTES)
        publishing = self._sockets.bind(zmq.PUB, telemetry_at, hwm=telemetry.HIGH_WATER)
        self.control_endpoint = endpoint(self._socket)
        self.telemetry_endpoint = endpoint(publishing)
        self._publisher = telemetry.Publisher(publishing, every_s, {"stats": self._stats})

    def start(self) -> Self:
        """Begin to answer and to publish; the engine is started by ``player.start()``."""
        if self._publisher is not None:
            self._publisher.start()
        self._thread.start()
        return self

    def close(self) -> None:
        """End the engine, then everything else.  The thread ends after the request it answers."""
        self._quit.set()
        if self._thread.is_alive():
            self._thread.join()
        self.player.close()
        if self._publisher is not None:
            self._publisher.close()
        self._sockets.close()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def tell(self, event: dict[str, Any]) -> None:
        """Publish an event; from any thread, never waits."""
        if self._publisher is not None:
            self._publisher.tell(event)

    def say(self, sentence: str) -> None:
        """Tell whoever looks at the server, and those who watch from elsewhere."""
        self._say(sentence)
        self.tell({"event": "message", "sentence": sentence})

    def _on_mistake(self, error: BaseException) -> None:
        self.say(f"a request failed with {type(error).__name__}: {error}")

    def _stats(self) -> dict[str, Any] | None:
        engine = self.player.engine
        if engine is None:
            return None
        if engine.state != self._state_told:  # it was lost, came back, or ended by itself
            self._state_told = engine.state
            self.tell({"event": "state", "state": engine.state, "reason": engine.stop_reason})
        counts = self.desk.counts
        control = {
            "answered": counts.answered,
            "refused": counts.refused,
            "mistakes": counts.mistakes,
        }
        switches = {key: self.player.read(f"engine/{key}") for key in ("bypass", "mute")}
        return telemetry.statistics(engine, **switches, control=control)

    def _run(self) -> None:
        while not self._quit.is_set():
            if not self._socket.poll(_LOOK_MS):
                continue
            replies = self._replies(self._waiting())
            for frames in replies:
                with contextlib.suppress(zmq.ZMQError):  # whoever asked has gone
                    self._socket.send_multipart(frames, zmq.NOBLOCK)

    def _waiting(self) -> list[list[bytes]]:
        """Take the requests that have come in, some at most."""
        found: list[list[bytes]] = []
        with contextlib.suppress(zmq.Again):
            while len(found) < _AT_ONCE:
                found.append(self._socket.recv_multipart(zmq.NOBLOCK))
        return found

    def _replies(self, waiting: list[list[bytes]]) -> list[list[bytes]]:
        """Answer to where requests came from; REQ sockets put an empty frame before them."""
        heads, bodies = [], []
        for connection, *rest in waiting:
            empty = [b""] if len(rest) > 1 and rest[0] == b"" else []
            body = rest[len(empty) :]
            if len(body) == 1:
                heads.append([connection, *empty])
                bodies.append((body[0], connection))
            else:
                self.desk.counts.refused += 1
                sentence = f"a request must be one frame, got {len(body)}; send one JSON object"
                answer = refusal(None, "RemoteError", sentence)
                with contextlib.suppress(zmq.ZMQError):
                    self._socket.send_multipart([connection, *empty, answer], zmq.NOBLOCK)
        answers = self.desk.answers(bodies)
        return [[*head, answer] for head, answer in zip(heads, answers, strict=True)]
