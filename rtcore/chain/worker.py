# SPDX-License-Identifier: MIT
"""A plugin that runs its hops on a thread of its own.

The thread owns all that it works on, so nothing can be freed under it: whoever lets go of a
worker only tells it to leave.  One that hangs keeps its memory until the program ends.
"""

from __future__ import annotations

import atexit
import ctypes
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rtcore.chain.arena import Arena
from rtcore.chain.worker_adapter import CONCEAL, DRY, SILENCE, adapter_address
from rtcore.chain.worker_priority import Priority
from rtcore.chain.worker_records import ADAPTER, AIM, COUNTS, HOP, WORKER
from rtcore.chain.worker_thread import compile_loop, worker_loop
from rtcore.dsp.concealment import concealment_memory
from rtcore.errors import PluginError, StreamError
from rtcore.kernels.context import SIDE
from rtcore.kernels.histogram import Histogram
from rtcore.plugin import Plugin, Spec
from rtcore.rings import Ring

GIVE_UP_S = 10.0
STOP_S = 1.0
_EXIT_S = 0.5
_QUEUE_S = 0.5
_FEWEST_WAITING = 4
_FAILURES_S = 1.0
_FEWEST_FAILURES = 3
_FADE_S = 0.005
_LINE_BYTES = 64
_VALUE_BYTES = 4
_WAYS = {"conceal": CONCEAL, "dry": DRY, "silence": SILENCE}


@dataclass(eq=False)
class Processor:
    """What a worker runs: code, memory, and what must live as long as they are used."""

    plugin: Plugin
    spec: Spec
    hop: int
    channels: tuple[int, int]
    fn: int
    state: int
    arena: Arena
    pristine: np.ndarray[Any, Any]
    aimed: np.ndarray[Any, Any]  # parameters as the audio side sees them
    controls: np.ndarray[Any, Any]  # and as the processor does
    keep: tuple[Any, ...]
    sides: tuple[int, ...] = ()  # numbers in a vector of each side input


@dataclass(eq=False)
class _Memory:
    """All that the thread and the audio side use, at fixed addresses."""

    processor: Processor
    record: np.ndarray[Any, Any]
    counts: np.ndarray[Any, Any]
    semaphores: np.ndarray[Any, Any]
    hops: Ring
    views: np.ndarray[Any, Any]  # SIDE records of the hop in hand
    parts: list[Any] = field(default_factory=list)
    priority: Priority = field(default_factory=Priority)

    def tell(self) -> None:
        """Ask the thread to leave after the hop in hand."""
        self.record["stop"] = 1
        _post(self.record["wake"][0])

    def let_go(self) -> None:
        """Ask the thread of a worker that nobody plays any more to leave, in its own time."""
        self.priority.step_back()
        self.tell()


_libc = ctypes.CDLL(None)
_started: weakref.WeakSet[Worker] = weakref.WeakSet()


def _post(semaphore: Any) -> None:
    _libc.sem_post(ctypes.c_void_p(int(semaphore)))


def _semaphores() -> np.ndarray[Any, Any]:
    """Make two of them, in cache lines of their own."""
    lines = np.zeros((3, _LINE_BYTES), np.uint8)
    skip = -lines.ctypes.data % _LINE_BYTES
    both = lines.reshape(-1)[skip : skip + 2 * _LINE_BYTES].reshape(2, _LINE_BYTES)
    for line in both:
        _libc.sem_init(ctypes.c_void_p(line.ctypes.data), 0, 0)
    return both


class Departure:
    """What is left of a worker's thread, whoever still refers to the worker.

    Parameters
    ----------
    worker : Worker
        Just started.
    """

    def __init__(self, worker: Worker) -> None:
        self.plugin_id = worker.plugin_id
        self.thread = worker._thread  # noqa: SLF001 - our own class
        self._memory = worker._memory  # noqa: SLF001 - as above
        self._worker = weakref.ref(worker)

    @property
    def gone(self) -> bool:
        """Whether the thread has left."""
        return self.thread is None or not self.thread.is_alive()

    @property
    def worker(self) -> Worker | None:
        """The worker; None where nobody refers to it any more."""
        return self._worker()

    @property
    def forsaken(self) -> bool:
        """Whether nobody plays the worker any more, and its thread has still to leave."""
        return self.worker is None and not self.gone

    def leave(self, until: float) -> bool:
        """Wait for the thread of a worker that was let go; where it hangs keep its memory."""
        if self.thread is not None:
            self.thread.join(max(0.0, until - time.monotonic()))
        if not self.gone:
            _leak(self._memory)
        return self.gone


def _run(memory: _Memory) -> None:
    worker_loop(np.uint64(memory.record.ctypes.data), memory.processor.spec.dtype)
    memory.record["running"] = 0
    _post(memory.record["done"][0])


class Worker:
    """The thread behind one node, its two rings, and what is counted about it.

    Parameters
    ----------
    processor : Processor
        What it runs.
    delay_frames : int
        Silence that goes out first: re-blocking and allowance.
    latency_frames : int
        The node's whole latency, with which the input stands in for the output.
    allowance : int
        Part of the delay that is the worker's own time, in frames.

    Attributes
    ----------
    address, state_address : int
        The audio side, to be played in a chain.
    give_up_s : float
        How long the audio side waits for a result offline.
    abandoned : bool
        Whether the thread hung when it was told to stop.
    """

    def __init__(
        self, processor: Processor, *, delay_frames: int, latency_frames: int, allowance: int
    ) -> None:
        self.plugin_id = processor.plugin.id
        self.allowance_frames = allowance
        self.give_up_s = GIVE_UP_S
        self.abandoned = False
        self.histogram = Histogram()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._memory = _memory_of(processor, delay_frames, self.histogram)
        self._counts = self._memory.counts
        self.address = adapter_address(processor.spec.dtype)
        self.arena = _outer_arena(processor, latency_frames)
        self._fill_adapter(processor, delay_frames, latency_frames)
        self.state_address = self.arena["adapter"].ctypes.data
        self.pristine = self.arena.memory.copy()
        weakref.finalize(self, self._memory.let_go).atexit = False

    def _fill_adapter(self, processor: Processor, delay: int, latency: int) -> None:
        arena, spec, hop = self.arena, processor.spec, processor.hop
        aims, sides, samples, _ = _layout(processor)
        way = _way(processor)
        failures = max(_FEWEST_FAILURES, math.ceil(_FAILURES_S * spec.sample_rate / hop))
        if way == CONCEAL:
            arena["memory"][...] = concealment_memory(spec.sample_rate, processor.channels[1])
        values = {
            "rt_channels_in": processor.channels[0],
            "rt_channels_out": processor.channels[1],
            "rt_max_frames": spec.max_frames,
            "rt_controls": processor.aimed.ctypes.data,
            "worker": self._memory.record.ctypes.data,
            "counts": self._counts.ctypes.data,
            "hop": hop,
            "delay": delay,
            "silent_left": delay,
            "failure_limit": failures,
            "conceal": way,
            "item_aims": aims,
            "item_sides": sides,
            "item_samples": samples,
            "control_count": len(processor.plugin.params),
            "side_count": len(processor.sides),
            "side": self._memory.views.ctypes.data,
            "result_samples": _LINE_BYTES,
            "fade_frames": max(1, spec.frames(_FADE_S)),
            "span": arena["memory" if way == CONCEAL else "line"].shape[1],
            "line_delay": latency,
            **{
                name: arena[name].ctypes.data
                for name in ("item", "scratch", "last", "offset", "line", "memory")
            },
        }
        for name, value in values.items():
            arena["adapter"][name] = value

    # --- the thread -----------------------------------------------------------------------------

    def start(self) -> int:
        """Let the thread run; give the system's number of it.

        Raises
        ------
        StreamError
            Where it hung when it was last told to stop.
        """
        with self._lock:
            if self.abandoned:
                msg = (
                    f"the worker of '{self.plugin_id}' hung and was abandoned; build the chain anew"
                )
                raise StreamError(msg)
            record = self._memory.record
            record["give_up_ns"] = int(1e9 * self.give_up_s)
            if self._thread is None or not self._thread.is_alive():
                compile_loop(self._memory.processor.spec.dtype)
                record["stop"] = 0
                record["running"] = 1
                self._thread = threading.Thread(
                    target=_run,
                    args=(self._memory,),
                    name=f"rtcore-worker-{self.plugin_id}",
                    daemon=True,
                )
                self._memory.priority.thread = self._thread
                self._thread.start()
                _started.add(self)
            return int(self._thread.native_id or 0)

    def departure(self) -> Departure:
        """Give what is left of the thread when this object is no more."""
        return Departure(self)

    def hurry(self) -> None:
        """Let the audio side wait for results no longer than a stop may take."""
        self._memory.record["give_up_ns"] = int(1e9 * STOP_S)

    def tell(self) -> None:
        """Ask the thread to leave after the hop in hand."""
        self._memory.tell()

    def tend(self, grant: Callable[[int], None] | None) -> None:
        """Look whether the thread hangs; see :meth:`rtcore.chain.worker_priority.Priority.tend`."""
        finished = int(self._memory.record["finished"][0])
        self._memory.priority.tend(finished, grant, busy=not self.idle)

    def leave(self, until: float) -> bool:
        """Wait for the thread to leave; abandon it where it does not.

        Parameters
        ----------
        until : float
            Time of :func:`time.monotonic`.

        Returns
        -------
        bool
            False where it hangs: its memory is then kept until the program ends.
        """
        with self._lock:
            if self._thread is None or self.abandoned:
                return not self.abandoned
            self._thread.join(max(0.0, until - time.monotonic()))
            self.abandoned = self._thread.is_alive()
            if self.abandoned:
                _leak(self._memory)
            return not self.abandoned

    @property
    def idle(self) -> bool:
        """Whether nothing is left to work on."""
        return int(self._counts["posted"][0]) == self.settled_hops

    @property
    def settled_hops(self) -> int:
        """Hops that the thread has worked on, or never will: they were dropped or forgotten."""
        given_up = int(self._counts["dropped"][0]) + int(self._counts["forgotten"][0])
        return int(self._memory.record["finished"][0]) + given_up

    @property
    def waiting_hops(self) -> int:
        """Hops that were sent and that the thread has not begun."""
        return len(self._memory.hops)

    @property
    def most_waiting(self) -> int:
        """Hops that may wait; with one more the oldest are dropped."""
        return int(self._memory.record["limit"][0])

    # --- what is counted ------------------------------------------------------------------------

    def begin_session(self) -> None:
        """Forget how many hops were late since the device was last opened."""
        self._counts["late_since_start"] = 0
        self._counts["late_run"] = 0

    def stats(self) -> dict[str, Any]:
        """Give what was counted, as JSON-able numbers; read without a lock."""
        counts, record = self._counts[0], self._memory.record[0]
        return {
            "allowance_frames": self.allowance_frames,
            "hop_frames": self._memory.processor.hop,
            "hops": int(counts["due"]),
            "late": {
                "total": int(counts["late_total"]),
                "since_start": int(counts["late_since_start"]),
                "longest_run": int(counts["late_longest"]),
            },
            "concealed_frames": int(counts["concealed_frames"]),
            "errors": int(record["errors"]),
            "dropped_hops": int(counts["dropped"]),
            "resets": int(counts["resets"]),
            "abandoned": self.abandoned,
            "hop_ms": self.histogram.summary_ms(),
        }


def stop_workers(workers: Iterable[Worker], timeout_s: float = STOP_S) -> list[Worker]:
    """Let workers leave, all within one time; give those that hang and are abandoned."""
    several = list(workers)
    for worker in several:
        worker.tell()
    until = time.monotonic() + timeout_s
    return [worker for worker in several if not worker.leave(until)]


# --- memory -------------------------------------------------------------------------------------


def _way(processor: Processor) -> int:
    """Choose how late hops are concealed."""
    wish = processor.plugin.worker_late
    if wish not in _WAYS:
        known = ", ".join(_WAYS)
        msg = f"plugin '{processor.plugin.id}': worker_late must be one of {known}, got {wish!r}"
        raise PluginError(msg)
    same = processor.channels[0] == processor.channels[1]
    return SILENCE if wish == "dry" and not same else _WAYS[wish]


def _whole_lines(size: int) -> int:
    return -(-size // _LINE_BYTES) * _LINE_BYTES


def _layout(processor: Processor) -> tuple[int, int, int, int]:
    """Give where in a hop its AIM records, vectors and samples begin, and its bytes in all."""
    aims = HOP.itemsize
    sides = aims + len(processor.plugin.params) * AIM.itemsize
    samples = _whole_lines(sides + sum(processor.sides) * _VALUE_BYTES)
    sound = processor.channels[0] * processor.hop * processor.spec.dtype.itemsize
    return aims, sides, samples, _whole_lines(samples + sound)


def _views(processor: Processor, item: int) -> np.ndarray[Any, Any]:
    """Let the side inputs be read from the hop in hand, at a given address."""
    views = np.zeros(max(1, len(processor.sides)), SIDE)
    place = item + _layout(processor)[1]
    for view, width in zip(views, processor.sides, strict=False):
        view["values"], view["width"] = place, width
        place += width * _VALUE_BYTES
    return views


def _memory_of(processor: Processor, delay: int, histogram: Histogram) -> _Memory:
    spec, hop, (_, wide) = processor.spec, processor.hop, processor.channels
    _, _, samples, item_bytes = _layout(processor)
    result_bytes = _LINE_BYTES + _whole_lines(wide * hop * spec.dtype.itemsize)
    # As many as one call may need, twice; else half a second.
    together = 2 * math.ceil((spec.max_frames + delay) / hop) + 2
    limit = max(_FEWEST_WAITING, math.ceil(_QUEUE_S * spec.sample_rate / hop), together)
    hops = Ring(np.dtype((np.void, item_bytes)), limit + 1)
    results = Ring(np.dtype((np.void, result_bytes)), 2 * limit + 8)
    hand = Arena(
        {
            "item": (np.dtype(np.uint8), (item_bytes,)),
            "result": (np.dtype(np.uint8), (result_bytes,)),
            "clock": (np.dtype(np.uint8), (_LINE_BYTES,)),
            "record": (WORKER, (1,)),
            "counts": (COUNTS, (1,)),
        }
    )
    semaphores = _semaphores()
    record = hand["record"]
    values = {
        "wake": semaphores[0].ctypes.data,
        "done": semaphores[1].ctypes.data,
        "hops": hops.address,
        "results": results.address,
        "limit": limit,
        "fn": processor.fn,
        "state": processor.state,
        "memory": processor.arena.memory.ctypes.data,
        "pristine": processor.pristine.ctypes.data,
        "memory_bytes": processor.arena.memory.nbytes,
        "controls": processor.controls.ctypes.data,
        "control_count": len(processor.plugin.params),
        "hop": hop,
        "channels_out": wide,
        "item": hand["item"].ctypes.data,
        "item_samples": samples,
        "result": hand["result"].ctypes.data,
        "result_samples": _LINE_BYTES,
        "clock": hand["clock"].ctypes.data,
        "histogram": histogram.address,
    }
    for name, value in values.items():
        record[name] = value
    parts = [results, hand, histogram]
    views = _views(processor, hand["item"].ctypes.data)
    return _Memory(processor, record, hand["counts"], semaphores, hops, views, parts)


def _outer_arena(processor: Processor, latency: int) -> Arena:
    """Lay out what the audio side changes."""
    spec, (narrow, wide) = processor.spec, processor.channels
    way = _way(processor)
    line = latency + spec.max_frames if way == DRY else 1
    size = concealment_memory(spec.sample_rate).shape[1] if way == CONCEAL else 1
    return Arena(
        {
            "adapter": (ADAPTER, (1,)),
            "item": (np.dtype(np.uint8), (_layout(processor)[-1],)),
            "scratch": (np.dtype(np.int64), (2,)),
            "last": (spec.dtype, (wide,)),
            "offset": (np.dtype(np.float64), (wide,)),
            "line": (spec.dtype, (narrow, line)),
            "memory": (np.dtype(np.float64), (wide, size)),
        }
    )


# --- the end ------------------------------------------------------------------------------------


def _leak(memory: _Memory) -> None:
    """Keep memory for ever: a thread that hangs may come back to it at any time."""
    memory.priority.step_back()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))


@atexit.register
def _stop_all() -> None:
    """Let all workers leave before the interpreter frees what they use."""
    stop_workers(list(_started), _EXIT_S)


def _forked() -> None:
    """In a child process there are no threads: they are started anew when needed."""
    for worker in list(_started):
        worker._memory.record["running"] = 0  # noqa: SLF001 - our own class


os.register_at_fork(after_in_child=_forked)
