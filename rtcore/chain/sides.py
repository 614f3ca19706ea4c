# SPDX-License-Identifier: MIT
"""Side inputs on the control thread: what is fed, and what became of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcore.chain.records import BOARD, MAX_SIDES, SLOT
from rtcore.errors import ConfigError, ParameterError, StreamError, did_you_mean
from rtcore.kernels.abi import store_release
from rtcore.kernels.jit import native
from rtcore.plugin import Spec
from rtcore.rings import Ring
from rtcore.sides import SideInput, frames_of

if TYPE_CHECKING:
    from rtcore.chain.graph import PlacedNode

_RING_BYTES = 1 << 22
_FEWEST, _MOST = 64, 16384


@native
def _publish(board: int, count: int) -> None:
    store_release(board, count)


class Slot:
    """One side input of a stream: its ring, the vector that holds, and what is counted.

    Parameters
    ----------
    name : str
        As plugins and users call it.
    declared : SideInput
        What the plugins say of it.
    spec : Spec
        The stream.
    """

    def __init__(self, name: str, declared: SideInput, spec: Spec) -> None:
        self.name = name
        self.declared = declared
        self._sample_rate = spec.sample_rate
        item = np.dtype([("frame", "i8"), ("values", "f4", (declared.width,))], align=True)
        self._item = item
        capacity = min(max(_RING_BYTES // item.itemsize, _FEWEST), _MOST)
        self._capacity = capacity
        self._ring: Ring | None = None
        self.values = declared.first()
        self.record = np.zeros(1, SLOT)
        self.record["values"] = self.values.ctypes.data
        self.record["value_bytes"] = self.values.nbytes
        late = declared.lateness_s
        self.record["lateness_frames"] = -1 if late is None else spec.frames(late)
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, np.ndarray[Any, Any]]] = deque()  # in the ring, for the log
        self._fed = self._full = self._forgotten = 0
        self._newest = -1

    @property
    def address(self) -> int:
        """Where compiled code finds it; its ring is made by then."""
        if self._ring is None:
            self._ring = Ring(self._item, self._capacity)
            self.record["ring"] = self._ring.address
        return int(self.record.ctypes.data)

    @property
    def capacity(self) -> int:
        """Vectors that may wait."""
        return self._capacity

    def frames(self, count: int, at_frame: Any, rate_hz: float | None) -> np.ndarray[Any, Any]:
        """Give the frames of vectors; see :func:`rtcore.sides.frames_of`."""
        rate = self.declared.rate_hz if rate_hz is None else rate_hz
        return frames_of(self.name, count, at_frame, rate, self._sample_rate)

    def feed(self, vectors: np.ndarray[Any, Any], frames: np.ndarray[Any, Any]) -> int:
        """Put vectors into the ring; give how many found room.

        Raises
        ------
        StreamError
            Where a vector is for an earlier frame than one that waits.
        """
        items = np.zeros(len(vectors), self._item)
        items["frame"], items["values"] = frames, vectors
        with self._lock:
            ring = self._ring
            if ring is None:
                return 0
            known = frames[frames >= 0]
            if known.size and len(ring) and known[0] < self._newest:
                msg = (
                    f"side input '{self.name}': frame {known[0]} comes after frame {self._newest}, "
                    "which was fed before; feed vectors in their order"
                )
                raise StreamError(msg)
            fitting = min(len(items), ring.room)
            # Before they are there: the other side may tell of them at once.
            self._waiting.extend(enumerate(vectors[:fitting], start=self._fed))
            ring.put(items[:fitting])
            self._fed += fitting
            self._full += len(items) - fitting
            known = frames[:fitting][frames[:fitting] >= 0]
            self._newest = int(known[-1]) if known.size else self._newest
            return fitting

    def taken(self, serial: int) -> np.ndarray[Any, Any] | None:
        """Give the vector of which the other side tells; those before it are forgotten."""
        with self._lock:
            while self._waiting and self._waiting[0][0] < serial:
                self._waiting.popleft()
            if self._waiting and self._waiting[0][0] == serial:
                return self._waiting.popleft()[1]
        return None

    def forget(self) -> None:
        """Let go of the vectors that wait; nothing may be playing."""
        with self._lock:
            self._forgotten += 0 if self._ring is None else len(self._ring.take())
            self._waiting.clear()
            self._newest = -1

    @property
    def waiting(self) -> int:
        """Vectors that have not been taken."""
        return 0 if self._ring is None else len(self._ring)

    def stats(self) -> dict[str, Any]:
        """Give what was counted, as JSON-able numbers; read without a lock."""
        record = self.record[0]
        return {
            "fed": self._fed,
            "applied": int(record["applied"]),
            "late": int(record["late"]),
            "latest_frames": int(record["latest_frames"]),
            "dropped": {
                "too_late": int(record["too_late"]),
                "full": self._full,
                "forgotten": self._forgotten,
            },
            "waiting": self.waiting,
        }


class Board:
    """The side inputs of a stream; they are only ever added, since old plugins may still play."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._slots: list[Slot] = []
        self.record = np.zeros(1, BOARD)

    @property
    def address(self) -> int:
        """Where compiled code finds it."""
        return int(self.record.ctypes.data)

    def bind(self, nodes: Iterable[PlacedNode], brought: Board | None = None) -> None:
        """Let plugins read from this board; add what it does not have.

        Parameters
        ----------
        nodes : iterable of PlacedNode
            All that are to play in one chain.
        brought : Board, optional
            From which new inputs are taken, with the vectors that hold there.

        Raises
        ------
        ConfigError
            Where two plugins declare one name differently, or there are too many.
        """
        several = list(nodes)
        _check_agreement(several)
        for placed in several:
            slots = {
                name: self._slot(name, declared, brought, placed.path)
                for name, declared in placed.node.sides.items()
            }
            placed.node.take_from(slots)

    def _slot(self, name: str, declared: SideInput, brought: Board | None, path: str) -> Slot:
        found = self.find(name)
        if found is not None and found.declared == declared:
            return found
        other = None if brought is None else brought.find(name)
        fresh = other if other is not None else Slot(name, declared, self._spec)
        if len(self._slots) == MAX_SIDES:
            what = f"this stream has had {MAX_SIDES} side inputs; build the chain anew"
            raise ConfigError(path, what)
        self.record["slots"][0, len(self._slots)] = fresh.address
        self._slots.append(fresh)
        _publish(np.uintp(self.address), len(self._slots))
        return fresh

    def find(self, name: str) -> Slot | None:
        """Give the newest side input of a name."""
        return next((slot for slot in reversed(self._slots) if slot.name == name), None)

    def forget(self) -> None:
        """Let go of the vectors that wait; nothing may be playing."""
        for slot in self._slots:
            slot.forget()

    def told(self, number: int, serial: int, *, holds: bool) -> dict[str, Any]:
        """Say for the log which vector was taken; nothing where that changes no plugin's sound."""
        slot = self._slots[number]
        vector = slot.taken(serial)
        if vector is None or not holds or self.find(slot.name) is not slot:
            return {}
        return {"event": "feed", "input": slot.name, "values": vector.tolist()}

    def held(self) -> dict[str, list[float]]:
        """Give the vectors that hold, of those inputs to which any was fed."""
        return {
            slot.name: slot.values.tolist() for slot in self._slots if slot.record["applied"][0]
        }

    @property
    def waiting(self) -> int:
        """Vectors that have not been taken, of all inputs."""
        return sum(slot.waiting for slot in self._slots)


def _check_agreement(nodes: Iterable[PlacedNode]) -> None:
    """Refuse two plugins that mean different things by one name."""
    first: dict[str, tuple[str, SideInput]] = {}
    for placed in nodes:
        for name, declared in placed.node.sides.items():
            path, before = first.setdefault(name, (placed.path, declared))
            if before != declared:
                what = (
                    f"declares the side input '{name}' otherwise than {path} ({declared} and "
                    f"{before}); give one of them another name"
                )
                raise ConfigError(placed.path, what)


def find_side(nodes: Iterable[PlacedNode], name: str) -> Slot:
    """Give the side input of a chain that has a name.

    Raises
    ------
    ParameterError
        Where there is none.
    """
    there: Mapping[str, Slot] = {k: slot for p in nodes for k, slot in p.node.slots.items()}
    if name not in there:
        listed = f"it has: {', '.join(there)}" if there else "no plugin in it declares any"
        what = f"'{name}' is no side input of this chain{did_you_mean(name, there)}; {listed}"
        raise ParameterError("side", what)
    return there[name]
