# SPDX-License-Identifier: MIT
"""Rings between two threads: nothing is lost, doubled, torn or out of order."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore.kernels.jit import native
from rtcore.rings import Ring, ring_drop, ring_peek, ring_put, ring_take

ITEMS = 10_000_000
PAIR = np.dtype([("number", "i8"), ("check", "i8")])


@native
def write_all(ring, piece, total, seed):
    """Put `total` numbered items in pieces of random sizes."""
    sent = 0
    random = seed
    while sent < total:
        random = (random * 1103515245 + 12345) & 0x7FFFFFFF
        size = min(1 + (random >> 8) % piece.size, total - sent)
        for k in range(size):
            piece[k].number = sent + k
            piece[k].check = (sent + k) ^ 0x5DEECE66D
        done = 0
        while done < size:
            at = np.uintp(piece.ctypes.data) + np.uintp(done * 16)
            done += ring_put(ring, at, size - done)
        sent += size


@native
def read_all(ring, piece, total, seed):
    """Take `total` items in pieces of random sizes; give the number of wrong ones."""
    got = 0
    wrong = 0
    random = seed
    while got < total:
        random = (random * 1103515245 + 12345) & 0x7FFFFFFF
        size = 1 + (random >> 8) % piece.size
        taken = ring_take(ring, np.uintp(piece.ctypes.data), size)
        for k in range(taken):
            if piece[k].number != got + k or piece[k].check != (got + k) ^ 0x5DEECE66D:
                wrong += 1
        got += taken
    return wrong


@native
def peek_all(ring, total, first):
    """Take `total` items one by one without copying; give the number of empty looks."""
    got = 0
    empty = 0
    while got < total:
        at = ring_peek(ring)
        if at == 0:
            empty += 1
            continue
        if at < first:
            return -1
        ring_drop(ring)
        got += 1
    return empty


class TestThreads:
    @pytest.mark.parametrize(("capacity", "piece"), [(2, 5), (64, 100), (4096, 700)])
    def test_nothing_is_lost_or_torn(self, capacity, piece):
        """Ten million items in pieces of random sizes between two threads without the GIL."""
        total = ITEMS if capacity > 2 else ITEMS // 20
        ring = Ring(PAIR, capacity)
        pieces = [np.zeros(piece, PAIR) for _ in range(2)]
        for k in range(2):  # compile before two threads meet
            write_all(ring.address, pieces[0], 1, 1)
            assert 0 == read_all(ring.address, pieces[1], 1, k)
        writer = threading.Thread(target=write_all, args=(ring.address, pieces[0], total, 3))
        writer.start()
        wrong = read_all(ring.address, pieces[1], total, 5)
        writer.join()
        assert (0, 0) == (wrong, len(ring))

    def test_peeking(self):
        """The reader may look at items in place."""
        ring = Ring(PAIR, 32)
        piece = np.zeros(7, PAIR)
        first = np.uintp(ring._data.ctypes.data)
        peek_all(ring.address, 0, first)
        write_all(ring.address, piece, 0, 1)
        writer = threading.Thread(target=write_all, args=(ring.address, piece, 200_000, 3))
        writer.start()
        assert peek_all(ring.address, 200_000, first) >= 0
        writer.join()
        assert 0 == len(ring)


class TestEdges:
    @pytest.mark.parametrize(("asked", "given"), [(1, 2), (2, 2), (3, 4), (64, 64), (65, 128)])
    def test_capacity_is_a_power_of_two(self, asked, given):
        """A ring holds at least as many items as were asked for."""
        ring = Ring("f4", asked)
        assert (given, given, 0) == (ring.capacity, ring.room, len(ring))

    def test_full_and_empty(self):
        """A full ring takes nothing more, an empty one gives nothing."""
        ring = Ring("i4", 8)
        assert 8 == ring.put(np.arange(20))
        assert (0, 0, 8) == (ring.put(np.arange(3)), ring.room, len(ring))
        assert np.array_equal(np.arange(8), ring.take())
        assert 0 == ring.take().size
        assert 0 == ring.take(5).size
        assert 0 == ring.put(np.zeros(0))

    def test_items_with_channels(self):
        """An item may be a frame of several samples."""
        ring = Ring((np.float32, (3,)), 4)
        frames = np.arange(12, dtype=np.float32).reshape(4, 3)
        assert 4 == ring.put(frames)
        assert np.array_equal(frames, ring.take())


class TestModel:
    @given(
        capacity=st.integers(1, 20),
        steps=st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=60),
    )
    def test_behaves_like_a_bounded_queue(self, capacity, steps):
        """Any sequence of puts and takes gives what a queue of that size gives."""
        ring, model, number = Ring("i8", capacity), deque(), 0
        for puts, count in steps:
            if puts:
                fitted = ring.put(np.arange(number, number + count))
                assert min(count, ring.capacity - len(model)) == fitted
                model.extend(range(number, number + fitted))
                number += fitted
            else:
                expected = [model.popleft() for _ in range(min(count, len(model)))]
                assert expected == ring.take(count).tolist()
            assert (len(model), ring.capacity - len(model)) == (len(ring), ring.room)
