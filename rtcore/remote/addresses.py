# SPDX-License-Identifier: MIT
"""Where servers listen: TCP addresses, and which of them only this machine can reach."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from rtcore.errors import ConfigError, DeviceError


@dataclass(frozen=True)
class Address:
    """A TCP address that was read and checked."""

    host: str
    port: int | None

    @property
    def url(self) -> str:
        """What ZeroMQ calls it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{'*' if self.port is None else self.port}"

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def check_name(self) -> None:
        """Refuse a host whose name nobody knows; what may be known later is let through.

        Raises
        ------
        DeviceError
            Where the name service says that there is no such name.
        """
        try:
            socket.getaddrinfo(self.host, self.port)
        except socket.gaierror as error:
            if error.errno != socket.EAI_AGAIN:
                msg = f"{self.url}: there is no such host ({error.strerror}); check its name"
                raise DeviceError(msg) from None
        except UnicodeError:  # a piece of the name is empty or too long
            msg = f"{self.url}: there can be no such host; check its name"
            raise DeviceError(msg) from None

    @classmethod
    def read(cls, text: str, port: int, where: str = "address") -> Address:
        """Read ``HOST``, ``HOST:PORT`` or ``tcp://HOST:PORT``.

        Parameters
        ----------
        text : str
            The address; ``*`` as the host stands for all of this machine's interfaces.
        port : int
            Taken where the text has none.
        where : str
            What error messages begin with.

        Raises
        ------
        ConfigError
            Where it is no such address.
        """
        host, rest = _split(text.removeprefix("tcp://"))
        number: int | None = port
        if rest in ("*", "0"):
            number = None
        elif rest is not None:
            number = int(rest) if rest.isascii() and rest.isdigit() and len(rest) < 6 else -1
        usable = host.isascii() and all(c.isalnum() or c in ".-_:*%" for c in host)
        if not host or not usable or (number is not None and not 1 <= number <= 65535):
            what = f"must be HOST:PORT with a port from 1 to 65535, got {text!r}"
            raise ConfigError(where, f"{what}; write it like 127.0.0.1:{port}")
        return cls(host, number)


def _split(text: str) -> tuple[str, str | None]:
    """Part host and port; an IPv6 host with a port stands in brackets."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest[1:] if rest.startswith(":") else None if not rest else ""
    if text.count(":") > 1:
        return text, None
    host, colon, rest = text.partition(":")
    return host, rest if colon else None
