# SPDX-License-Identifier: MIT
"""A server and its clients, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import zmq
from served import served
from waiting import reaches

from rtcore.errors import ConfigError, DeviceError, RemoteError, SessionError
from rtcore.remote.addresses import Address
from rtcore.remote.client import Client

GAIN = "plugin/gain/gain_db"


@pytest.fixture
def client(server):
    """A client whose engine plays."""
    with Client(server.control, timeout_s=60.0) as one:
        if one.ask("state")["state"] != "running":
            one.ask("start")
        yield one


def blocks(client):
    return client.ask("stats")["stats"]["blocks"]


class TestValues:
    """Parameters by their paths."""

    @pytest.mark.parametrize("path", [GAIN, "plugin/0/gain_db", "plugin/plugin[0].gain/gain_db"])
    def test_a_value_is_set_and_read(self, client, path):
        """A plugin is named by its id, its number or its place."""
        client.set({path: -7.5})
        assert -7.5 == client.get(GAIN)

    def test_one_refused_value_leaves_all_as_they_were(self, client):
        """All values of a message are set, or none."""
        client.set({GAIN: -1.0})
        with pytest.raises(RemoteError, match="attack_ms"):
            client.set({GAIN: -2.0, "plugin/compressor/attack_ms": -5.0})
        assert -1.0 == client.get(GAIN)

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({GAIN: 1000}, "must be at most 40 dB, got 1000"),
            ({GAIN: "loud"}, "must be a number, got 'loud'"),
            ({"plugin/gain/at_frame": 5}, "no such parameter of 'gain'"),
            ({"plugin/gian/gain_db": 5}, "did you mean 'gain'?"),
            ({"plugin/9/gain_db": 5}, "there is no number 9"),
            ({"gain_db": 5}, "is no path"),
            ({GAIN: 1, "plugin/0/gain_db": 2}, "named twice"),
            ({"engine/state": "running"}, "can only be read"),
            ({"engine/bypass": 1}, "must be true or false"),
            ({"engine/volume_db": -3}, "plays without the safety stage"),
        ],
    )
    def test_a_refusal_is_a_sentence(self, client, values, words):
        """It names the path, and what is wrong."""
        with pytest.raises(RemoteError) as caught:
            client.set(values)
        assert words in str(caught.value)

    def test_a_setting_is_changed_under_a_cross_fade(self, client):
        """A setting re-prepares its plugin; the engine plays on."""
        client.set({"plugin/compressor/linked": True})
        assert client.get("plugin/compressor/linked") is True
        before = blocks(client)
        assert reaches(lambda: blocks(client) > before)

    def test_what_can_be_turned_is_listed(self, client):
        """The list gives each parameter's value, range and unit."""
        gain = client.ask("list")["plugins"][0]["parameters"]["gain_db"]
        found = {key: gain[key] for key in ("kind", "min", "max", "unit")}
        assert {"kind": "live", "min": -120.0, "max": 40.0, "unit": "dB"} == found


class TestChains:
    """Other chains, bypass and mute, snapshots and presets."""

    def test_a_chain_is_loaded_while_it_plays(self, client):
        """The new chain plays, the engine goes on."""
        shot = client.ask("snapshot")["snapshot"]
        client.ask("load", chain={"plugin": [{"id": "gain", "gain_db": -20.0}]})
        assert -20.0 == client.get(GAIN)
        assert 1 == len(client.ask("list")["plugins"])
        client.ask("restore", snapshot=shot)
        assert shot == client.ask("snapshot")["snapshot"]

    @pytest.mark.parametrize(
        ("chain", "words"),
        [
            ({"plugin": [{"id": "gian"}]}, "gian"),
            ({"sample_rate": 16000, "plugin": []}, "same stream"),
            ({"dtype": "float64", "plugin": []}, "same stream"),
            ({"plugin": [{"id": "gain"}] * 300}, "at most 256 plugins, got 300"),
            ({"plugins": []}, "unknown key"),
            ({"plugin": [{"id": "model", "bundle": "/dev/zero"}]}, "is no ordinary file"),
            ({"listeners": "/dev/stdin", "plugin": []}, "is no ordinary file"),
        ],
    )
    def test_an_impossible_chain_is_refused_and_the_old_one_plays_on(self, client, chain, words):
        """A chain that cannot be, or is for another stream, changes nothing."""
        before = client.ask("snapshot")["snapshot"]
        with pytest.raises(RemoteError) as caught:
            client.ask("load", chain=chain)
        assert words in str(caught.value)
        assert before == client.ask("snapshot")["snapshot"]

    @pytest.mark.parametrize("verb", ["bypass", "mute"])
    def test_what_is_set_while_bypassed_is_there_afterwards(self, client, verb):
        """Bypass and mute put the chain aside; it can be turned there."""
        client.ask(verb, on=True)
        client.set({GAIN: -11.0})
        assert (True, -11.0) == (client.get(f"engine/{verb}"), client.get(GAIN))
        client.ask(verb, on=False)
        assert (False, -11.0) == (client.get(f"engine/{verb}"), client.get(GAIN))

    @pytest.mark.parametrize("verb", [None, "bypass", "mute"])
    def test_one_plugin_is_bypassed(self, client, verb):
        """By its path, at the same latency, also while all is bypassed; a snapshot knows it."""
        latency = client.ask("state")["latency_frames"]
        if verb:
            client.ask(verb, on=True)
        client.set({"plugin/gain/bypass": True, GAIN: -13.0})
        if verb:
            client.ask(verb, on=False)
        found = (client.get("plugin/gain/bypass"), client.get("plugin/compressor/bypass"))
        assert (True, False, -13.0) == (*found, client.get(GAIN))
        assert latency == client.ask("state")["latency_frames"]
        assert [True, False] == [p["bypass"] for p in client.ask("stats")["stats"]["plugins"]]
        shot = client.ask("snapshot")["snapshot"]
        assert ["plugin[0].gain"] == shot["bypassed"]
        client.set({"plugin/gain/bypass": False})
        assert [] == client.ask("snapshot")["snapshot"]["bypassed"]
        client.ask("restore", snapshot=shot)
        assert [True, False] == [p["bypass"] for p in client.ask("list")["plugins"]]
        client.set({"plugin/0/bypass": False})

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"plugin/gain/bypass": 1}, "plugin/gain/bypass: must be true or false, got 1"),
            ({"plugin/gain/bypass_": True}, "did you mean 'bypass'?"),
            ({"plugin/gain/bypass": True, "plugin/0/bypass": True}, "named twice"),
            ({"plugin/gain/bypass": True, GAIN: 1000}, "must be at most 40 dB"),
        ],
    )
    def test_a_bypass_that_is_refused_changes_nothing(self, client, values, words):
        """Wrong values, and good ones beside wrong ones."""
        before = client.ask("snapshot")["snapshot"]
        with pytest.raises(RemoteError) as caught:
            client.set(values)
        assert words in str(caught.value)
        assert before == client.ask("snapshot")["snapshot"]

    def test_a_snapshot_that_bypasses_nothing_there_is_is_refused(self, client):
        """The chain that plays stays."""
        shot = client.ask("snapshot")["snapshot"]
        with pytest.raises(RemoteError, match="not in the chain"):
            client.ask("restore", snapshot={**shot, "bypassed": ["plugin[7].x"]})
        assert shot == client.ask("snapshot")["snapshot"]

    def test_a_plugins_bypass_is_heard(self, tmp_path):
        """Noise behind a gain of -120 dB is silent; with that bypassed it is loud."""
        quiet = ("-p", "gain:gain_db=-120")
        with (
            served(tmp_path, "-i", "noise", chain=quiet) as one,
            Client(one.control, timeout_s=60.0) as client,
        ):

            def level_db():
                return client.ask("stats")["stats"]["output"][0]["rms_dbfs"]

            assert level_db() < -100.0
            client.set({"plugin/gain/bypass": True})
            assert reaches(lambda: level_db() > -60.0)
            client.set({"plugin/gain/bypass": False})
            assert reaches(lambda: level_db() < -100.0)

    def test_mute_is_heard(self, server, tmp_path):
        """A muted engine's output level falls to silence, and comes back."""
        with (
            served(tmp_path, "-i", "noise", chain=("-p", "gain")) as loud,
            Client(loud.control, timeout_s=60.0) as client,
        ):

            def level_db():
                return client.ask("stats")["stats"]["output"][0]["rms_dbfs"]

            assert reaches(lambda: level_db() > -60.0)
            client.ask("mute", on=True)
            assert reaches(lambda: level_db() < -100.0)
            client.ask("mute", on=False)
            assert reaches(lambda: level_db() > -60.0)

    def test_a_preset_is_saved_recalled_and_removed(self, client):
        """A preset brings the chain back with its values."""
        client.set({GAIN: -4.0})
        client.ask("save", name="quiet")
        client.set({GAIN: 4.0})
        client.ask("recall", name="quiet")
        assert -4.0 == client.get(GAIN)
        client.ask("forget", name="quiet")
        assert "quiet" not in client.ask("presets")["presets"]
        with pytest.raises(RemoteError, match="there is no preset 'quiet'"):
            client.ask("recall", name="quiet")


class TestLife:
    """Start, stop, reopen; the server itself."""

    def test_stop_start_and_reopen(self, client):
        """Values stay over all of it, also those given while nothing plays."""
        assert "stopped" == client.ask("stop")["state"]
        for k in range(50):
            client.set({GAIN: -0.1 * k})
        assert "running" == client.ask("start")["state"]
        with pytest.raises(RemoteError, match="running already"):
            client.ask("start")
        assert "running" == client.ask("reopen")["state"]
        assert -0.1 * 49 == client.get(GAIN)

    def test_a_client_that_dies_harms_nobody(self, server, client):
        """A client is killed in the middle of its requests; the next one is answered."""
        code = (
            "import sys; from rtcore.remote.client import Client\n"
            "client = Client(sys.argv[1], timeout_s=60.0)\n"
            "while True: client.post('set', values={'plugin/gain/gain_db': -1.0}); "
            "print('sent', flush=True)"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", code, server.control], stdout=subprocess.PIPE, text=True
        )
        assert "sent\n" == child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert "running" == client.ask("state")["state"]

    def test_a_host_that_is_not_there_is_named(self, monkeypatch):
        """Where the name service knows no such host that is said at once; its failure is not."""

        def fail(*_):
            raise socket.gaierror(code, "says the name service")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        code = socket.EAI_NONAME
        with pytest.raises(DeviceError, match=r"//no\.such:9: there is no such host \(says the"):
            Client("no.such:9", timeout_s=60.0)
        code = socket.EAI_AGAIN
        with pytest.raises(DeviceError, match="nobody answers"):
            Client("no.such:9", timeout_s=0.2)

    @pytest.mark.parametrize("host", ["a..b", "a" * 80])
    def test_a_host_that_cannot_be_is_named(self, host):
        """A name with an empty or an overlong piece is refused without asking anybody."""
        with pytest.raises(DeviceError, match="no such host; check its name"):
            Client(f"{host}:9", timeout_s=60.0)

    def test_a_server_that_is_not_there_is_named(self):
        """Nobody answers: the sentence has the address."""
        with pytest.raises(DeviceError, match=r"127\.0\.0\.1:9: nobody answers within 0\.2 s"):
            Client("127.0.0.1:9", timeout_s=0.2)


class TestSessions:
    """Order, replay and connections."""

    def ask(self, socket, **words):
        socket.send(json.dumps({"rtcore": 1, **words}).encode())
        assert socket.poll(60000)
        return json.loads(socket.recv())

    def test_a_replayed_message_is_refused_and_changes_nothing(self, server, client):
        """The same number again, on the same connection and on another one."""
        with zmq.Context() as context, context.socket(zmq.REQ) as first:
            first.linger = 0
            first.connect(server.control)
            session = self.ask(first, verb="hello", id=1)["session"]
            message = {"verb": "set", "id": 2, "session": session, "values": {GAIN: -9.0}}
            assert self.ask(first, **message)["ok"]
            client.set({GAIN: -3.0})
            again = self.ask(first, **message)
            assert (False, "SessionError") == (again["ok"], again["error"]["kind"])
            with context.socket(zmq.REQ) as second:
                second.linger = 0
                second.connect(server.control)
                elsewhere = self.ask(second, **{**message, "id": 3})
                assert "no such session" in elsewhere["error"]["sentence"]
        assert -3.0 == client.get(GAIN)

    def test_a_lost_session_is_made_again(self, client):
        """A client whose session is unknown says hello, and its request is done once."""
        client._session = "of another server"
        client.set({GAIN: -2.0})
        assert -2.0 == client.get(GAIN)

    def test_several_frames_are_refused(self, server):
        """A request is one frame; the answer says so."""
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.connect(server.control)
            socket.send_multipart([b"a", b"b"])
            assert socket.poll(60000)
            assert "one frame, got 2" in json.loads(socket.recv())["error"]["sentence"]

    def test_a_request_that_is_too_long_is_not_even_sent(self, client):
        """The client says what the server would, also where that would close the connection."""
        for size in (70_000, 17 << 20):
            with pytest.raises(RemoteError, match="may have at most 65536 bytes"):
                client.set({GAIN: "x" * size})

    def test_an_unknown_session_is_a_session_error(self, client):
        """Errors of a session have a kind of their own: nothing was done."""
        client._session = "x"
        with pytest.raises(SessionError):
            client.collect(client.post("state"))


class TestTelemetry:
    """What is published."""

    def test_stats_and_changes_are_told(self, client):
        """Statistics come by themselves; then a change comes as an event."""
        watching = client.watch(timeout_s=60.0)
        stats = next(told for topic, told in watching if topic == "stats")
        assert "gain" == stats["plugins"][0]["id"]
        client.set({GAIN: -5.0})
        told = next(told for _, told in watching if told.get("event") == "set")
        assert {GAIN: -5.0} == told["values"]

    def test_a_change_of_state_is_told(self, client):
        """A watcher hears that the engine was stopped, and why."""
        watching = client.watch(timeout_s=60.0)
        next(told for topic, told in watching if topic == "stats")  # from now on it hears all
        client.ask("stop")
        told = next(
            told for topic, told in watching if topic == "event" and told.get("state") == "stopped"
        )
        assert "stopped by a client" == told["reason"]
        client.ask("start")

    def test_a_subscriber_that_never_reads_holds_up_nobody(self, server, client):
        """It loses messages; control and sound go on, and others get theirs."""
        with zmq.Context() as context, context.socket(zmq.SUB) as deaf:
            deaf.linger, deaf.rcvhwm = 0, 1
            deaf.connect(server.telemetry)
            deaf.subscribe(b"")
            for k in range(300):
                client.set({GAIN: -0.01 * k})
            before = blocks(client)
            topic, told = next(client.watch(["stats"], timeout_s=60.0))
            assert ("stats", "running") == (topic, told["state"])
            assert reaches(lambda: blocks(client) > before)

    def test_a_subscriber_that_hangs_costs_others_nothing(self, server, client, tmp_path):
        """A watcher in a process of its own is stopped in its tracks; others miss no message."""
        command = [sys.executable, "-m", "rtcore", "ctl", "--to", server.control, "watch"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path) as hung:
            assert hung.stdout.readline()
            hung.send_signal(signal.SIGSTOP)
            before = blocks(client)
            heard = [told["seq"] for _, told in islice(client.watch(["stats"], timeout_s=60.0), 40)]
            assert list(range(heard[0], heard[0] + 40)) == heard
            assert blocks(client) > before
            hung.send_signal(signal.SIGCONT)
            assert hung.stdout.readline()
            hung.kill()


class TestAddresses:
    """Where a server may listen."""

    @pytest.mark.parametrize(
        ("text", "url", "local"),
        [
            ("127.0.0.1", "tcp://127.0.0.1:5570", True),
            ("tcp://localhost:7", "tcp://localhost:7", True),
            ("[::1]:7", "tcp://[::1]:7", True),
            ("::1", "tcp://[::1]:5570", True),
            ("*:7", "tcp://*:7", False),
            ("0.0.0.0:*", "tcp://0.0.0.0:*", False),
            ("lab-pc.local:7", "tcp://lab-pc.local:7", False),
            ("127.0.0.1.evil.example:7", "tcp://127.0.0.1.evil.example:7", False),
        ],
    )
    def test_an_address_is_read(self, text, url, local):
        """Host and port are found, and whether only this machine reaches it."""
        read = Address.read(text, 5570)
        assert (url, local) == (read.url, read.local)

    @pytest.mark.parametrize(
        "text", ["", ":7", "host:", "host:x", "host:70000", "ipc:///x", "a b:7", "[::1]x"]
    )
    def test_no_address_is_refused(self, text):
        """The sentence shows how to write one."""
        with pytest.raises(ConfigError, match=r"write it like 127\.0\.0\.1:5570"):
            Address.read(text, 5570)

    @pytest.mark.parametrize("option", ["--control", "--telemetry"])
    def test_other_machines_need_keys(self, tmp_path, option):
        """Without keys a server listens to this machine only."""
        done = subprocess.run(
            [sys.executable, "-m", "rtcore", "serve", "--backend", "timer", "-p", "gain",
             "--control", "127.0.0.1:*", "--telemetry", "127.0.0.1:*", option, "0.0.0.0:*"],
            cwd=tmp_path, env={**os.environ}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert 2 == done.returncode
        assert "could connect there without being known" in done.stderr
        assert [] == list(Path(tmp_path).iterdir())
