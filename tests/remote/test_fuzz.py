# SPDX-License-Identifier: MIT
"""Any bytes at all, thrown at a server in a process of its own while it plays."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from itertools import count

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore.remote.client import Client

VARIANTS = 9  # of each message: with some letters changed, cut, or sent again as it was
MESSAGES = 10
NUMBERS = st.integers() | st.floats() | st.sampled_from([-120, 40, 40.001, 1e308, 2**63, -0.0])
DEVICES = st.sampled_from(["/dev/zero", "/dev/tty", "/proc/kmsg", "../../etc/passwd", "/dev/full"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.text(max_size=20) | DEVICES | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
PATHS = st.sampled_from(
    ["plugin/gain/gain_db", "plugin/compressor/attack_ms", "plugin/compressor/linked",
     "plugin/0/gain_db", "plugin/1/threshold", "engine/bypass", "engine/volume_db",
     "engine/state", "plugin/gain/self", "plugin//", "plugin/99/x"]
) | st.text(max_size=30)  # fmt: skip
CHAINS = st.fixed_dictionaries(
    {
        "plugin": st.lists(
            st.fixed_dictionaries(
                {"id": st.sampled_from(["gain", "mix", "x"])},
                optional={"gain_db": VALUES, "taps": VALUES, "bundle": VALUES},
            ),
            max_size=4,
        )
    },
    optional={
        "listeners": VALUES,
        "sample_rate": VALUES,
        "channels": VALUES,
        "max_frames": VALUES,
        "dtype": VALUES,
    },
)
REQUESTS = st.one_of(
    st.fixed_dictionaries({"verb": st.just("get"), "path": PATHS | VALUES}),
    st.fixed_dictionaries(
        {"verb": st.just("set"), "values": st.dictionaries(PATHS, VALUES, max_size=3) | VALUES}
    ),
    st.fixed_dictionaries({"verb": st.just("load"), "chain": CHAINS | VALUES}),
    st.fixed_dictionaries({"verb": st.just("restore"), "snapshot": VALUES}),
    st.fixed_dictionaries({"verb": st.sampled_from(["bypass", "mute"]), "on": VALUES}),
    st.fixed_dictionaries({"verb": st.sampled_from(["recall", "forget"]), "name": VALUES}),
    st.fixed_dictionaries({"verb": st.text(max_size=10)}),
    st.dictionaries(st.text(max_size=10), VALUES, max_size=4),
)
#: Where a letter changes, to what, and whether the rest is cut; nothing changes at -1.
CHANGES = st.tuples(st.integers(-1, 250), st.integers(0, 255), st.booleans())
BATCH = st.lists(
    st.tuples(
        REQUESTS | st.binary(max_size=80),
        st.booleans(),
        st.lists(CHANGES, min_size=VARIANTS, max_size=VARIANTS),
    ),
    min_size=MESSAGES,
    max_size=MESSAGES,
)


def variant(body, change):
    """Change one letter of a message, or cut it there."""
    at, letter, cut = change
    if at < 0 or at >= len(body):
        return body
    return body[:at] if cut else body[:at] + bytes([letter]) + body[at + 1 :]


class Thrower:
    """One connection with a good session, over which anything is sent."""

    def __init__(self, url):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(url)
        self.numbers = count(1)
        hello = {"rtcore": 1, "verb": "hello", "id": next(self.numbers)}
        (said,) = self.throw([json.dumps(hello).encode()])
        self.session = said["session"]

    def body_of(self, request, polite):
        """Write a request as JSON; with all that a session needs, if it is polite."""
        if isinstance(request, bytes):
            return request
        head = {"rtcore": 1, "id": next(self.numbers), "session": self.session} if polite else {}
        return json.dumps({**request, **head}).encode("utf-8", "surrogatepass")

    def throw(self, bodies):
        """Send everything, then give as many answers."""
        for body in bodies:
            self.socket.send(body)
        answers = []
        for _ in bodies:
            assert self.socket.poll(120000), "a message was not answered"
            answers.append(json.loads(self.socket.recv()))
        return answers


@pytest.fixture(scope="module")
def thrower(server):
    """A connection on which the fuzzers throw."""
    one = Thrower(server.control)
    yield one
    one.context.destroy(linger=0)


def throw_batch(server, thrower, batch):
    """Throw messages and their variants; each is answered, and nothing breaks."""
    bodies = []
    for request, polite, changes in batch:
        body = thrower.body_of(request, polite)
        bodies += [body, *(variant(body, change) for change in changes)]
    for answer in thrower.throw(bodies):
        assert answer["rtcore"] == 1
        assert answer["ok"] or answer["error"]["sentence"]
        assert answer["ok"] or answer["error"]["kind"] != "Mistake", answer
    assert server.alive()


def assert_whole(server):
    """The engine plays, nothing reached a kernel that should not have, and values are in range."""
    with Client(server.control, timeout_s=120.0) as client:
        stats = client.ask("stats")["stats"]
        assert ("running", 0) == (stats["state"], stats["input_faults"])
        assert [] == [p for p in stats["plugins"] if p["faults"] or p["muted"]]
        for plugin in client.ask("list")["plugins"]:
            for about in plugin["parameters"].values():
                if about["kind"] == "live":
                    assert about["min"] is None or about["value"] >= about["min"]
                    assert about["max"] is None or about["value"] <= about["max"]
        client.ask("load", chain={"plugin": [{"id": "gain"}, {"id": "compressor"}]})
        client.set({"engine/bypass": False, "engine/mute": False, "plugin/gain/gain_db": -6.0})
        assert -6.0 == client.get("plugin/gain/gain_db")


@given(batch=BATCH)
@settings(max_examples=25)
def test_thousands_of_messages(server, thrower, batch):
    """2,500 messages: each is answered, with a sentence where it is refused."""
    throw_batch(server, thrower, batch)


def test_the_server_is_whole_afterwards(server, thrower):
    """It plays with values in range, and takes a good chain and a good value."""
    assert_whole(server)


@pytest.mark.slow
@given(batch=BATCH)
@settings(max_examples=1000)
def test_a_hundred_thousand_messages(server, thrower, batch):
    """100,000 messages: each is answered, with a sentence where it is refused."""
    throw_batch(server, thrower, batch)


@pytest.mark.slow
def test_the_server_is_whole_after_a_hundred_thousand(server, thrower):
    """As after the thousands."""
    assert_whole(server)


GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00NULL" + b"\0" * 48


@given(
    start=st.sampled_from([b"", GREETING[:10], GREETING, b"GET / HTTP/1.1\r\n\r\n"]),
    rest=st.binary(max_size=200),
)
@settings(max_examples=100)
def test_bytes_that_are_not_even_zeromq(server, start, rest):
    """Whatever a stranger writes to the ports, the server stays."""
    for url in (server.control, server.telemetry):
        host, _, port = url.removeprefix("tcp://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as raw, suppress(OSError):
            raw.sendall(start + rest)
    assert server.alive()


def test_strangers_have_changed_nothing(server, thrower):
    """After bytes that are not even ZeroMQ clients are answered as before."""
    assert_whole(server)


@pytest.mark.parametrize("size", [65537, 1 << 20, 10 << 20])
def test_a_message_that_is_too_long_is_answered(server, thrower, size):
    """The sentence has both numbers."""
    (said,) = thrower.throw([b" " * size])
    assert f"at most 65536 bytes, got {size}" in said["error"]["sentence"]


def test_a_huge_message_closes_its_connection_only(server):
    """Above 16 MiB nothing is read; others are answered."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as huge:
        huge.linger = 0
        huge.connect(server.control)
        huge.send(b" " * ((16 << 20) + 1))
        assert 0 == huge.poll(300)
        with Client(server.control, timeout_s=120.0) as client:
            assert client.ask("state")["state"]
