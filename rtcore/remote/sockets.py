# SPDX-License-Identifier: MIT
"""Sockets that keep rtcore's rules: where they may be bound, who may connect, what they hold.

* An address is ``HOST:PORT`` or ``tcp://HOST:PORT``.  Port ``*`` (or 0) takes any that is free.
* Without keys a server listens on this machine only; any other address needs CURVE keys, and a
  client whose key the server does not know is turned away before its first message.
* Nothing lingers: closing never waits for a peer.  Every queue has a bound (the high-water mark),
  and a message above ``max_bytes`` closes its connection before it takes memory.
* A peer that has gone without a word is dropped after a few seconds: by heart-beats where a socket
  only publishes, and by the system's probes (TCP keep-alive) elsewhere.  A heart-beat that runs out
  while a queue of received messages is full ends the whole process (libzmq's issue 3937).
* A socket belongs to the thread that uses it.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable
from typing import Any, Self

import zmq

from rtcore.errors import ConfigError, DeviceError
from rtcore.remote.addresses import Address
from rtcore.remote.doorkeeper import Doorkeeper
from rtcore.remote.keys import ClientKeys, ServerKeys

CONTROL_PORT = 5570
TELEMETRY_PORT = 5571
AUDIO_PORT = 5572
#: Messages that wait for a peer, in each direction.
HIGH_WATER = 1000
#: Longest message frame that is read at all.
MAX_BYTES = 1 << 20
_HEARTBEAT_MS = 2000
_SILENT_MS = 6000
_DOMAIN = "rtcore"


def check_open(address: Address, keys: ServerKeys | ClientKeys | None) -> None:
    """Refuse an address at which others could connect without being known.

    Raises
    ------
    ConfigError
        Where it is not this machine's alone and there are no keys of a server.
    """
    if not address.local and not isinstance(keys, ServerKeys):
        what = (
            "others could connect there without being known; make keys with "
            "rtcore serve --keygen and give --keys FOLDER, or bind to 127.0.0.1"
        )
        raise ConfigError(address.url, what)


class Sockets:
    """A ZeroMQ context of one's own, with all sockets that were made in it.

    Parameters
    ----------
    keys : ServerKeys or ClientKeys, optional
        For a side that binds, or one that connects.
    on_refused : function, optional
        Called with a sentence for each client that was turned away, on a thread of its own.

    Examples
    --------
    >>> with Sockets() as sockets:
    ...     answers = sockets.bind(zmq.ROUTER, Address.read("127.0.0.1:*", CONTROL_PORT))
    """

    def __init__(
        self,
        keys: ServerKeys | ClientKeys | None = None,
        *,
        on_refused: Callable[[str], None] | None = None,
    ) -> None:
        self.keys = keys
        self.context = zmq.Context()
        self.doorkeeper: Doorkeeper | None = None
        if isinstance(keys, ServerKeys):
            self.doorkeeper = Doorkeeper(self.context, keys, on_refused)

    def bind(
        self, kind: int, address: Address, *, hwm: int = HIGH_WATER, max_bytes: int = MAX_BYTES
    ) -> Any:
        """Make a socket that others connect to.

        Parameters
        ----------
        kind : int
            Such as ``zmq.ROUTER``.
        address : Address
            Where; its ``endpoint`` is then in ``socket.last_endpoint``.
        hwm : int
            Messages that wait for each peer, in each direction.
        max_bytes : int
            A longer frame closes the connection that it came from.

        Raises
        ------
        ConfigError
            Where others than this machine could connect, and there are no keys.
        DeviceError
            Where the system refuses.
        """
        check_open(address, self.keys)
        socket = self._socket(kind, address, hwm, max_bytes)
        if isinstance(self.keys, ServerKeys):
            socket.curve_server = True
            socket.curve_publickey, socket.curve_secretkey = self.keys.public, self.keys.secret
            socket.zap_domain = _DOMAIN.encode()
            socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without a doorkeeper nobody comes in
        try:
            socket.bind(address.url)
        except zmq.ZMQError as error:
            socket.close()
            other = "port" if error.errno == errno.EADDRINUSE else "address, one of this machine's"
            msg = f"{address.url}: cannot listen there ({error.strerror}); choose another {other}"
            raise DeviceError(msg) from None
        return socket

    def connect(
        self, kind: int, address: Address, *, hwm: int = HIGH_WATER, max_bytes: int = MAX_BYTES
    ) -> Any:
        """Make a socket that connects to another one's; it goes on trying in the background.

        Parameters
        ----------
        kind, hwm, max_bytes
            As for :meth:`bind`.
        address : Address
            Of the server.

        Raises
        ------
        ConfigError
            Where the address cannot be connected to.
        DeviceError
            Where there is no host of that name.
        """
        if address.port is None or address.host == "*":
            raise ConfigError(
                address.url, "cannot be connected to; name the server's host and port"
            )
        address.check_name()
        socket = self._socket(kind, address, hwm, max_bytes)
        if isinstance(self.keys, ClientKeys):
            socket.curve_serverkey = self.keys.server
            socket.curve_publickey, socket.curve_secretkey = self.keys.public, self.keys.secret
        try:
            socket.connect(address.url)
        except zmq.ZMQError as error:
            socket.close()
            what = f"cannot be connected to ({error.strerror}); check the host's name"
            raise ConfigError(address.url, what) from None
        return socket

    def _socket(self, kind: int, address: Address, hwm: int, max_bytes: int) -> Any:
        socket = self.context.socket(kind)
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = hwm
        socket.maxmsgsize = max_bytes
        socket.ipv6 = ":" in address.host
        if kind == zmq.PUB:
            socket.heartbeat_ivl = _HEARTBEAT_MS
            socket.heartbeat_timeout = _SILENT_MS
        socket.tcp_keepalive = 1
        socket.tcp_keepalive_idle = socket.tcp_keepalive_intvl = _HEARTBEAT_MS // 1000
        socket.tcp_keepalive_cnt = _SILENT_MS // _HEARTBEAT_MS
        socket.handshake_ivl = _SILENT_MS
        socket.reconnect_ivl_max = _HEARTBEAT_MS
        return socket

    def close(self) -> None:
        """Close everything that was made here; may be called twice."""
        if self.doorkeeper is not None:
            self.doorkeeper.close()
        self.context.destroy(linger=0)

    def __enter__(self) -> Self:
        """Give the sockets."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close them."""
        self.close()


def renew(socket: Any, address: Address) -> None:
    """Connect a socket of :meth:`Sockets.connect` anew."""
    with contextlib.suppress(zmq.ZMQError):  # it was given up already
        socket.disconnect(address.url)
    with contextlib.suppress(zmq.ZMQError):  # a name that is no longer known may come back
        socket.connect(address.url)


def endpoint(socket: Any) -> str:
    """Give the address at which a bound socket really listens."""
    return str(socket.last_endpoint.decode("ascii").rstrip("\0"))
