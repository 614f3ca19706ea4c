# SPDX-License-Identifier: MIT
"""The client's side of the control protocol, for Python."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, Self

import zmq
from zmq.utils.monitor import recv_monitor_message

from rtcore.errors import DeviceError, RemoteError, SessionError
from rtcore.remote import messages
from rtcore.remote.addresses import Address
from rtcore.remote.keys import ClientKeys
from rtcore.remote.sockets import CONTROL_PORT, TELEMETRY_PORT, Sockets

_TURN_MS = 50
_LARGEST_ANSWER = 16 << 20
_FAILED = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
)


def listen(
    sockets: Sockets,
    address: Address,
    topics: Sequence[str] = ("",),
    *,
    timeout_s: float | None = None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Subscribe to what is published at an address.

    Parameters
    ----------
    sockets : Sockets
        With the client's keys where the publisher has keys.
    address : Address
        Of the telemetry.
    topics, timeout_s
        As for :meth:`Client.watch`.

    Yields
    ------
    tuple of str and dict
        Topic and message.
    """
    socket = sockets.connect(zmq.SUB, address, max_bytes=_LARGEST_ANSWER)
    try:
        for topic in topics:
            socket.subscribe(topic.encode())
        while socket.poll(None if timeout_s is None else round(1e3 * timeout_s)):
            topic_frame, body = socket.recv_multipart()
            yield topic_frame.decode(), json.loads(body)
    finally:
        socket.close()


class Client:
    """Steers an engine elsewhere.

    Parameters
    ----------
    address : str or Address
        ``HOST:PORT`` of its control socket.
    keys : ClientKeys, optional
        Needed where the server has keys.
    timeout_s : float
        How long an answer is waited for.

    Raises
    ------
    ConfigError
        Where the address is none.
    DeviceError
        Where nobody answers, or the server does not know the key.

    Examples
    --------
    >>> with Client("127.0.0.1:5570") as client:
    ...     client.set({"plugin/gain/gain_db": -6.0})
    ...     client.get("plugin/gain/gain_db")
    """

    def __init__(
        self,
        address: str | Address = f"127.0.0.1:{CONTROL_PORT}",
        keys: ClientKeys | None = None,
        *,
        timeout_s: float = 5.0,
    ) -> None:
        if isinstance(address, str):
            address = Address.read(address, CONTROL_PORT)
        self.address = address
        self.timeout_s = timeout_s
        self.about: dict[str, Any] = {}
        self._sockets = Sockets(keys)
        self._numbers = itertools.count(1)
        self._session = ""
        try:
            self._socket = self._sockets.connect(zmq.DEALER, address, max_bytes=_LARGEST_ANSWER)
            self._monitor = self._socket.get_monitor_socket(sum(_FAILED))
            self._hello()
        except BaseException:
            self.close()
            raise

    def ask(self, verb: str, **words: Any) -> dict[str, Any]:
        """Make one request and wait for its answer.

        Parameters
        ----------
        verb : str
            See docs/protocol.md.
        **words
            The request's other keys.

        Raises
        ------
        RemoteError
            With the server's sentence, where it refuses.
        DeviceError
            Where nobody answers in time.
        """
        try:
            return self.collect(self.post(verb, **words))
        except SessionError:  # a new connection, or a new server: nothing was done yet
            self._hello()
            return self.collect(self.post(verb, **words))

    def post(self, verb: str, **words: Any) -> int:
        """Send a request without waiting; give its number for :meth:`collect`."""
        number = next(self._numbers)
        message = {"rtcore": messages.VERSION, "id": number, "verb": verb, **words}
        if self._session and verb != "hello":
            message["session"] = self._session
        body = messages.write(message)
        if len(body) > messages.MAX_MESSAGE_BYTES:
            raise RemoteError(messages.too_long(len(body)))
        try:
            self._socket.send(body, zmq.NOBLOCK)
        except zmq.Again:
            raise self._nobody("takes what is sent") from None
        return number

    def collect(self, number: int) -> dict[str, Any]:
        """Wait for the answer to a request; answers to earlier ones are thrown away.

        Raises
        ------
        RemoteError, DeviceError
            As for :meth:`ask`.
        """
        give_up = time.monotonic() + self.timeout_s
        while time.monotonic() < give_up:
            if not self._socket.poll(_TURN_MS):
                self._check_door()
                continue
            answer = json.loads(self._socket.recv())
            if answer.get("id") in (number, None):
                return self._opened(answer)
        raise self._nobody("answers")

    def _hello(self) -> None:
        self._session = ""
        self.about = self.collect(self.post("hello"))
        self._session = self.about["session"]

    @staticmethod
    def _opened(answer: dict[str, Any]) -> dict[str, Any]:
        if answer["ok"]:
            return answer
        error = answer["error"]
        cls = SessionError if error["kind"] == "SessionError" else RemoteError
        raise cls(error["sentence"])

    def _check_door(self) -> None:
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)
            if event["event"] == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                msg = (
                    f"{self.address.url}: the server does not know this key; give it the public "
                    "half, as clients/NAME.key"
                )
                raise DeviceError(msg)
            msg = (
                f"{self.address.url}: the server's door stays shut; it wants CURVE keys (--keys "
                "FOLDER with client.key_secret and the right server.key), or has none itself"
            )
            raise DeviceError(msg)

    def _nobody(self, does: str) -> DeviceError:
        msg = (
            f"{self.address.url}: nobody {does} within {self.timeout_s:g} s; is rtcore serve "
            "running there, and is the port open?"
        )
        return DeviceError(msg)

    def get(self, path: str) -> Any:
        """Give the value of a path, such as ``plugin/nalr/audiogram``."""
        return self.ask("get", path=path)["value"]

    def set(self, values: dict[str, Any]) -> None:
        """Give values to paths: all of them, or none where one is refused."""
        self.ask("set", values=values)

    def watch(
        self, topics: Sequence[str] = ("",), *, timeout_s: float | None = None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Subscribe to telemetry.

        Parameters
        ----------
        topics : sequence of str
            ``stats``, ``event``; everything by default.
        timeout_s : float, optional
            End after such a silence; by default never.

        Yields
        ------
        tuple of str and dict
            Topic and message.
        """
        url = self.ask("subscribe")["telemetry"]
        port = Address.read(url, TELEMETRY_PORT).port
        # The server knows its own address as, say, 0.0.0.0: only its port means something here.
        there = Address(self.address.host, port)
        yield from listen(self._sockets, there, topics, timeout_s=timeout_s)

    def close(self) -> None:
        """Close the connection."""
        self._sockets.close()

    def __enter__(self) -> Self:
        """Give the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
