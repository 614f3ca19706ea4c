# SPDX-License-Identifier: MIT
"""Where packets of sound come into an engine: a table that one thread fills and the audio reads.

The receiving thread puts each packet into its place, by number; the audio thread looks, when a
packet is due, whether it is there.  One that is not there then is lost, whatever comes later: its
frames are silence with the flag LOST.  Neither thread ever waits for the other.

The chain plays in the time of the packets' clock.  What it gives is resampled to the device's
clock by a ratio that a slow loop sets, so what a chain makes of packets and losses does not
depend on the drift between the two clocks.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import carray

from rtcore.chain import Chain
from rtcore.errors import StreamError
from rtcore.kernels.abi import load_acquire, pointer, store_release
from rtcore.kernels.histogram import Histogram
from rtcore.kernels.jit import native

HALF_TAPS = 16
TAPS = 2 * HALF_TAPS
PHASES = 512
_BETA = 9.0  # Kaiser: 90 dB
PIECE_FRAMES = 512  # of the device, made at once
BURSTS = 64
_SLOTS = 512
_SPARE_FRAMES = 64

#: Packets that came, the place in them, and the sound that waits for the device.
INLET = np.dtype(
    [
        ("jump", "i8"),  # shared: 1 asks the audio thread to wait for `start_packet`
        ("play", "i8"),  # shared: number of the packet that plays; -1: none
        ("offset", "i8"),  # its frames that have been played
        ("mark_ns", "i8"),  # when the last block began
        ("step", "f8"),  # shared: packet frames for each of the device's
        ("start_packet", "i8"),
        ("start_ns", "i8"),
        ("here", "i8"),  # whether the packet that plays is there
        ("fresh", "i8"),  # 1: it is the first one after a jump
        ("begun", "i8"),  # whether any packet was ever played
        ("channels", "i8"),
        ("packet_frames", "i8"),
        ("promised", "i8"),
        ("slots", "i8"),
        ("tags", "u8"),  # int64[slots]: number of the packet + 1
        ("stamps", "u8"),  # int64[slots]: when its first frame was captured, monotonic time
        ("samples", "u8"),  # float32[slots][channels][packet_frames]
        ("history", "u8"),  # real[channels out][history_frames]: what the chain gave
        ("history_frames", "i8"),
        ("held", "i8"),  # frames in it
        ("at", "i8"),  # where the next device frame lies: at + phase
        ("phase", "f8"),
        ("table", "u8"),  # f8[PHASES + 1][TAPS]
        ("latency", "u8"),  # histogram: from capture to the device's block
        ("latency_ns", "i8"),  # of the last packet
        ("played", "i8"),  # packets that were due
        ("lost", "i8"),  # of them those that were not there
        ("run", "i8"),  # lost in a row up to now
        ("longest", "i8"),
        ("bursts", "u8"),  # int64[BURSTS]: how often so many in a row were lost
        ("gap_frames", "i8"),  # without any stream, after the first one
        ("waits", "i8"),  # how often it began to wait for a start
    ],
    align=True,
)
_JUMP, _PLAY = INLET.fields["jump"][1], INLET.fields["play"][1]  # type: ignore[index]

PUT, LATE, FAR, TWICE = 0, 1, 2, 3


@native
def inlet_put(inlet_at: int, number: int, stamp_ns: int, samples: Any) -> int:
    """Put a packet into its place.

    Parameters
    ----------
    inlet_at : int
        Address of an INLET record.
    number : int
        Of the packet.
    stamp_ns : int
        When its first frame was captured, in monotonic time.
    samples : array of float32
        (channels, frames), contiguous.

    Returns
    -------
    int
        PUT, LATE (its time has come already), FAR (too far ahead) or TWICE.
    """
    inlet = carray(pointer(inlet_at, INLET), (1,))[0]
    play = load_acquire(inlet_at + np.uintp(_PLAY))
    waiting = play < 0 or load_acquire(inlet_at + np.uintp(_JUMP)) != 0
    first = inlet.start_packet if waiting else play + 1
    if number < first:
        return LATE
    if number >= first + inlet.slots - 2:
        return FAR
    slot = number & (inlet.slots - 1)
    tag_at = np.uintp(inlet.tags) + np.uintp(8 * slot)
    if load_acquire(tag_at) == number + 1:
        return TWICE
    store_release(tag_at, 0)
    size = inlet.channels * inlet.packet_frames
    place = carray(
        pointer(np.uintp(inlet.samples) + np.uintp(4 * slot * size), np.float32), (size,)
    )
    flat = samples.ravel()
    for i in range(size):
        place[i] = flat[i]
    carray(pointer(np.uintp(inlet.stamps), np.int64), (inlet.slots,))[slot] = stamp_ns
    store_release(tag_at, number + 1)
    return PUT


@cache
def interpolation_table() -> np.ndarray[Any, Any]:
    """Make the taps for each fraction of a frame: a Kaiser-windowed sinc.

    Returns
    -------
    ndarray, shape (PHASES + 1, TAPS)
        Row p weighs the 16 frames before and after a place p / PHASES behind a frame.
    """
    offset = np.arange(TAPS) - (HALF_TAPS - 1)
    t = offset[np.newaxis, :] - np.arange(PHASES + 1)[:, np.newaxis] / PHASES
    window = np.i0(_BETA * np.sqrt(np.clip(1.0 - (t / HALF_TAPS) ** 2, 0.0, None))) / np.i0(_BETA)
    taps = np.sinc(t) * window
    return np.ascontiguousarray(taps / taps.sum(axis=1, keepdims=True))


class Inlet:
    """Memory of an inlet, for one kind of packets.

    Parameters
    ----------
    sample_rate : float
        Of the packets, in Hz, which is the chain's.
    channels, packet_frames : int
        Of each packet.
    slots : int
        How many packets may wait, a power of two.
    """

    def __init__(
        self, sample_rate: float, channels: int, packet_frames: int, *, slots: int = _SLOTS
    ) -> None:
        self.sample_rate = float(sample_rate)
        self.channels = channels
        self.packet_frames = packet_frames
        self.latency = Histogram()
        self._arrays: dict[str, np.ndarray[Any, Any]] = {
            "tags": np.zeros(slots, np.int64),
            "stamps": np.zeros(slots, np.int64),
            "samples": np.zeros(slots * channels * packet_frames, np.float32),
            "bursts": np.zeros(BURSTS, np.int64),
            "table": interpolation_table(),
        }
        self.record = np.zeros(1, INLET)
        for name, array in self._arrays.items():
            self.record[name] = array.ctypes.data
        self.record["latency"] = self.latency.address
        self.record["slots"], self.record["channels"] = slots, channels
        self.record["packet_frames"] = packet_frames
        self.record["play"], self.record["start_packet"] = -1, -1
        self.record["step"] = 1.0
        # Compiled or loaded now, and not when the first packet is already on its way.
        self.put(0, 0, np.zeros((channels, packet_frames), np.float32))
        self._arrays["tags"][:] = 0

    @property
    def address(self) -> np.uintp:
        """Where compiled code finds it."""
        return np.uintp(self.record.ctypes.data)

    def attach(self, chain: Chain) -> None:
        """Make room for what a chain gives.

        Raises
        ------
        StreamError
            Where the chain is for another stream than the packets'.
        """
        promised = chain.table.graph.block_frames
        has = (chain.sample_rate, chain.channels_in, str(chain.spec.dtype))
        if has != (self.sample_rate, self.channels, "float32"):
            what = (
                f"the chain is for {has[0]:g} Hz, {has[1]} channels and {has[2]}, the packets have "
                f"{self.sample_rate:g} Hz, {self.channels} channels and float32"
            )
            raise StreamError(f"{what}; build the chain for the packets")
        if self.packet_frames % promised:
            what = f"the chain was promised blocks of {promised} frames and packets have"
            raise StreamError(f"{what} {self.packet_frames}; build it without block_frames")
        frames = 2 * PIECE_FRAMES + TAPS + 2 * promised + _SPARE_FRAMES
        self._arrays["history"] = np.zeros((chain.channels_out, frames), np.float32)
        self.record["history"] = self._arrays["history"].ctypes.data
        self.record["history_frames"] = frames
        self.record["promised"] = promised
        self.record["held"] = self.record["at"] = HALF_TAPS - 1
        self.record["phase"] = 0.0

    def put(self, number: int, stamp_ns: int, samples: np.ndarray[Any, Any]) -> int:
        """Put a packet into its place; see :func:`inlet_put`."""
        planar = np.ascontiguousarray(samples, np.float32)
        if planar.shape != (self.channels, self.packet_frames):
            expected = (self.channels, self.packet_frames)
            what = f"a packet must hold samples of the shape {expected}, got {planar.shape}"
            raise StreamError(f"{what}; cut the sound into whole packets")
        return int(inlet_put(self.address, number, stamp_ns, planar))

    def begin(self, number: int, start_ns: int) -> None:
        """Leave what plays, and begin with a packet at a moment of monotonic time."""
        self.record["start_packet"] = number
        self.record["start_ns"] = start_ns
        self.record["jump"] = 1

    def begin_at(self, number: int, start_ns: int) -> None:
        """Move a start that is still to come; one that has been stays as it was."""
        self.record["start_packet"] = -1  # no start until both are there
        self.record["start_ns"] = start_ns
        self.record["start_packet"] = number

    def pause(self) -> None:
        """Leave what plays, and wait for :meth:`begin`."""
        self.record["start_packet"] = -1
        self.record["jump"] = 1

    def set_step(self, step: float) -> None:
        """Say how many frames of the packets' clock go by with one of the device's."""
        self.record["step"] = step

    def margin_frames(self, number: int, now_ns: int) -> float | None:
        """Say how long from now a packet's turn comes, in frames; None while none plays."""
        for _ in range(3):
            mark_ns, play = int(self.record["mark_ns"][0]), int(self.record["play"][0])
            place = play * self.packet_frames + int(self.record["offset"][0])
            if play < 0 or self.record["jump"][0]:
                return None
            if mark_ns == int(self.record["mark_ns"][0]):
                break
        since = max(0.0, (now_ns - mark_ns) * 1e-9 * self.sample_rate)
        return number * self.packet_frames - place - since

    def counts(self) -> dict[str, Any]:
        """Give what was counted."""
        record = self.record[0]
        bursts = self._arrays["bursts"]
        return {
            "packets": int(record["played"]),
            "lost": int(record["lost"]),
            "longest_burst": int(record["longest"]),
            "bursts": {str(k + 1): int(n) for k, n in enumerate(bursts) if n},
            "gap_s": round(int(record["gap_frames"]) / self.sample_rate, 3),
            "starts": int(record["waits"]),
            "playing": bool(record["play"] >= 0),
            "latency_ms": self.latency.summary_ms(),
            "latency_last_ms": round(int(record["latency_ns"]) / 1e6, 3),
        }
