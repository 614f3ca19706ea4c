# SPDX-License-Identifier: MIT
"""``rtcore.Concealer``: packets in, samples out."""

from __future__ import annotations

import numpy as np
import pytest

import rtcore
from rtcore import Chain, Concealer, ParameterError, PluginError, StreamError
from rtcore.plugins import PlcPitch, PlcRepeat
from rtcore.synth import speech_like

PACKET = 320


def packets(dtype="float32", channels=1, count=40):
    """Give speech-like packets, of which every fourth is lost."""
    x = speech_like(1.0, 16000.0)[: PACKET * count].reshape(count, 1, PACKET)
    x = np.repeat(x, channels, axis=1)
    x = np.rint(10 * x * 32767).astype("int16") if dtype == "int16" else x.astype(dtype)
    return [None if k % 4 == 3 else p for k, p in enumerate(x)]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equals_a_chain(channels, dtype):
    """What comes out is what a chain gives that is told of the losses."""
    concealer = Concealer(channels=channels, dtype=dtype)
    chain = Chain([PlcPitch()], sample_rate=16000, channels=channels, dtype=dtype)
    for packet in packets(dtype, channels):
        heard = np.zeros((channels, PACKET), dtype) if packet is None else packet
        expected = chain.process(heard, lost=packet is None)
        assert expected.tobytes() == concealer.push(packet).tobytes()


def test_int16_goes_through_unchanged():
    """Packets of int16 that came come out as they were, past the cross-fade, and losses filled."""
    concealer = Concealer("plc-repeat", dtype="int16")
    for packet in packets("int16"):
        y = concealer.push(packet)
        assert np.int16 == y.dtype
        if packet is not None:
            assert np.array_equal(packet[:, 40:], y.reshape(1, -1)[:, 40:])
    assert concealer.push(None).any()


def test_shapes():
    """A packet comes out in the shape in which it went in, a lost one in that of the last."""
    concealer = Concealer()
    assert (320,) == concealer.push(None).shape
    assert (1, 320) == concealer.push(np.zeros((1, 320), np.float32)).shape
    assert (1, 320) == concealer.push(None).shape
    assert (320,) == concealer.push(np.zeros(320, np.float32)).shape
    assert (320,) == concealer.push(None).shape
    assert (2, 480) == Concealer(sample_rate=48000, channels=2, packet_ms=10).push(None).shape


def test_latency_and_reset():
    """It is not late, and after a reset it has forgotten all."""
    concealer = Concealer()
    assert 0 == concealer.latency_frames
    concealer.push(np.ones(320, np.float32))
    concealer.reset()
    assert not concealer.push(None).any()


@pytest.mark.parametrize(
    "source",
    [
        "plc-repeat",
        PlcRepeat(),
        Chain([PlcRepeat()], sample_rate=16000, channels=1, block_frames=320),
    ],
    ids=["id", "plugin", "chain"],
)
def test_sources(source):
    """A plugin's id, a plugin and a chain conceal alike."""
    concealer = Concealer(source)
    concealer.push(np.full(320, 0.5, np.float32))
    assert 0.35 == pytest.approx(concealer.push(None)[-1])


def test_chain_file(tmp_path):
    """A chain file conceals, too, in the packets' stream."""
    file = tmp_path / "plc.toml"
    file.write_text('[[plugin]]\nid = "plc-repeat"\npacket_ms = 10.0\n', "utf-8")
    concealer = Concealer(file, packet_ms=10)
    concealer.push(np.full(160, 0.5, np.float32))
    assert 0.35 == pytest.approx(concealer.push(None)[-1])


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"packet_ms": 0.33}, ParameterError, "must make whole frames, got 0.33 ms"),
        ({"packet_ms": float("nan")}, ParameterError, "must make whole frames"),
        ({"packet_ms": -20.0}, ParameterError, "must make whole frames"),
        ({"dtype": "int32"}, ParameterError, "must be .* got int32"),
        ({"dtype": np.int32}, ParameterError, "must be .* got int32"),
        ({"dtype": "no type"}, ParameterError, "must be .* got 'no type'"),
        ({"dtype": None}, ParameterError, "must be .* got None"),
        ({"sample_rate": "16000"}, ParameterError, "sample_rate: must be a number, got '16000'"),
        ({"packet_ms": None}, ParameterError, "packet_ms: must be a number, got None"),
        ({"plugin_or_chain": "plc-pich"}, PluginError, "plc-pitch"),
        ({"plugin_or_chain": 3}, ParameterError, "must be a plugin, its id, a chain"),
        ({"plugin_or_chain": Chain([])}, ParameterError, "48000 Hz, 2 channels and float32"),
        (
            {"plugin_or_chain": Chain([], sample_rate=16000, channels=1, block_frames=100)},
            ParameterError,
            "promised blocks of 100 frames, and packets have 320",
        ),
    ],
)
def test_refused_when_made(arguments, error, sentence):
    """What cannot work is refused with the numbers."""
    with pytest.raises(error, match=sentence):
        Concealer(**arguments)


@pytest.mark.parametrize(
    ("packet", "sentence"),
    [
        (np.zeros(319, np.float32), r"must have the shape \(320,\), got \(319,\)"),
        (np.zeros((2, 320), np.float32), r"got \(2, 320\)"),
        (np.zeros(320), "must hold float32, got float64"),
        ([0] * 320, "must hold float32, got int64"),
    ],
)
def test_refused_when_pushed(packet, sentence):
    """A packet of another shape or type is refused, and the stream goes on."""
    concealer = Concealer()
    with pytest.raises(StreamError, match=sentence):
        concealer.push(packet)
    assert (320,) == concealer.push(None).shape


@pytest.mark.parametrize("dtype", [np.int16, np.float64, np.dtype("float32")])
def test_types_of_numpy(dtype):
    """A type may be given as NumPy's own."""
    concealer = Concealer(dtype=dtype)
    assert np.dtype(dtype) == concealer.push(np.zeros(320, dtype)).dtype


def test_found_in_the_package():
    """The name is among those of the package."""
    assert "Concealer" in dir(rtcore)
