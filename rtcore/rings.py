# SPDX-License-Identifier: MIT
"""Rings between one writer and one reader, without locks.

The two indices only ever grow; each is written by one side, with release, and read by the other,
with acquire, so what the index promises is in memory.  A slot's place is its index modulo the
capacity, a power of two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from rtcore.kernels.abi import copy_bytes, load_acquire, pointer, store_release
from rtcore.kernels.jit import native

#: The reader's and the writer's index stand in cache lines of their own.
RING = np.dtype(
    [
        ("write", "i8"),
        ("_apart_1", "i8", 7),
        ("read", "i8"),
        ("_apart_2", "i8", 7),
        ("data", "u8"),
        ("capacity", "i8"),  # items, a power of two
        ("item_bytes", "i8"),
        ("_apart_3", "i8", 5),
    ],
    align=True,
)
_WRITE = RING.fields["write"][1]  # type: ignore[index]
_READ = RING.fields["read"][1]  # type: ignore[index]


@native
def ring_room(ring: int) -> int:
    """Count the items that the writer may add."""
    r = carray(pointer(ring, RING), (1,))[0]
    return r.capacity - (r.write - load_acquire(ring + np.uintp(_READ)))


@native
def ring_held(ring: int) -> int:
    """Count the items that the reader may take."""
    r = carray(pointer(ring, RING), (1,))[0]
    return load_acquire(ring + np.uintp(_WRITE)) - r.read


@native
def _slot(ring: int, index: int) -> Any:
    r = carray(pointer(ring, RING), (1,))[0]
    return np.uintp(r.data) + np.uintp((index & (r.capacity - 1)) * r.item_bytes)


@native
def ring_put(ring: int, source: int, count: int) -> int:
    """Copy up to ``count`` items in; give how many fitted."""
    r = carray(pointer(ring, RING), (1,))[0]
    fitting = min(count, ring_room(ring))
    if fitting > 0:
        start = r.write & (r.capacity - 1)
        first = min(fitting, r.capacity - start)
        copy_bytes(_slot(ring, r.write), source, first * r.item_bytes)
        copy_bytes(
            np.uintp(r.data),
            source + np.uintp(first * r.item_bytes),
            (fitting - first) * r.item_bytes,
        )
        store_release(ring + np.uintp(_WRITE), r.write + fitting)
    return fitting


@native
def ring_take(ring: int, target: int, count: int) -> int:
    """Copy up to ``count`` items out; give how many there were."""
    r = carray(pointer(ring, RING), (1,))[0]
    there = min(count, ring_held(ring))
    if there > 0:
        start = r.read & (r.capacity - 1)
        first = min(there, r.capacity - start)
        copy_bytes(target, _slot(ring, r.read), first * r.item_bytes)
        copy_bytes(
            target + np.uintp(first * r.item_bytes),
            np.uintp(r.data),
            (there - first) * r.item_bytes,
        )
        store_release(ring + np.uintp(_READ), r.read + there)
    return there


@native
def ring_peek(ring: int) -> Any:
    """Give the address of the oldest item, or 0."""
    r = carray(pointer(ring, RING), (1,))[0]
    return _slot(ring, r.read) if ring_held(ring) > 0 else np.uintp(0)


@native
def ring_drop(ring: int) -> None:
    """Let go of the oldest item."""
    r = carray(pointer(ring, RING), (1,))[0]
    store_release(ring + np.uintp(_READ), r.read + 1)


class Ring:
    """A ring of fixed-size items, for one writer and one reader on any two threads.

    Parameters
    ----------
    item : numpy dtype
        What an item looks like: a record, or ``(real, channels)`` for frames of audio.
    capacity : int
        Smallest number of items it must hold; rounded up to a power of two.
    """

    def __init__(self, item: Any, capacity: int) -> None:
        self.item = np.dtype(item)
        size = 1 << max(1, (capacity - 1).bit_length())
        self._data = np.zeros(size * self.item.itemsize, np.uint8)
        self._record = np.zeros(1, RING)
        self._record["data"] = self._data.ctypes.data
        self._record["capacity"] = size
        self._record["item_bytes"] = self.item.itemsize
        self.address = np.uintp(self._record.ctypes.data)
        self.capacity = size

    def put(self, items: np.ndarray[Any, Any]) -> int:
        """Add items (a contiguous array of the item type); give how many fitted."""
        items = np.ascontiguousarray(items, self.item.base)
        return int(
            ring_put(self.address, np.uintp(items.ctypes.data), items.nbytes // self.item.itemsize)
        )

    def take(self, count: int | None = None) -> np.ndarray[Any, Any]:
        """Take up to ``count`` items, all that are there by default."""
        count = len(self) if count is None else min(count, len(self))
        out = np.empty(count, self.item)
        got = ring_take(self.address, np.uintp(out.ctypes.data), count)
        return out[:got]

    @property
    def room(self) -> int:
        """Number of items that may be added now."""
        return int(ring_room(self.address))

    def __len__(self) -> int:
        """Count the items that may be taken now."""
        return int(ring_held(self.address))
