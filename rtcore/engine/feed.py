# SPDX-License-Identifier: MIT
"""Python threads at the far ends of rings: they read sources and write recordings.

The audio thread never waits for them (in real time) and never calls them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rtcore.errors import DeviceError, RtcoreError
from rtcore.rings import Ring

_PAUSE_S = 0.005


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
    """

    def __init__(self, blocks: Iterable[np.ndarray[Any, Any]], ring: Ring) -> None:
        self._blocks = iter(blocks)
        self._ring = ring
        self._stop = threading.Event()
        self.ended = np.zeros(1, np.int64)  # 1 once nothing more will come
        self.error: BaseException | None = None
        self._rest: np.ndarray[Any, Any] = np.empty((0, *ring.item.shape), ring.item.base)
        self._thread = threading.Thread(target=self._run, name="rtcore-feeder", daemon=True)

    def start(self) -> None:
        """Fill the ring once, then keep it full from a thread."""
        while not self.ended[0] and self._step():
            pass
        self._thread.start()

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
                self._stop.wait(_PAUSE_S)

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()


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
    """
    if isinstance(source, (str, Path)):
        from rtcore import audiofile

        pieces: Iterable[np.ndarray[Any, Any]] = audiofile.blocks(source, frames, "float64")
    elif isinstance(source, np.ndarray):
        planar = np.atleast_2d(source)
        pieces = (planar[:, k : k + frames] for k in range(0, planar.shape[1], frames))
    else:
        pieces = source
    for piece in pieces:
        block = np.atleast_2d(piece)
        yield (
            np.repeat(block, channels, axis=0)
            if block.shape[0] == 1 < channels
            else block[:channels]
        )


def silence(
    seconds: float | None, sample_rate: float, channels: int, frames: int = 4096
) -> Iterator[np.ndarray[Any, Any]]:
    """Make silence, without end where ``seconds`` is ``None``."""
    left = None if seconds is None else round(seconds * sample_rate)
    while left is None or left > 0:
        now = frames if left is None else min(frames, left)
        yield np.zeros((channels, now))
        left = None if left is None else left - now
