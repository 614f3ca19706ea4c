# SPDX-License-Identifier: MIT
"""CURVE keys in a folder: who a server is, and whom it lets in.

::

    server.key_secret       the server's pair of keys; stays on the server
    server.key              its public half; clients need it
    clients/NAME.key        the public half of each client that is let in; stays on the server
    client.key_secret       a client's pair; goes to that client, together with server.key

The files are ZeroMQ certificates (ZPL), which czmq's ``zcert`` and pyzmq's ``zmq.auth`` read too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rtcore.errors import ConfigError

_LINE = re.compile(r"^\s+(public-key|secret-key)\s*=\s*\"([^\"]{40})\"\s*$", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LARGEST_FILE = 65536
SERVER = "server"
CLIENT = "client"


@dataclass(frozen=True)
class ServerKeys:
    """What a server needs.

    Attributes
    ----------
    public, secret : bytes
        Its own pair, 40 letters each (Z85).
    clients : mapping
        Public key to name of each client that is let in.
    """

    public: bytes
    secret: bytes
    clients: Mapping[bytes, str]


@dataclass(frozen=True)
class ClientKeys:
    """What a client needs: its own pair, and the server's public key (Z85, 40 letters each)."""

    public: bytes
    secret: bytes
    server: bytes


def default_folder() -> Path:
    """Give the folder in which keys lie where none is named."""
    import platformdirs

    return Path(platformdirs.user_config_dir("rtcore", appauthor=False)) / "keys"


def make_keys(folder: Path, client: str = CLIENT) -> list[Path]:
    """Make the server's keys, unless they are there, and the keys of one client.

    Parameters
    ----------
    folder : Path
        Made where it is absent, readable for its owner only.
    client : str
        The client's name: letters, digits, - and _.

    Returns
    -------
    list of Path
        The files that were written; secret ones are readable for their owner only.

    Raises
    ------
    ConfigError
        Where the name is no name, a client of that name has keys already, or the system refuses.
    """
    import zmq

    if not _NAME.fullmatch(client) or client == SERVER:
        what = f"must be 1 to 64 letters, digits, - and _, and not 'server', got {client!r}"
        raise ConfigError("name of the client", what)
    written: list[Path] = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "clients").mkdir(mode=0o700, exist_ok=True)
        for name, public_file in (
            (SERVER, folder / "server.key"),
            (client, folder / "clients" / f"{client}.key"),
        ):
            secret_file = folder / f"{name}.key_secret"
            if secret_file.exists() or public_file.exists():
                if name == SERVER:
                    continue
                what = "there are keys of that name already; choose another name or remove them"
                raise ConfigError(str(secret_file), what)
            public, secret = zmq.curve_keypair()
            written += [secret_file, public_file]
            _write(secret_file, name, public, secret, mode=0o600)
            _write(public_file, name, public, None, mode=0o644)
    except OSError as error:
        what = f"keys cannot be written ({error.strerror or error}); choose another folder"
        raise ConfigError(str(folder), what) from error
    return written


def _write(path: Path, name: str, public: bytes, secret: bytes | None, *, mode: int) -> None:
    """Write one certificate; nobody else may read a secret one, not even for a moment."""
    lines = ["#   rtcore: a key of ZeroMQ's CURVE", "metadata", f'    name = "{name}"', "curve"]
    lines += [f'    public-key = "{public.decode()}"']
    lines += [f'    secret-key = "{secret.decode()}"'] if secret is not None else []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


def load_server_keys(folder: Path) -> ServerKeys:
    """Read the server's keys and the public keys of its clients.

    Raises
    ------
    ConfigError
        Where one is missing or is no key, or the secret one can be read by others.
    """
    public, secret = _pair(folder / "server.key_secret")
    clients = {
        _keys_of(file)["public-key"]: file.stem
        for file in sorted((folder / "clients").glob("*.key"))
    }
    if not clients:
        what = "holds no client's key, so nobody could connect; make one with rtcore serve --keygen"
        raise ConfigError(str(folder / "clients"), what)
    return ServerKeys(public, secret, clients)


def load_client_keys(folder: Path, client: str = CLIENT) -> ClientKeys:
    """Read a client's keys and the server's public key.

    Raises
    ------
    ConfigError
        Where one is missing or is no key, or the secret one can be read by others.
    """
    public, secret = _pair(folder / f"{client}.key_secret")
    return ClientKeys(public, secret, _keys_of(folder / "server.key")["public-key"])


def _pair(path: Path) -> tuple[bytes, bytes]:
    """Read a secret certificate that is really secret, and whose halves belong together."""
    import zmq

    keys = _keys_of(path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        what = "this secret key can be read by others; run: chmod 600"
        raise ConfigError(str(path), f"{what} {path.name}")
    if "secret-key" not in keys or zmq.curve_public(keys["secret-key"]) != keys["public-key"]:
        what = "holds no pair of keys that belong together; make new ones with rtcore serve"
        raise ConfigError(str(path), f"{what} --keygen")
    return keys["public-key"], keys["secret-key"]


def _keys_of(path: Path) -> dict[str, bytes]:
    """Read a certificate."""
    from zmq.utils import z85

    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_FILE).decode("utf-8")
        found = {name: value.encode("ascii") for name, value in _LINE.findall(text)}
        for value in found.values():
            if len(z85.decode(value)) != 32:
                found.clear()
    except FileNotFoundError:
        what = "there is no such key; make one with rtcore serve --keygen, or copy it here"
        raise ConfigError(str(path), what) from None
    except OSError as error:
        what = f"this key cannot be read ({error.strerror or error}); check its rights"
        raise ConfigError(str(path), what) from None
    except (ValueError, KeyError, OverflowError):  # no text, or letters that are not Z85's
        found = {}
    if "public-key" not in found:
        what = "is no ZeroMQ certificate with a public-key; make new keys with rtcore serve"
        raise ConfigError(str(path), f"{what} --keygen")
    return found
