# SPDX-License-Identifier: MIT
"""Packets: what goes in comes out, and what is no packet is refused with a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore.errors import StreamError
from rtcore.remote.audio.packets import ENCODINGS, Format, Packet, pack, unpack

STEP = {"pcm16": 2.0**-15, "pcm24": 2.0**-23, "float32": 0.0}


def packet(encoding="pcm24", channels=2, frames=48, sequence=7, seed=0):
    """Make one of noise."""
    form = Format(48000, channels, frames, encoding)
    noise = np.random.default_rng(seed).uniform(-1.0, 0.99, (channels, frames))
    return Packet(form, 2**63 + 5, sequence, 1_700_000_000_000_000_000, noise.astype(np.float32))


def answer(message):
    """Give the sentence with which a message is refused, or its packet."""
    try:
        return "", unpack(message)
    except StreamError as error:
        return str(error), None


@given(
    encoding=st.sampled_from(sorted(ENCODINGS)),
    channels=st.integers(1, 8),
    frames=st.integers(1, 960),
    sequence=st.integers(0, 2**53 - 1),
    seed=st.integers(0, 99),
)
def test_round_trip(encoding, channels, frames, sequence, seed):
    """All fields come back, and samples within half a step of their encoding."""
    sent = packet(encoding, channels, frames, sequence, seed)
    got = unpack(pack(sent))
    assert (sent.format, sent.stream, sequence, sent.captured_ns) == (
        got.format,
        got.stream,
        got.sequence,
        got.captured_ns,
    )
    error = np.abs(got.samples.astype(np.float64) - sent.samples).max()
    assert error <= 0.5 * STEP[encoding] + (2.0**-24 if encoding == "pcm24" else 0.0)


def test_pcm_clips_and_silences():
    """Full scale and beyond are clipped; what is not finite is sent as silence."""
    form = Format(48000, 1, 5, "pcm16")
    wild = np.array([[1.0, 7.0, -9.0, np.nan, np.inf]], np.float32)
    got = unpack(pack(Packet(form, 0, 0, 0, wild))).samples
    top = np.float32(32767 / 32768)
    assert np.array_equal(np.array([[top, top, -1.0, 0.0, 0.0]], np.float32), got)


def test_float_that_is_not_finite_is_silence_at_the_receiver():
    """A sender's NaN never reaches a kernel."""
    form = Format(48000, 1, 3, "float32")
    wild = np.array([[np.nan, 0.5, -np.inf]], np.float32)
    assert [[0.0, 0.5, 0.0]] == unpack(pack(Packet(form, 0, 0, 0, wild))).samples.tolist()


@settings(max_examples=1000)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_a_packet(message):
    """Nothing but an error with a sentence or a packet of its own length."""
    for candidate in (message, b"RTCA" + message, b"RTCA\x01" + message):
        said, got = answer(candidate)
        assert got.format.message_bytes == len(candidate) if got else "; " in said


@settings(max_examples=1000)
@given(place=st.integers(0, 47), value=st.integers(0, 255), cut=st.integers(0, 100))
def test_a_damaged_header_never_crashes(place, value, cut):
    """Each byte of the header may be anything, and the end may be missing."""
    message = bytearray(pack(packet()))
    message[place] = value
    said, got = answer(bytes(message[: len(message) - cut]))
    assert np.isfinite(got.samples).all() if got else "; " in said


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((48000, 1, 480, "mp3"), "cannot hold 'mp3'"),
        ((999, 1, 480, "pcm16"), "a sample rate of 1000 to 384000 suits packets, got 999"),
        ((48000, 65, 480, "pcm16"), "a channel count of 1 to 64 suits packets, got 65"),
        ((48000, 1, 0, "pcm16"), "a length in frames of"),
        ((384000, 64, 38400, "float32"), "may have at most"),
    ],
)
def test_impossible_formats(words, part):
    """Each is refused with what was found."""
    with pytest.raises(StreamError, match=part):
        Format(*words)


def test_samples_of_another_shape_are_not_packed():
    """Half a packet is a mistake of the caller's."""
    sent = packet()
    with pytest.raises(StreamError, match="cut the sound into whole packets"):
        pack(Packet(sent.format, 0, 0, 0, sent.samples[:, :7]))
