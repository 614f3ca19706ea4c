# SPDX-License-Identifier: MIT
"""Backends without a device: paced by the clock, or as fast as possible."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import numpy as np

from rtcore.engine.backends.base import Backend
from rtcore.engine.callbacks import paced_thread
from rtcore.engine.feed import Feeder, as_rtcore_error, blocks_of, silence
from rtcore.engine.native import NativeEngine
from rtcore.errors import DeviceError
from rtcore.rings import Ring

_AHEAD_S = 10.0
_ENOUGH_S = 0.25
_FILE_AHEAD_FRAMES = 1 << 16


class TimerBackend(Backend):
    """Real time without a sound card: a native thread wakes for every block.

    Parameters
    ----------
    source : path, array, iterable of arrays, or None
        What is heard; ``None`` for silence without end.
    block_frames : int
        Frames of each block.
    tail : bool
        Whether the chain's tail is played after the source has ended.
    clock_ppm : float
        How much faster than the machine's its clock pretends to be, in millionths; for trials of
        what drifting clocks do.
    """

    name: ClassVar[str] = "timer"
    live: ClassVar[bool] = False

    def __init__(
        self,
        source: Any = None,
        *,
        block_frames: int = 64,
        tail: bool = True,
        clock_ppm: float = 0.0,
    ) -> None:
        if block_frames < 1:
            msg = f"block: must be at least 1 frame, got {block_frames}"
            raise DeviceError(msg)
        self.source = source
        self.block_frames = block_frames
        self.tail = tail
        self.clock_ppm = clock_ppm
        self._engine: NativeEngine | None = None
        self._feeder: Feeder | None = None
        self._thread: threading.Thread | None = None

    def open(self, engine: NativeEngine) -> None:
        """Fill the source's ring."""
        chain = engine.chain
        self.check_blocks(chain, self.block_frames)
        ahead = int(_AHEAD_S * chain.sample_rate) if self.paced else _FILE_AHEAD_FRAMES
        ring = Ring((engine.real, (chain.channels_in,)), ahead)
        source = (
            silence(None, chain.sample_rate, chain.channels_in)
            if self.source is None
            else self.source
        )
        enough = int(_ENOUGH_S * chain.sample_rate) if self.paced else 1
        blocks = blocks_of(source, chain.channels_in)
        self._feeder = Feeder(blocks, ring, enough_frames=enough)
        self._feeder.start()
        if self._feeder.error is not None:
            raise as_rtcore_error(self._feeder.error)
        self._engine, self._ring = engine, ring
        self._scratch = np.zeros((self.block_frames, chain.channels_in), engine.real)
        engine.record["sample_rate"] = chain.sample_rate * (1.0 + 1e-6 * self.clock_ppm)
        # A run that ends at once, so that the code is compiled before time counts.
        engine.record["stop"] = 1
        self._run()

    def start(self) -> None:
        """Start the native thread; it holds the GIL only to begin and to end."""
        self._thread = threading.Thread(target=self._run, name="rtcore-audio", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        engine, feeder = self._engine, self._feeder
        if engine is None or feeder is None:
            return
        tail = engine.chain.tail_frames if self.tail else 0
        paced_thread(
            engine.address,
            self._ring.address,
            self._scratch,
            tail,
            engine.chain.table.graph.block_frames,
            np.uint64(feeder.ended.ctypes.data),
            engine.real,
        )

    def audio_thread(self) -> int | None:
        """Give the native thread, which wakes in time only if nothing else is before it."""
        return self._thread.native_id if self._thread is not None and self.paced else None

    def lost(self) -> str | None:
        """Say why the source broke off, if it did."""
        error = self._feeder.error if self._feeder else None
        return str(error) if error is not None else None

    def finished(self) -> bool:
        """Say whether everything was played."""
        return self._engine is not None and bool(self._engine.record["done"][0])

    def close(self) -> None:
        """Ask the thread to end after its block, and wait for that."""
        if self._engine is not None:
            self._engine.record["stop"] = 1
        if self._thread is not None:
            self._thread.join()
        if self._feeder is not None:
            self._feeder.stop()
        self._thread = None


class FileBackend(TimerBackend):
    """As fast as possible, on a thread of its own with subnormals flushed."""

    name: ClassVar[str] = "file"
    paced: ClassVar[bool] = False
