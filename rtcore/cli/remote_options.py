# SPDX-License-Identifier: MIT
"""What commands that steer an engine elsewhere share: where it is, and the keys."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rtcore.remote.client import Client
    from rtcore.remote.keys import ClientKeys


@dataclass(frozen=True)
class There:
    """Which server, as the command line says it."""

    address: str
    keys: Path | None
    timeout_s: float

    def client(self) -> Client:
        """Connect.

        Raises
        ------
        RtcoreError
            Where the address or the keys are none, or nobody answers.
        """
        from rtcore.remote.addresses import Address
        from rtcore.remote.client import Client
        from rtcore.remote.sockets import CONTROL_PORT

        address = Address.read(self.address, CONTROL_PORT, "--to")
        return Client(address, self.client_keys(), timeout_s=self.timeout_s)

    def client_keys(self) -> ClientKeys | None:
        """Read the keys, where the command line names a folder of them.

        Raises
        ------
        RtcoreError
            Where they are none.
        """
        from rtcore.remote.keys import load_client_keys

        return None if self.keys is None else load_client_keys(self.keys)


def remote_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --to, --keys and --timeout; the command gets ``there``, a There."""

    @functools.wraps(command)
    def collected(to: str, keys: Path | None, timeout_s: float, **kwargs: Any) -> Any:
        return command(there=There(to, keys, timeout_s), **kwargs)

    options = [
        click.option(
            "--to",
            default="127.0.0.1:5570",
            show_default=True,
            metavar="HOST:PORT",
            help="Control socket of an `rtcore serve`.",
        ),
        click.option(
            "--keys",
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="With client.key_secret and server.key, where the server has keys.",
        ),
        click.option(
            "--timeout",
            "timeout_s",
            type=click.FloatRange(0.1, 600.0),
            default=10.0,
            show_default=True,
            help="Seconds to wait for an answer.",
        ),
    ]
    made: Callable[..., Any] = collected
    for option in reversed(options):
        made = option(made)
    return made
