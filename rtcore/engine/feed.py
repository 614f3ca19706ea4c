# SPDX-License-Identifier: MIT
"""Python threads at the far ends of rings: they read sources and write recordings.

The audio thread never waits for them (in real time) and never calls them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rtcore.errors import DeviceError, RtcoreError, StreamError
from rtcore.rings import Ring

_PAUSE_S = 0.005
_FILL_S = 0.3  # how long a start waits for a full ring
_FIRST_S = 2.0  # and for enough of a source that is slow
_LEAVE_S = 1.0
_MOST_CHANNELS = 64


def as_rtcore_error(error: BaseException) -> RtcoreError:
    """Give an error of any kind a place in rtcore's tree."""
    if isinstance(error, RtcoreError):
        return error
    return DeviceError(f"{type(error).__name__}: {error}")


class Sink(Protocol):
    """What a recording is written to."""

    def write(self, samples: np.ndarray[Any, Any], /) -> None:
        """Take (channels, frames)."""


class Feeder:
    """Puts a source's blocks into a ring.

    Parameters
    ----------
    blocks : iterable of ndarray
        Planar (channels, frames) pieces of any length.
    ring : Ring
        Of frames.
    enough_frames : int
        What a start waits for.
    """

    def __init__(
        self, blocks: Iterable[np.ndarray[Any, Any]], ring: Ring, *, enough_frames: int = 1
    ) -> None:
        self._blocks = iter(blocks)
        self._enough_frames = min(enough_frames, ring.capacity)
        self._settled = threading.Event()  # the ring is full, or nothing more will come
        self._ring = ring
        self._stop = threading.Event()
        self.ended = np.zeros(1, np.int64)  # 1 once nothing more will come
        self.error: BaseException | None = None
        self._rest: np.ndarray[Any, Any] = np.empty((0, *ring.item.shape), ring.item.base)
        self._thread = threading.Thread(target=self._run, name="rtcore-feeder", daemon=True)

    def start(self) -> None:
        """Keep the ring full from a thread; return once there is enough to begin with.

        A source that is fast fills the ring; one that is slow is waited for until there is enough
        for a start without gaps, two seconds at most.
        """
        self._thread.start()
        begun = time.monotonic()
        self._settled.wait(_FILL_S)
        while (
            not self._settled.is_set()
            and len(self._ring) < self._enough_frames
            and time.monotonic() - begun < _FIRST_S
        ):
            self._settled.wait(_PAUSE_S)

    def _step(self) -> bool:
        """Put what fits; say whether there may be room for more."""
        if len(self._rest) == 0:
            try:
                block = next(self._blocks)
            except StopIteration:
                self.ended[0] = 1
                return False
            except BaseException as error:  # noqa: BLE001 - reported by the engine
                self.error = error
                self.ended[0] = 1
                return False
            self._rest = np.ascontiguousarray(block.T, self._ring.item.base)
        self._rest = self._rest[self._ring.put(self._rest) :]
        return len(self._rest) == 0

    def _run(self) -> None:
        while not self.ended[0] and not self._stop.is_set():
            if not self._step():
                self._settled.set()
                self._stop.wait(_PAUSE_S)

    def stop(self) -> None:
        """End the thread, or abandon it where the source does not come back."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_LEAVE_S)


class Recorder:
    """Writes what comes through a ring to a sink, from a thread.

    Parameters
    ----------
    ring : Ring
        Of frames.
    sink : Sink
        Gets (channels, frames).
    """

    def __init__(self, ring: Ring, sink: Sink) -> None:
        self._ring = ring
        self._sink = sink
        self._stop = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rtcore-recorder", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def _drain(self) -> None:
        frames = self._ring.take()
        if len(frames) and self.error is None:
            try:
                self._sink.write(np.ascontiguousarray(frames.T))
            except BaseException as error:  # noqa: BLE001 - reported by the engine
                self.error = error

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_S):
            self._drain()

    def stop(self) -> None:
        """Write what is left and end the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._drain()


class Memory:
    """A sink that keeps everything, for tests and short measurements."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray[Any, Any]] = []

    def write(self, samples: np.ndarray[Any, Any]) -> None:
        """Keep (channels, frames)."""
        self._blocks.append(samples)

    @property
    def samples(self) -> np.ndarray[Any, Any]:
        """All of it, (channels, frames)."""
        return (
            np.concatenate(self._blocks, axis=1) if self._blocks else np.zeros((0, 0), np.float32)
        )


def blocks_of(source: Any, channels: int, frames: int = 4096) -> Iterator[np.ndarray[Any, Any]]:
    """Make planar blocks of a source: an array, a path, or an iterable of blocks.

    A mono source feeds every channel; a source with more channels than are needed loses the rest.

    Raises
    ------
    StreamError
        Where a block is not floating point, is not (channels, frames), or lacks channels: at once
        for an array, with the block otherwise.
    """
    if isinstance(source, (str, Path)):
        from rtcore import audiofile

        pieces: Iterable[Any] = audiofile.blocks(source, frames, "float64")
    elif isinstance(source, np.ndarray):
        planar = _planar(source, channels)
        pieces = (planar[:, k : k + frames] for k in range(0, planar.shape[1], frames))
    else:
        pieces = source
    return (_planar(piece, channels) for piece in pieces)


def _planar(block: Any, channels: int) -> np.ndarray[Any, Any]:
    """Check a source's block and give it the chain's channels."""
    array = np.asarray(block)
    if array.dtype.kind != "f":
        msg = (
            f"samples must be floating point with full scale 1.0, got {array.dtype}; "
            "divide int16 by 32768 first"
        )
        raise StreamError(msg)
    planar = array[np.newaxis] if array.ndim == 1 else array
    if planar.ndim != 2 or planar.shape[0] > _MOST_CHANNELS:
        hint = "; transpose it (x.T)" if planar.ndim == 2 else ""
        msg = f"sound must have the shape ({channels}, frames), got {array.shape}{hint}"
        raise StreamError(msg)
    if planar.shape[0] != 1 and planar.shape[0] < channels:
        msg = (
            f"the source has {planar.shape[0]} channels and the chain takes {channels}; give it "
            f"1 or {channels}, or build the chain for {planar.shape[0]}"
        )
        raise StreamError(msg)
    return np.repeat(planar, channels, axis=0) if planar.shape[0] == 1 else planar[:channels]


def silence(
    seconds: float | None, sample_rate: float, channels: int, frames: int = 4096
) -> Iterator[np.ndarray[Any, Any]]:
    """Make silence, without end where ``seconds`` is ``None``."""
    left = None if seconds is None else round(seconds * sample_rate)
    while left is None or left > 0:
        now = frames if left is None else min(frames, left)
        yield np.zeros((channels, now))
        left = None if left is None else left - now
