# SPDX-License-Identifier: MIT
"""A chain in time: its position, its queue of commands, and the events that come back."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import carray

from rtcore.chain.node import Node
from rtcore.chain.records import COMMAND, EVENT, STREAM, Command, Event
from rtcore.chain.runner import stream_reset, stream_run
from rtcore.chain.sides import Board, Slot
from rtcore.chain.table import Table
from rtcore.errors import StreamError
from rtcore.kernels.abi import pointer
from rtcore.kernels.context import ABI_VERSION, CONTEXT
from rtcore.kernels.jit import native
from rtcore.kernels.rt import flush_denormals, restore_float_mode
from rtcore.rings import Ring, ring_held

if TYPE_CHECKING:
    from rtcore.chain.worker import Departure

_QUEUE = 4096
#: Each command is answered by at most two events, and many may be applied before anybody looks.
_EVENTS = 4 * _QUEUE


@native
def render(stream: int, rows: int, x: Any, y: Any) -> int:
    """Play planar sound on the caller's thread; give the number of events that wait.

    Subnormals are flushed meanwhile.  ``rows`` is the address of room for the address of each
    channel, of ``x`` and then of ``y``: to fill it here costs a tenth of what NumPy takes.
    """
    channels, frames = x.shape
    addresses = carray(pointer(np.uintp(rows), np.uint64), (channels + y.shape[0],))
    for c in range(channels):
        addresses[c] = np.uint64(x.ctypes.data) + np.uint64(c * frames * x.itemsize)
    for c in range(y.shape[0]):
        addresses[channels + c] = np.uint64(y.ctypes.data) + np.uint64(c * frames * y.itemsize)
    mode = flush_denormals()
    stream_run(np.uintp(stream), addresses[:channels], 1, addresses[channels:], 1, frames, x.dtype)
    restore_float_mode(mode)
    record = carray(pointer(np.uintp(stream), STREAM), (1,))[0]
    return ring_held(np.uintp(record.events))


_HASTY_S = 0.005


class Stream:
    """Plays a table; commands may come from any thread but the one that plays.

    Commands take effect in the order in which they were given: one for a later frame holds up
    those that were given after it.

    Parameters
    ----------
    table : Table
        The chain to begin with.
    """

    def __init__(self, table: Table) -> None:
        spec = table.graph.spec
        self.table = table
        self.real = spec.dtype
        self._commands = Ring(COMMAND, _QUEUE)
        self._events = Ring(EVENT, _EVENTS)
        self._context = np.zeros(1, CONTEXT)
        self._context["abi_version"] = ABI_VERSION
        self._context["sample_rate"] = spec.sample_rate
        self._clock = np.zeros(16 + EVENT.itemsize, np.uint8)
        self.record = np.zeros(1, STREAM)
        self._address = int(self.record.ctypes.data)
        self._rows = np.zeros(spec.channels + table.graph.output.channels, np.uint64)
        self._rows_address = int(self._rows.ctypes.data)
        self.record["chain"] = table.address
        self.record["context"] = self._context.ctypes.data
        self.record["commands"] = self._commands.address
        self.record["events"] = self._events.address
        self.record["clock"] = self._clock.ctypes.data
        self.sides = Board(spec)
        self.sides.bind(table.placed)
        self.record["sides"] = self.sides.address
        step = table.graph.block_frames
        self.record["hasty_frames"] = max(1, -(-spec.frames(_HASTY_S) // step)) * step
        self._control = threading.RLock()  # the rings know one thread at this end
        self._serial = 0
        self._pending: dict[int, dict[str, Any]] = {}  # what each command says, for the log
        self._kept: dict[int, Any] = {table.address: table}  # memory that compiled code may use
        self.on_event: Callable[[dict[str, Any]], None] | None = None
        #: Called with the system's number of each worker's thread that may play.
        self.on_thread: Callable[[int], None] | None = None
        self._awake = False
        self._departures: list[Departure] = []  # of all workers that were started

    @property
    def address(self) -> np.uint64:
        """Where compiled code finds the stream."""
        return np.uint64(self._address)

    @property
    def position(self) -> int:
        """Frames played since the stream began."""
        return int(self.record["position"][0])

    @property
    def input_faults(self) -> int:
        """NaN or Inf samples that were replaced by silence at the door."""
        return int(self.record["input_faults"][0])

    def measure(self, *, on: bool = True) -> None:
        """Time every step from now on, into its node's histogram."""
        self.record["timed"] = int(on)

    def run(self, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> None:
        """Play ``x`` into ``y``, both C-contiguous (channels, frames) of the stream's type."""
        if not self._awake:
            self.wake()
        if not x.flags.writeable:
            x = x.copy()  # compiled code for arrays that cannot be written is another variant
        if render(self._address, self._rows_address, x, y):
            self.poll()

    def wake(self, nodes: Iterable[Node] = ()) -> None:
        """Start the threads of workers: of all that play, and of nodes that are to join them.

        Raises
        ------
        StreamError
            Where one of them was abandoned.
        """
        here = [] if self._awake else [placed.node for placed in self.table.placed]
        for node in [*here, *nodes]:
            if node.worker is not None:
                number = node.worker.start()
                self._departures = [one for one in self._departures if not one.gone]
                self._departures.append(node.worker.departure())
                if self.on_thread is not None:
                    self.on_thread(number)
        self._awake = True

    def hurry(self) -> None:
        """Let nobody wait long for a worker: the end is near."""
        for placed in self.table.placed:
            if placed.node.worker is not None:
                placed.node.worker.hurry()

    def tend(self) -> None:
        """Keep workers that hang from holding up other programs; called some times a second."""
        for placed in self.table.placed:
            if placed.node.worker is not None:
                placed.node.worker.tend(self.on_thread)

    def rest(self) -> list[str]:
        """Stop the threads of workers; give the places of those that hang and are abandoned.

        They start again with the next sound; what is under way goes on.  Nothing may be playing.
        """
        self._awake = False
        self._context["time_ns"] = 0  # whoever plays next is no device
        self._context["deadline_ns"] = 0
        places = {p.node.worker: p.path for p in self.table.placed if p.node.worker is not None}
        if not places and not self._departures:
            return []
        from rtcore.chain.worker import STOP_S, stop_workers

        self.poll()  # lets go of what was replaced
        if any(not one.gone and one.worker not in places for one in self._departures):
            gc.collect()  # what is replaced may be part of a circle
        until = time.monotonic() + STOP_S
        hung = [places[worker] for worker in stop_workers(places)]
        forsaken = [one for one in self._departures if one.forsaken]
        self._departures = [one for one in self._departures if one not in forsaken]
        return hung + [one.plugin_id for one in forsaken if not one.leave(until)]

    def send(
        self,
        kind: Command,
        target: int = 0,
        argument: int = 0,
        value: float = 0.0,
        *,
        at_frame: int = -1,
        say: dict[str, Any] | None = None,
    ) -> int:
        """Queue a command; give its serial number.

        Parameters
        ----------
        kind : Command
            What is to be done.
        target, argument, value
            See :class:`~rtcore.chain.records.Command`.
        at_frame : int
            Position at which it takes effect; -1 for the next frame that is played.
        say : dict, optional
            What the session log says about it.

        Raises
        ------
        StreamError
            Where thousands of commands wait and nothing plays.
        """
        return self.send_together(kind, [(target, argument, value)], at_frame=at_frame, say=say)

    def send_together(
        self,
        kind: Command,
        fields: Sequence[tuple[int, int, float]],
        *,
        at_frame: int = -1,
        say: dict[str, Any] | None = None,
    ) -> int:
        """Queue commands that take effect at one and the same frame; all of them or none.

        Parameters
        ----------
        kind, at_frame, say
            As for :meth:`send`.
        fields : sequence
            (target, argument, value) of each.
        """
        step = self.table.graph.block_frames
        at_frame = (
            at_frame if at_frame < 0 else -(-at_frame // step) * step
        )  # blocks stay what was promised
        with self._control:
            self.poll()
            if self._commands.room < len(fields):
                msg = (
                    f"{_QUEUE} changes wait and none is taken; let the stream play before "
                    "changing more"
                )
                raise StreamError(msg)
            commands = np.zeros(len(fields), COMMAND)
            for command, (target, argument, value) in zip(commands, fields, strict=True):
                self._serial += 1
                command["frame"], command["kind"], command["serial"] = (
                    at_frame,
                    int(kind),
                    self._serial,
                )
                command["target"], command["argument"], command["value"] = target, argument, value
            if say:
                self._pending[self._serial] = say
            self._commands.put(commands)
            return self._serial

    def feed(self, slot: Slot, vectors: np.ndarray[Any, Any], frames: np.ndarray[Any, Any]) -> int:
        """Hand over vectors of a side input; give how many found room.

        Parameters
        ----------
        slot : Slot
            The side input.
        vectors : ndarray of float32, shape (vectors, width)
            In their order.
        frames : ndarray of int64, shape (vectors,)
            From which each holds; -1 for the next frame.
        """
        step = self.table.graph.block_frames
        whole = np.where(frames < 0, frames, -(-frames // step) * step)  # as for commands
        return slot.feed(vectors, whole)

    def mark(self, flags: int) -> None:
        """Set the flags of the frames from here on; only for the thread that plays."""
        self._context["flags"] = flags
        self._tell({"frame": self.position, "event": "flags", "flags": flags})

    def reset(self) -> None:
        """Forget all sound at once; only for the thread that plays."""
        stream_reset(self.address)
        self.poll()
        self._tell({"frame": self.position, "event": "reset", "plugin": "*"})

    def restart(self) -> None:
        """Forget all sound and begin at frame 0; nothing may be playing.

        Vectors that wait belong to the frames of the old stream, if any of it was played.
        """
        stream_reset(self.address)
        self.poll()
        if self.position > 0:
            self.sides.forget()
        self.record["position"] = 0
        self._context["flags"] = 0

    def settle(self) -> None:
        """Let what is queued take effect and end all cross-fades, before another stream plays on.

        Raises
        ------
        StreamError
            Where changes for later frames wait.
        """
        stream_reset(self.address)
        self.poll()
        if len(self._commands) or self.sides.waiting:
            msg = (
                "changes for later frames wait in the chain that takes over; give them after the "
                "swap instead"
            )
            raise StreamError(msg)

    def keep(self, address: int, owner: Any) -> None:
        """Hold on to memory until the stream says that it is done with it."""
        self._kept[address] = owner

    def let_go(self, address: int) -> None:
        """Release memory that was kept for a command which could not be sent."""
        self._kept.pop(address, None)

    def poll(self) -> list[dict[str, Any]]:
        """Take the events that have come back, free what is retired, and describe them."""
        with self._control:
            return self._poll()

    def _poll(self) -> list[dict[str, Any]]:
        told = []
        for event in self._events.take():
            kind, serial = int(event["kind"]), int(event["serial"])
            if kind == Event.RETIRED:
                self._kept.pop(int(event["target"]), None)
                continue
            if kind == Event.APPLIED:
                said = self._pending.pop(serial, {})
                if not said:
                    continue
                told.append({"frame": int(event["frame"]), **said})
            elif kind == Event.FED:
                said = self.sides.told(int(event["target"]), serial, holds=event["argument"] == 1)
                if said:
                    told.append({"frame": int(event["frame"]), **said})
            elif kind == Event.FLAGGED:
                flags = int(event["argument"])
                told.append({"frame": int(event["frame"]), "event": "flags", "flags": flags})
            elif kind == Event.FAULT:
                path = self._kept[serial].placed[int(event["target"])].path
                what = f"status {int(event['argument'])}" if event["argument"] else "NaN or Inf"
                told.append(
                    {"frame": int(event["frame"]), "event": "fault", "plugin": path, "what": what}
                )
        for line in told:
            self._tell(line)
        return told

    def _tell(self, line: dict[str, Any]) -> None:
        if self.on_event is not None:
            self.on_event(line)
