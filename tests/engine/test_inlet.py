# SPDX-License-Identifier: MIT
"""The inlet: packets in, device blocks out, without a network."""

from __future__ import annotations

import time

import numpy as np
import pytest

from rtcore import Chain
from rtcore.engine.backends.timer import FileBackend, TimerBackend
from rtcore.engine.engine import Engine
from rtcore.engine.inlet import FAR, HALF_TAPS, LATE, PUT, TWICE, Inlet
from rtcore.engine.inlet_block import inlet_block
from rtcore.engine.native import NativeEngine
from rtcore.engine.safety import Safety
from rtcore.errors import DeviceError, StreamError
from rtcore.host import find

RATE, PACKET = 48000, 480


class Device:
    """Takes blocks of an engine with an inlet, one after another."""

    def __init__(self, elements=(), slots=64):
        self.chain = Chain(list(elements), sample_rate=RATE, channels=1)
        self.inlet = Inlet(RATE, 1, PACKET, slots=slots)
        self.inlet.attach(self.chain)
        self.native = NativeEngine(self.chain, Safety(enabled=False), paced=True)
        self.native.record["inlet"] = self.inlet.address
        self.told = []
        self.chain.stream.on_event = self.told.append

    def play(self, frames):
        """Give a block."""
        heard = np.zeros(frames, np.float32)
        target = np.array([heard.ctypes.data], np.uint64)
        inlet_block(self.native.address, target, 1, frames, np.int64(2**62), np.dtype(np.float32))
        self.chain.stream.poll()
        return heard


def sine(frames, hz=1000.0):
    """Make one of half full scale."""
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(frames) / RATE)).astype(np.float32)


@pytest.mark.parametrize("block", [1, 64, 480, 700, 2000])
def test_passes_packets_on_untouched(block):
    """At equal clocks the device gets the packets' own bits, HALF_TAPS frames later."""
    device, sound = Device(), sine(PACKET * 10)
    device.inlet.begin(3, 0)
    for k in range(10):
        assert device.inlet.put(3 + k, 0, sound[None, k * PACKET : (k + 1) * PACKET]) == PUT
    heard = np.concatenate([device.play(block) for _ in range(4000 // block)])
    begin = HALF_TAPS - (HALF_TAPS - 1) - 1
    count = heard.size - begin
    assert np.array_equal(sound[:count], heard[begin:])


@pytest.mark.parametrize("ppm", [-300.0, 200.0, 9000.0])
def test_resamples_to_the_device(ppm):
    """A sine comes out at the other clock's pitch, to 80 dB."""
    device, sound = Device(), sine(PACKET * 40, 3000.0)
    device.inlet.begin(0, 0)
    for k in range(40):
        device.inlet.put(k, 0, sound[None, k * PACKET : (k + 1) * PACKET])
    device.inlet.set_step(1.0 + 1e-6 * ppm)
    heard = np.concatenate([device.play(64) for _ in range(250)])[1000:]
    place = (1.0 + 1e-6 * ppm) * np.arange(1000, 1000 + heard.size)
    expected = 0.5 * np.sin(2 * np.pi * 3000.0 * place / RATE)
    assert np.abs(heard - expected).max() < 0.5e-4


def test_a_packet_that_is_not_there_is_lost():
    """Its frames are silence with LOST, told to the log; it counts, and comes too late after."""
    device, sound = Device(), sine(PACKET)
    device.inlet.begin(0, 0)
    for k in (0, 1, 4):
        device.inlet.put(k, 0, sound[None])
    for _ in range(9):
        device.play(240)
    assert [(960, 1), (1920, 0)] == [(told["frame"], told["flags"]) for told in device.told]
    assert (5, 2) == (device.inlet.counts()["packets"], device.inlet.counts()["lost"])
    assert {"2": 1} == device.inlet.counts()["bursts"]
    assert LATE == device.inlet.put(2, 0, sound[None])
    assert LATE == device.inlet.put(4, 0, sound[None])
    assert PUT == device.inlet.put(5, 0, sound[None])
    assert TWICE == device.inlet.put(5, 0, sound[None])
    assert FAR == device.inlet.put(5 + 64, 0, sound[None])


def test_conceals_as_offline_at_any_step():
    """What the chain makes of packets and losses depends neither on blocks nor on the clocks."""
    sound, lost = sine(PACKET * 30, 333.0), {5, 6, 11, 20}
    device = Device([find("plc-pitch")()])
    memory = []
    ring = device.native.tap("tap_out", 1 << 16)
    device.inlet.begin(0, 0)
    for k in sorted(set(range(30)) - lost):
        device.inlet.put(k, 0, sound[None, k * PACKET : (k + 1) * PACKET])
    for k, block in enumerate([64, 7, 300, 512] * 15):
        device.inlet.set_step(1.0 + 1e-4 * (k % 5))
        device.play(block)
        memory.append(ring.take())
    heard = np.concatenate(memory)[:, 0]
    chain = Chain([find("plc-pitch")()], sample_rate=RATE, channels=1)
    expected = []
    for k in range(heard.size // PACKET):
        piece = sound[k * PACKET : (k + 1) * PACKET] * np.float32(k not in lost)
        expected.append(chain.process(piece, lost=k in lost))
    expected = np.concatenate(expected)
    assert expected.size > 25 * PACKET
    assert np.array_equal(expected, heard[: expected.size])


def test_waits_for_its_start_and_begins_anew():
    """Before the first start there is plain silence; between two streams it counts as a gap."""
    device, sound = Device(), sine(PACKET)
    device.inlet.begin(0, time.monotonic_ns() + 10**15)
    device.inlet.put(0, 0, sound[None])
    assert not device.play(2000).any()
    assert device.told == []
    device.inlet.begin(0, 0)
    assert device.inlet.margin_frames(0, 0) is None
    assert device.play(480).any()
    device.inlet.pause()
    device.play(960)
    assert device.told[-1]["flags"] == 1
    assert device.inlet.counts()["gap_s"] > 0.01
    device.inlet.begin(900, 0)
    device.inlet.put(900, 0, sound[None])
    device.play(480)
    assert 2 == device.told[-1]["flags"]  # DISCONTINUITY, and no loss


def test_the_margin_counts_down():
    """How long a packet's turn is away, in frames of its own clock."""
    device, sound = Device(), sine(PACKET)
    device.inlet.begin(0, 0)
    for k in range(5):
        device.inlet.put(k, 0, sound[None])
    device.play(480)
    mark_ns = int(device.inlet.record["mark_ns"][0])
    place = int(device.inlet.record["play"][0]) * PACKET + int(device.inlet.record["offset"][0])
    assert 4 * PACKET - place == device.inlet.margin_frames(4, mark_ns)
    assert 4 * PACKET - place - 48 == device.inlet.margin_frames(4, mark_ns + 1_000_000)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ({"sample_rate": 44100, "channels": 1}, "44100 Hz, 1 channels"),
        ({"sample_rate": RATE, "channels": 2}, "48000 Hz, 2 channels"),
        ({"sample_rate": RATE, "channels": 1, "dtype": "float64"}, "float64"),
        ({"sample_rate": RATE, "channels": 1, "block_frames": 64}, "blocks of 64 frames"),
    ],
)
def test_refuses_another_chain(words, part):
    """A chain that was made for another stream is refused before anything plays."""
    with pytest.raises(StreamError, match=part):
        Engine(Chain([], **words), TimerBackend(), inlet=Inlet(RATE, 1, PACKET))


def test_refuses_a_backend_without_a_clock():
    """Packets come in real time."""
    chain = Chain([], sample_rate=RATE, channels=1)
    with pytest.raises(DeviceError, match="packets come in real time"):
        Engine(chain, FileBackend(), inlet=Inlet(RATE, 1, PACKET))


def test_refuses_half_a_packet():
    """The samples must be a whole packet."""
    with pytest.raises(StreamError, match="a packet must hold samples of the shape"):
        Inlet(RATE, 1, PACKET).put(0, 0, np.zeros((1, 7), np.float32))
