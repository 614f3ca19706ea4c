# SPDX-License-Identifier: MIT
"""A hundred thousand messages that are no packets, or not this stream's, at a receiver that plays.

A publisher in this process throws them at an ``rtcore receive`` in its own; it may not drop any
(XPUB_NODROP), so that the receiver's counts can be compared with what was thrown.
"""

from __future__ import annotations

import json
import re
import signal
import struct
import time
from contextlib import contextmanager

import numpy as np
import pytest
import zmq
from audio_links import free_port, receiving
from commands import rtcore
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import PATIENCE_S, reaches

from rtcore import audiofile
from rtcore.remote.addresses import Address
from rtcore.remote.audio.packets import MOST_BYTES, Format, Packet, pack
from rtcore.remote.client import listen
from rtcore.remote.sockets import Sockets

RATE, FRAMES = 16000, 320
FORM = Format(RATE, 1, FRAMES, "float32")
STREAM = 77
HEADER = 48
BULK = 100_000


def message(sequence, value=0.25, stream=STREAM, form=FORM):
    """Make a packet of one value."""
    samples = np.full((form.channels, form.frames), value, np.float32)
    return pack(Packet(form, stream, sequence, time.time_ns(), samples))


def bad(rng, kind):
    """Make a message that is to be refused, of one of six kinds."""
    good = bytearray(message(int(rng.integers(1 << 20))))
    match kind:
        case 0:  # noise, with the topic in front
            return b"RTCA" + rng.bytes(int(rng.integers(200)))
        case 1:  # cut
            return bytes(good[: rng.integers(4, len(good))])
        case 2:  # too long
            return bytes(good) + rng.bytes(int(rng.integers(1, 200)))
        case 3:  # a header out of range: version, encoding, channels, the zero
            good[int(rng.choice([4, 5, 6, 7]))] = int(rng.integers(65, 256))
        case 4:  # a rate or length that cannot be
            struct.pack_into(
                "<I", good, int(rng.choice([32, 36])), int(rng.integers(1 << 31, 1 << 32))
            )
        case 5:  # another format than the stream's
            return message(3, form=Format(RATE, 2, FRAMES, "pcm16"))
    return bytes(good)


class Aim:
    """A receiver that plays without a device, and the publisher that throws at it."""

    def __init__(self, socket, telemetry):
        self.socket = socket
        self.telemetry = telemetry
        self.number, self.sequence = STREAM, 0

    def begin(self):
        """Let the next packets be another stream's."""
        self.number, self.sequence = self.number + 1, 0

    def stream(self, seconds):
        """Send good packets in real time."""
        begun = time.monotonic()
        for k in range(round(seconds * RATE / FRAMES)):
            self.socket.send(message(self.sequence, stream=self.number))
            self.sequence += 1
            time.sleep(max(0.0, begun + k * FRAMES / RATE - time.monotonic()))

    def subscribed(self, sign):
        """Wait until the receiver has come (1) or gone (0)."""
        while True:
            assert self.socket.poll(round(1e3 * PATIENCE_S))
            if self.socket.recv() == sign + b"RTCA":
                return

    def told(self):
        """Give the newest statistics."""
        with Sockets() as sockets:
            where = Address.read(self.telemetry, 1)
            _, told = next(listen(sockets, where, ["stats"], timeout_s=PATIENCE_S))
            return told


@pytest.fixture(scope="module")
def aim(tmp_path_factory):
    """A receiver that has heard its first packets."""
    with aimed(tmp_path_factory.mktemp("aim")) as one:
        yield one


@contextmanager
def aimed(folder, *words):
    """Start a receiver; end it as Ctrl-C does, and look whether it ended well."""
    port, telemetry = free_port(), f"127.0.0.1:{free_port()}"
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.linger = 0
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        socket.bind(f"tcp://127.0.0.1:{port}")
        process = receiving(port, "--telemetry", telemetry, *words, cwd=folder)
        try:
            one = Aim(socket, telemetry)
            one.subscribed(b"\x01")
            one.stream(0.1)
            one.told()  # its engine plays
            yield one
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
    assert 0 == process.returncode, err
    assert "Traceback" not in err
    assert json.loads(out)["network"]["received"] > 0


def refused(aim):
    """Give how many messages were refused."""
    return aim.told()["network"]["refused_messages"]


def assert_plays(aim):
    """A stream that begins now is played, and nothing else reached a kernel."""
    before = aim.told()["network"]["packets"]
    aim.begin()
    aim.stream(1.0)
    told = aim.told()
    assert told["network"]["packets"] > before
    assert 0 == told["input_faults"]
    assert [] == [p for p in told["plugins"] if p["faults"] or p["muted"]]


def test_a_hundred_thousand_bad_messages(aim):
    """Each is counted and refused with a sentence; the receiver plays on afterwards."""
    rng = np.random.default_rng(0)
    pool = [bad(rng, k % 6) for k in range(3000)]
    before = refused(aim)
    for k in range(BULK):
        aim.socket.send(pool[k % len(pool)])
    assert reaches(lambda: refused(aim) == before + BULK)
    assert "; " in aim.told()["network"]["refusal"]
    assert_plays(aim)


@settings(max_examples=200)
@given(
    place=st.integers(4, HEADER - 1),
    value=st.integers(0, 255),
    cut=st.integers(0, 100),
    rest=st.binary(max_size=64),
)
def test_damaged_packets(aim, place, value, cut, rest):
    """Any byte of the header may be anything, the end may be missing, or something may follow."""
    damaged = bytearray(message(aim.sequence))
    damaged[place] = value
    aim.socket.send(bytes(damaged[: len(damaged) - cut]) + rest)
    aim.socket.send(b"RTCA" + rest)
    aim.socket.send_multipart([b"RTCA", rest])


@pytest.fixture(autouse=True, scope="module")
def _plays_at_the_end(aim):
    """Whatever was begun by then (another stream, a place far ahead), a good stream is played."""
    yield
    assert_plays(aim)


def test_replayed_and_wild_numbers_are_not_played(aim):
    """Old, repeated and impossible numbers of the stream that plays are counted, not heard."""
    aim.begin()
    aim.stream(1.0)
    before = aim.told()["network"]
    recorded = [message(k, stream=aim.number) for k in range(aim.sequence)]
    for _ in range(25):
        for packet in recorded:
            aim.socket.send(packet)
    aim.stream(0.5)
    after = aim.told()["network"]
    assert after["late"] + after["duplicates"] - before["late"] - before["duplicates"] > 500
    assert 0 == aim.told()["input_faults"]


def test_a_message_above_the_limit_closes_its_connection_only(aim):
    """More than a mebibyte is not read; the receiver connects again, and plays."""
    aim.socket.send(b"RTCA" + bytes(MOST_BYTES))
    aim.subscribed(b"\x00")
    aim.subscribed(b"\x01")
    assert_plays(aim)


def test_top_shows_the_network(aim, tmp_path):
    """`rtcore top` has lines about packets, bursts and the buffer, with what was counted."""
    aim.begin()
    aim.stream(0.5)
    assert reaches(lambda: "packets" in aim.told()["network"])
    before = aim.told()["network"]
    done = rtcore("top", "--telemetry", aim.telemetry, "--timeout", 60, cwd=tmp_path)
    assert 0 == done.returncode, done.stderr
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert {"network", "bursts", "buffer"} < set(lines)
    refused, after = re.search(r"refused (\d+), begun", lines["network"]), aim.told()["network"]
    assert before["refused_messages"] <= int(refused[1]) <= after["refused_messages"]
    assert f"of {before['target_ms']:.1f} ms, jitter" in lines["buffer"]
    assert "latency p50" in lines["buffer"]


def test_what_is_heard_is_the_stream_alone(tmp_path):
    """Between bad messages, packets of one value are heard as that value, bit for bit."""
    rng = np.random.default_rng(1)
    with aimed(tmp_path, "-p", "gain", "--record-input", "came.wav") as aim:
        for k in range(50):
            for kind in range(6):
                aim.socket.send(bad(rng, kind))
            aim.stream(FRAMES / RATE)
            time.sleep(FRAMES / RATE if k else 0.0)
        time.sleep(0.5)
    came = audiofile.read(tmp_path / "came.wav")[0]
    assert {0.0, 0.25} == set(np.unique(came).tolist())
