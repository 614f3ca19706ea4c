# SPDX-License-Identifier: MIT
"""Packets of sound: a header of 48 bytes, then interleaved samples; all in little-endian order.

======  =====  =====================================================================
offset  type   field
======  =====  =====================================================================
0       4s     ``RTCA``, which is also the ZeroMQ topic
4       u8     version of this format, 1
5       u8     encoding: 0 PCM of 16 bits, 1 PCM of 24 bits, 2 float of 32 bits
6       u8     channels, 1 to 64
7       u8     0
8       u64    stream: a random number for each start of a sender
16      u64    sequence: 0, 1, 2, ... of the packets of a stream
24      i64    nanoseconds since 1970 at which the packet's first frame was captured
32      u32    sample rate in Hz, 1000 to 384000
36      u32    frames of the packet, the same in all packets of a stream
40      u64    0
======  =====  =====================================================================
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtcore.errors import StreamError, did_you_mean

__all__ = ["ENCODINGS", "MOST_BYTES", "TOPIC", "Format", "Packet", "pack", "unpack"]

TOPIC = b"RTCA"
VERSION = 1
#: Name to (number, bytes of a sample).
ENCODINGS: dict[str, tuple[int, int]] = {"pcm16": (0, 2), "pcm24": (1, 3), "float32": (2, 4)}
_NAMES = {number: name for name, (number, _) in ENCODINGS.items()}
_HEADER = struct.Struct("<4sBBBBQQqIIQ")
_MOST_CHANNELS = 64
_MOST_FRAMES = 384 * 100
_MOST_SEQUENCE = 2**53
#: No message may be longer.
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Format:
    """What all packets of a stream have in common.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    channels : int
        1 to 64.
    frames : int
        Of each packet.
    encoding : str
        ``"pcm16"``, ``"pcm24"`` or ``"float32"``.

    Raises
    ------
    StreamError
        Where one of them is impossible.
    """

    sample_rate: int
    channels: int
    frames: int
    encoding: str = "pcm24"

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            hint = did_you_mean(str(self.encoding), ENCODINGS)
            held = f"packets cannot hold '{self.encoding}'{hint}"
            raise StreamError(f"{held}; choose {', '.join(ENCODINGS)}")
        self._between("a sample rate of", self.sample_rate, 1000, 384000)
        self._between("a channel count of", self.channels, 1, _MOST_CHANNELS)
        self._between("a length in frames of", self.frames, 1, _MOST_FRAMES)
        if self.message_bytes > MOST_BYTES:
            what = f"a packet may have at most {MOST_BYTES} bytes, got {self.message_bytes}"
            raise StreamError(f"{what}; send shorter packets")

    @staticmethod
    def _between(what: str, value: int, low: int, high: int) -> None:
        if not low <= value <= high:
            msg = f"{what} {low} to {high} suits packets, got {value}; set the sender right"
            raise StreamError(msg)

    @property
    def message_bytes(self) -> int:
        """Length of a message."""
        return _HEADER.size + self.frames * self.channels * ENCODINGS[self.encoding][1]

    @property
    def seconds(self) -> float:
        """Duration of a packet."""
        return self.frames / self.sample_rate

    def __str__(self) -> str:
        ms = 1e3 * self.seconds
        return f"{self.sample_rate} Hz, {self.channels} channels, {ms:g} ms of {self.encoding}"


@dataclass(frozen=True)
class Packet:
    """One packet.

    Attributes
    ----------
    format : Format
        What it holds.
    stream, sequence : int
        Which start of a sender, and its place in that stream.
    captured_ns : int
        Time since 1970 of its first frame.
    samples : ndarray of float32, shape (channels, frames)
        Full scale is 1.0.
    """

    format: Format
    stream: int
    sequence: int
    captured_ns: int
    samples: np.ndarray[Any, Any]


def pack(packet: Packet) -> bytes:
    """Make the message of a packet; PCM is rounded to the nearest step and clipped.

    Raises
    ------
    StreamError
        Where the samples have another shape than the format says.
    """
    form = packet.format
    if packet.samples.shape != (form.channels, form.frames):
        expected = (form.channels, form.frames)
        what = f"a packet must hold samples of the shape {expected}, got {packet.samples.shape}"
        raise StreamError(f"{what}; cut the sound into whole packets")
    header = _HEADER.pack(
        TOPIC,
        VERSION,
        ENCODINGS[form.encoding][0],
        form.channels,
        0,
        packet.stream,
        packet.sequence,
        packet.captured_ns,
        form.sample_rate,
        form.frames,
        0,
    )
    return header + _encoded(np.ascontiguousarray(packet.samples.T), form.encoding)


def _encoded(interleaved: np.ndarray[Any, Any], encoding: str) -> bytes:
    """Encode samples; what is not finite becomes silence."""
    if encoding == "float32":
        return interleaved.astype("<f4").tobytes()
    bits = 16 if encoding == "pcm16" else 24
    scale = float(1 << (bits - 1))
    finite = np.nan_to_num(interleaved.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    steps = np.clip(np.rint(finite * scale), -scale, scale - 1.0).astype("<i4")
    if bits == 16:
        return steps.astype("<i2").tobytes()
    return steps.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def unpack(message: bytes) -> Packet:
    """Read a message.

    Raises
    ------
    StreamError
        Where it is no packet, or not what its header says.
    """
    if len(message) < _HEADER.size or len(message) > MOST_BYTES:
        low, high = _HEADER.size, MOST_BYTES
        msg = f"a packet has {low} to {high} bytes, got {len(message)}; connect to a sender"
        raise StreamError(msg)
    fields = _HEADER.unpack_from(message)
    topic, version, encoding, channels, zero, stream, sequence, captured_ns, *rest = fields
    rate, frames, reserved = rest
    if topic != TOPIC:
        begins = f"a packet begins with {TOPIC!r}, got {topic!r}; connect to a sender of rtcore"
        raise StreamError(begins)
    if version != VERSION:
        versions = f"packets of version {VERSION} are understood, got version {version}"
        raise StreamError(f"{versions}; use one version of rtcore at both ends")
    if encoding not in _NAMES or zero != 0 or reserved != 0 or sequence >= _MOST_SEQUENCE:
        header = "a packet's header holds numbers that this version does not know"
        raise StreamError(f"{header}; use one version of rtcore at both ends")
    form = Format(rate, channels, frames, _NAMES[encoding])
    if len(message) != form.message_bytes:
        length = f"a packet of {form} has {form.message_bytes} bytes, got {len(message)}"
        raise StreamError(f"{length}; look for what changes messages on the way")
    return Packet(form, stream, sequence, captured_ns, _decoded(message, form))


def _decoded(message: bytes, form: Format) -> np.ndarray[Any, Any]:
    """Give the samples as planar float32."""
    body = memoryview(message)[_HEADER.size :]
    if form.encoding == "float32":
        flat = np.frombuffer(body, "<f4").astype(np.float32)
        flat = np.where(np.isfinite(flat), flat, np.float32(0.0))
    elif form.encoding == "pcm16":
        flat = np.frombuffer(body, "<i2").astype(np.float32) / np.float32(1 << 15)
    else:
        wide = np.zeros((form.frames * form.channels, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
        flat = wide.view("<i4")[:, 0].astype(np.float32) / np.float32(1 << 31)
    return np.ascontiguousarray(flat.reshape(form.frames, form.channels).T)
