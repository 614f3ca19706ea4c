# SPDX-License-Identifier: MIT
"""CURVE keys: files that are really secret, and a door that stays shut."""

from __future__ import annotations

import json
import shutil

import pytest
from commands import assert_refused, rtcore
from served import served
from waiting import reaches

from rtcore.errors import ConfigError, DeviceError
from rtcore.remote.addresses import Address
from rtcore.remote.client import Client
from rtcore.remote.keys import load_client_keys, load_server_keys, make_keys

ANYWHERE = ("--control", "0.0.0.0:*", "--telemetry", "0.0.0.0:*")


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A server that listens everywhere, with its keys."""
    folder = tmp_path_factory.mktemp("locked")
    make_keys(folder / "keys")
    with served(folder, "--keys", folder / "keys", where=ANYWHERE) as server:
        server.keys = folder / "keys"
        server.errors = folder / "served.err"
        server.address = Address("127.0.0.1", int(server.control.rpartition(":")[2]))
        yield server


class TestFiles:
    """Keys in a folder."""

    def test_pairs_are_made_and_read(self, tmp_path):
        """The server knows the client's public key by its name, the client the server's."""
        make_keys(tmp_path / "keys")
        server, client = load_server_keys(tmp_path / "keys"), load_client_keys(tmp_path / "keys")
        assert {client.public: "client"} == dict(server.clients)
        assert server.public == client.server

    def test_secret_keys_are_the_owners_only(self, tmp_path):
        """Nobody else may read them; where somebody may, they are refused."""
        make_keys(tmp_path)
        secret = tmp_path / "server.key_secret"
        assert 0 == secret.stat().st_mode & 0o077
        secret.chmod(0o644)
        with pytest.raises(ConfigError, match="can be read by others; run: chmod 600"):
            load_server_keys(tmp_path)

    def test_nothing_is_overwritten(self, tmp_path):
        """A second client gets keys of its own; the server's stay; a name is used once."""
        make_keys(tmp_path)
        before = load_server_keys(tmp_path)
        make_keys(tmp_path, "booth")
        after = load_server_keys(tmp_path)
        assert (before.secret, {"client", "booth"}) == (after.secret, set(after.clients.values()))
        with pytest.raises(ConfigError, match="there are keys of that name already"):
            make_keys(tmp_path, "booth")

    @pytest.mark.parametrize("name", ["", "server", "../x", "a b", "x" * 65])
    def test_a_client_needs_a_name(self, tmp_path, name):
        """Names are words that may stand in a file's name."""
        with pytest.raises(ConfigError, match="must be 1 to 64 letters"):
            make_keys(tmp_path, name)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("", "is no ZeroMQ certificate"),
            ('curve\n    public-key = "' + "!" * 39 + '\\"\n', "is no ZeroMQ certificate"),
            ("\xff", "is no ZeroMQ certificate"),
            (None, "there is no such key"),
        ],
    )
    def test_a_damaged_key_is_named(self, tmp_path, content, words):
        """The sentence has the file and the remedy."""
        make_keys(tmp_path)
        (tmp_path / "server.key").unlink()
        if content is not None:
            (tmp_path / "server.key").write_text(content, "latin-1")
        with pytest.raises(ConfigError, match=r"server\.key") as caught:
            load_client_keys(tmp_path)
        assert words in str(caught.value)

    def test_halves_of_two_pairs_are_refused(self, tmp_path):
        """A secret key beside another pair's public key is no pair."""
        make_keys(tmp_path)
        other = load_server_keys(tmp_path).public.decode()
        file = tmp_path / "client.key_secret"
        mine = load_client_keys(tmp_path).public.decode()
        file.write_text(file.read_text().replace(mine, other))
        with pytest.raises(ConfigError, match="holds no pair of keys that belong together"):
            load_client_keys(tmp_path)

    def test_a_server_without_clients_is_refused(self, tmp_path):
        """Nobody could connect."""
        make_keys(tmp_path)
        shutil.rmtree(tmp_path / "clients")
        with pytest.raises(ConfigError, match="holds no client's key"):
            load_server_keys(tmp_path)

    def test_the_command_makes_them(self, tmp_path):
        """``rtcore serve --keygen`` writes the files and says what to do with them."""
        done = rtcore("serve", "--keygen", "--keys", "keys", cwd=tmp_path)
        assert 0 == done.returncode, done.stderr
        assert 4 == done.stdout.count("wrote ")
        assert_refused(
            rtcore("serve", "--keygen", "--keys", "keys", cwd=tmp_path), "of that name already"
        )


class TestDoor:
    """Who is let in."""

    def test_a_known_client_steers_and_watches(self, locked):
        """Control and telemetry both take its key."""
        with Client(locked.address, load_client_keys(locked.keys), timeout_s=60.0) as client:
            assert "running" == client.ask("state")["state"]
            topic, _told = next(client.watch(["stats"], timeout_s=60.0))
            assert "stats" == topic

    def test_an_unknown_key_is_turned_away(self, locked, tmp_path):
        """Its owner learns why, the server says so, and others are served on."""
        make_keys(tmp_path)
        (tmp_path / "server.key").write_text((locked.keys / "server.key").read_text())
        with pytest.raises(DeviceError, match="the server does not know this key"):
            Client(locked.address, load_client_keys(tmp_path), timeout_s=60.0)
        assert reaches(lambda: "was turned away" in locked.errors.read_text())

    def test_a_client_without_keys_is_turned_away(self, locked):
        """No request of it is ever read."""
        with Client(locked.address, load_client_keys(locked.keys), timeout_s=60.0) as known:
            with pytest.raises(DeviceError, match="the server's door stays shut"):
                Client(locked.address, timeout_s=60.0)
            control = next(known.watch(["stats"], timeout_s=60.0))[1]["control"]
            assert 0 == control["refused"]

    def test_the_command_line_takes_keys(self, locked, tmp_path):
        """``rtcore ctl --keys`` reads the folder that --keygen wrote."""
        there = ("--to", f"127.0.0.1:{locked.address.port}", "--timeout", 60)
        done = rtcore("ctl", *there, "--keys", locked.keys, "state", cwd=tmp_path)
        assert "running" == json.loads(done.stdout)["state"], done.stderr
        done = rtcore("ctl", *there, "state", cwd=tmp_path)
        assert (3, True) == (done.returncode, "door stays shut" in done.stderr)
