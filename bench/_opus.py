# SPDX-License-Identifier: MIT
"""Opus, coded by the system's libopus: concealed by its classic PLC, or by the deep one of 1.5.

The deep decoder is the npm package @wasm-audio-decoders/opus-ml (libopus 1.5 as WebAssembly), run
by node in ``opus_deep.mjs``. Both decode the same packets; in-band FEC and DRED are off.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import shutil
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

__all__ = ["INSTALL", "Coded", "DeepOpus", "Opus", "lag_frames"]

INSTALL = "npm install @wasm-audio-decoders/opus-ml"

_OK = 0
_VOIP = 2048  # OPUS_APPLICATION_VOIP, OPUS_SET_BITRATE_REQUEST, OPUS_GET_LOOKAHEAD_REQUEST
_SET_BITRATE, _GET_LOOKAHEAD = 4002, 4027
_MOST_BYTES = 4000
_SCRIPT = Path(__file__).parent / "opus_deep.mjs"


@dataclass(frozen=True)
class Coded:
    """A clip in packets.

    Attributes
    ----------
    packets : list of bytes
        Those of the clip, and as many more as its delay needs.
    seconds : ndarray, shape (packets,)
        What each took to code.
    packet_frames, late_frames : int
        Frames of a packet, and the delay by the encoder's lookahead.
    """

    packets: list[bytes]
    seconds: np.ndarray
    packet_frames: int
    late_frames: int

    def mask(self, lost: np.ndarray) -> np.ndarray:
        """Extend a trace over the packets behind the clip, which all come."""
        return np.concatenate([lost, np.zeros(len(self.packets) - len(lost), bool)])


class Opus:
    """An encoder and a decoder of one channel.

    Parameters
    ----------
    sample_rate : int
        8000, 12000, 16000, 24000 or 48000 Hz.
    bitrate : int
        In bits a second.

    Raises
    ------
    OSError
        Where there is no libopus, with the reason.
    """

    def __init__(self, sample_rate: int, bitrate: int) -> None:
        name = ctypes.util.find_library("opus")
        if name is None:
            raise OSError("there is no libopus on this system")
        self._lib = ctypes.CDLL(name)
        self._lib.opus_encoder_create.restype = ctypes.c_void_p
        self._lib.opus_decoder_create.restype = ctypes.c_void_p
        self._lib.opus_get_version_string.restype = ctypes.c_char_p
        self.version = self._lib.opus_get_version_string().decode()
        self.sample_rate, self._bitrate = sample_rate, bitrate

    def encode(self, x: np.ndarray, packets: int) -> Coded:
        """Code a clip.

        Parameters
        ----------
        x : array, shape (frames,)
            Whole packets; what the sender has, before any loss.
        packets : int
            How many they are; each must last 2.5, 5, 10, 20, 40 or 60 ms.
        """
        error, lib, late = ctypes.c_int(_OK), self._lib, ctypes.c_int(0)
        created = lib.opus_encoder_create(self.sample_rate, 1, _VOIP, ctypes.byref(error))
        self._check(error)
        encoder = ctypes.c_void_p(created)
        try:
            lib.opus_encoder_ctl(encoder, _SET_BITRATE, ctypes.c_int(self._bitrate))
            lib.opus_encoder_ctl(encoder, _GET_LOOKAHEAD, ctypes.byref(late))
            frames = len(x) // packets
            total = packets + -(-late.value // frames)
            sent = np.zeros(total * frames, np.float32)
            sent[: len(x)] = x
            coded, seconds = [], np.zeros(total)
            buffer = ctypes.create_string_buffer(_MOST_BYTES)
            for k in range(total):
                at = _pointer(sent, k * frames)
                begin = time.perf_counter()
                size = lib.opus_encode_float(encoder, at, frames, buffer, _MOST_BYTES)
                seconds[k] = time.perf_counter() - begin
                if size <= 1:
                    raise OSError(f"libopus did not code packet {k} ({size})")
                coded.append(buffer.raw[:size])
            return Coded(coded, seconds, frames, late.value)
        finally:
            lib.opus_encoder_destroy(encoder)

    def play(self, x: np.ndarray, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Code a clip, lose packets of it, decode it with the classic concealment.

        Parameters
        ----------
        x : array, shape (frames,)
            Whole packets; what the sender has, before any loss.
        lost : array of bool, shape (packets,)
            Which of them never come.

        Returns
        -------
        y : array, shape (frames,)
            Over the input: the codec's delay is taken out.
        seconds : array, shape (packets,)
            What each packet took, coding included.
        """
        coded = self.encode(x, len(lost))
        heard, seconds = self._decode(coded, coded.mask(lost))
        late = coded.late_frames
        return heard[late : late + len(x)], (coded.seconds + seconds)[: len(lost)]

    def _decode(self, coded: Coded, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decode packet by packet; a lost one is a null pointer."""
        error, frames = ctypes.c_int(_OK), coded.packet_frames
        created = self._lib.opus_decoder_create(self.sample_rate, 1, ctypes.byref(error))
        self._check(error)
        decoder = ctypes.c_void_p(created)
        heard, seconds = np.zeros(len(lost) * frames, np.float32), np.zeros(len(lost))
        try:
            for k, packet in enumerate(coded.packets):
                source, size = (None, 0) if lost[k] else (packet, len(packet))
                at = _pointer(heard, k * frames)
                begin = time.perf_counter()
                given = self._lib.opus_decode_float(decoder, source, size, at, frames, 0)
                seconds[k] = time.perf_counter() - begin
                if given != frames:
                    raise OSError(f"libopus gave {given} frames for packet {k}, not {frames}")
        finally:
            self._lib.opus_decoder_destroy(decoder)
        return heard, seconds

    def _check(self, error: ctypes.c_int) -> None:
        if error.value != _OK:
            raise OSError(f"libopus refused {self.sample_rate} Hz (error {error.value})")


class DeepOpus:
    """Decode with the deep concealment of libopus 1.5; a context manager that ends its process.

    Parameters
    ----------
    coder : Opus
        Codes the packets.
    folder : Path
        Where the npm package was installed.
    enhancement : str
        ``"lace"`` or ``"nolace"``, which also enhance what was received, or ``"none"``: then
        libopus runs at complexity 0 and conceals classically.

    Raises
    ------
    OSError
        Where node or the package is missing.
    """

    def __init__(self, coder: Opus, folder: Path, enhancement: str) -> None:
        node = shutil.which("node")
        if node is None:
            raise OSError("node is not installed, which runs @wasm-audio-decoders/opus-ml")
        about = folder / "node_modules/@wasm-audio-decoders/opus-ml/package.json"
        if not about.is_file():
            raise OSError(f"opus-ml is not in {folder}; run `{INSTALL}` there")
        self.version = json.loads(about.read_text())["version"]
        self._coder = coder
        command = [node, str(_SCRIPT), str(folder.resolve()), enhancement, str(coder.sample_rate)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # its input ends, and so does it

    def play(self, x: np.ndarray, lost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Code a clip, lose packets of it, decode it; as :meth:`Opus.play`."""
        coded = self._coder.encode(x, len(lost))
        heard, seconds, frames = self._decode(_delivered(coded.packets, coded.mask(lost)))
        if np.any(frames != coded.packet_frames):
            wrong = int(np.flatnonzero(frames != coded.packet_frames)[0])
            what = f"opus-ml gave {frames[wrong]} frames for packet {wrong}"
            raise OSError(f"{what}, not {coded.packet_frames}")
        late = coded.late_frames
        return heard[late : late + len(x)], (coded.seconds + seconds)[: len(lost)]

    def _decode(self, packets: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hand packets to node; see ``opus_deep.mjs`` for what goes over the pipes."""
        parts = [struct.pack("<H", len(packet)) + packet for packet in packets]
        question = struct.pack("<I", len(packets)) + b"".join(parts)
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(question)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        heard = self._read("<f4", int(self._read("<u4", 1)[0]))
        return heard, self._read("<f8", len(packets)), self._read("<u4", len(packets))

    def _read(self, kind: str, count: int) -> np.ndarray:
        size = np.dtype(kind).itemsize * count
        assert self._process.stdout is not None
        found = self._process.stdout.read(size)
        if len(found) != size:
            raise self._died()
        return np.frombuffer(found, kind)

    def _died(self) -> OSError:
        assert self._process.stderr is not None
        said = self._process.stderr.read().decode(errors="replace").strip()
        return OSError(f"{_SCRIPT.name} ended: {said or 'it said nothing'}")


def _delivered(packets: list[bytes], lost: np.ndarray) -> list[bytes]:
    """Put the first byte of the packet before in place of each lost one.

    That byte (TOC, RFC 6716 section 3.1) says how long a frame is; a packet that has nothing else
    makes libopus conceal one such frame. An empty one would make it conceal 120 ms.
    """
    given: list[bytes] = []
    for packet, gone in zip(packets, lost, strict=True):
        before = given[-1] if given else packet
        given.append(before[:1] if gone else packet)
    return given


def lag_frames(heard: np.ndarray, sent: np.ndarray, most: int = 320) -> int:
    """Say by how much a sound lags behind another, from the peak of their cross-correlation.

    Parameters
    ----------
    heard, sent : array, shape (frames,)
        More than four times `most` frames each.
    most : int
        The largest lag looked for, either way.
    """
    inner = sent[2 * most : len(sent) - 2 * most]
    around = heard[most : len(sent) - most]
    return int(np.argmax(np.correlate(around, inner, "valid"))) - most


def _pointer(x: np.ndarray, at: int) -> ctypes._Pointer:
    return x[at:].ctypes.data_as(ctypes.POINTER(ctypes.c_float))
