# SPDX-License-Identifier: MIT
"""Swaps: no click, no use after free, no memory left behind."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from sounds import Bomb, Late, Scale, Smear, Step, Wide, hop_class, noise, sine
from waiting import reaches

from rtcore import Chain, ConfigError, Parallel, StreamError
from rtcore.engine import Engine, Memory, TimerBackend

FADE = 2400  # 50 ms


def largest_step(y):
    return float(np.abs(np.diff(y)).max())


def watched(*objects):
    return [weakref.ref(o) for o in objects]


class TestSound:
    def test_a_redesign_is_cross_faded(self):
        """Changing a setting moves from the old sound to the new one without a click."""
        chain = Chain([Smear(pole=0.0)], channels=1)
        x = sine(1, 12000)
        chain.update(0, at_frame=3000, pole=0.99)
        y = chain.process(x)[0]
        assert np.allclose(x[0, :3000], y[:3000], atol=1e-7)
        assert largest_step(y) <= 1.1 * largest_step(x)
        fresh = Chain([Smear(pole=0.99)], channels=1).process(x[:, 3000:])[0]
        assert np.allclose(fresh[FADE:], y[3000 + FADE :], atol=1e-7)

    def test_a_chain_is_cross_faded(self):
        """Another chain takes over within 50 ms without a click."""
        chain = Chain([Step(factor=1.0)], channels=2)
        x = sine(2, 12000)
        chain.swap(Chain([Step(factor=-1.0)], channels=2), at_frame=3000)
        y = chain.process(x)
        assert np.array_equal(x[:, :3000], y[:, :3000])
        assert np.array_equal(-x[:, 3000 + FADE :], y[:, 3000 + FADE :])
        assert largest_step(y) <= largest_step(x) + 2 * 0.5 / FADE + 1e-6

    def test_the_fade_is_linear(self):
        """On a constant the cross-fade is a straight line."""
        chain = Chain([Step(factor=0.0)], channels=1, dtype="float64")
        chain.swap(Chain([Step(factor=1.0)], channels=1, dtype="float64"))
        y = chain.process(np.ones((1, FADE + 10)))[0]
        assert np.allclose(np.minimum(np.arange(1, FADE + 11) / FADE, 1), y, atol=1e-12)

    def test_swap_during_swap(self):
        """A swap during a swap waits for the end of the first one's fade; the last one wins."""
        chain = Chain([Step(factor=0.0)], channels=1)
        for k in range(1, 6):
            chain.swap(Chain([Step(factor=float(k))], channels=1), at_frame=100 * k)
        y = chain.process(np.ones((1, 8000)))[0]
        assert np.isfinite(y).all()
        assert 5.0 == y[-1]
        assert 1 == len(chain.stream._kept)

    def test_redesign_during_redesign(self):
        """The same for a single plugin, also where it was muted."""
        chain = Chain([Bomb(at=0)], channels=1)
        for k in range(1, 6):
            chain.update(0, at_frame=100 * k, at=10**6 + k)
        assert 1.0 == chain.process(np.ones((1, 8000)))[0, -1]
        assert 1 == len(chain.stream._kept)

    def test_swap_during_redesign(self):
        """What a chain's own plugins were replacing goes with the chain."""
        chain = Chain([Smear(), Smear()], channels=1)
        chain.update(0, at_frame=100, pole=0.5)
        chain.update(1, at_frame=200, pole=0.5)
        chain.swap(Chain([Step()], channels=1), at_frame=300)
        chain.swap(Chain([Step(factor=2.0)], channels=1), at_frame=400)
        assert 2.0 == chain.process(np.ones((1, 8000)))[0, -1]
        assert 1 == len(chain.stream._kept)

    def test_updates_reach_the_new_chain(self):
        """After a swap names and numbers mean the new chain's plugins."""
        chain = Chain([Step()], channels=1)
        chain.swap(Chain([Smear(pole=0.0), Scale(), Step()], channels=1))
        chain.update("t_step", factor=3.0)
        assert 3.0 == chain.process(np.ones((1, 8000)))[0, -1]

    def test_shorter_blocks_of_the_other_chain(self):
        """Chains whose longest blocks differ may replace one another."""
        for mine, theirs in ((512, 16), (16, 512)):
            chain = Chain([Smear()], channels=2, max_frames=mine)
            chain.swap(Chain([Smear(pole=0.5)], channels=2, max_frames=theirs))
            x = noise(2, 6000)
            reference = Chain([Smear()], channels=2)
            reference.swap(Chain([Smear(pole=0.5)], channels=2))
            assert np.array_equal(reference.process(x), chain.process(x))


class TestRefusals:
    def test_other_stream(self):
        """A chain for another rate, type or width cannot take over."""
        chain = Chain([Step()], channels=1)
        for other in (
            Chain([Step()], channels=2),
            Chain([Wide()], channels=1),
            Chain([Step()], channels=1, sample_rate=44100),
            Chain([Step()], channels=1, dtype="float64"),
        ):
            with pytest.raises(ConfigError, match="must be for the same stream"):
                chain.swap(other)

    def test_used_chains(self):
        """A chain that plays, or was taken over, cannot take over; and it cannot play either."""
        chain, other = Chain([Step()], channels=1), Chain([Step()], channels=1)
        with pytest.raises(StreamError, match="must be fresh, but this very stream plays it"):
            chain.swap(chain)
        chain.swap(other)
        with pytest.raises(StreamError, match="but another chain plays it"):
            chain.swap(other)
        with pytest.raises(StreamError, match="another chain plays this chain"):
            other.process(np.zeros(10))

    def test_latency_may_not_change(self):
        """A setting that changes the latency is refused while it plays; the remedy is named."""
        chain = Chain([Late(frames=10)], channels=1)
        with pytest.raises(
            ConfigError, match=r"latency from 10 to 20 frames.*swap the whole chain"
        ):
            chain.update(0, frames=20)
        assert 10 == chain.nodes[0].node.plugin.frames

    def test_promised_blocks(self):
        """A chain that was promised larger blocks than this stream has is refused."""
        chain = Chain([Step()], channels=1, block_frames=32)
        with pytest.raises(ConfigError, match="wants blocks of 64 frames, this stream has 32"):
            chain.swap(Chain([hop_class(64)()], channels=1, block_frames=64))


class TestMemory:
    def test_a_replaced_plugin_is_freed(self):
        """The old node lives for as long as it is heard and not longer."""
        chain = Chain([Smear()], channels=1)
        old = weakref.ref(chain.nodes[0].node)
        chain.update(0, pole=0.5)
        chain.process(np.ones((1, FADE // 2)))
        gc.collect()
        assert old() is not None
        chain.process(np.ones((1, FADE)))
        gc.collect()
        assert old() is None

    def test_a_replaced_chain_is_freed(self):
        """The old table and its nodes live for as long as they are heard and not longer."""
        chain = Chain([Smear(), Parallel([], [Smear()])], channels=1)
        old = watched(chain.table, *(placed.node for placed in chain.nodes))
        chain.swap(Chain([Smear()], channels=1))
        chain.process(np.ones((1, FADE // 2)))
        gc.collect()
        assert all(ref() is not None for ref in old)
        chain.process(np.ones((1, FADE)))
        gc.collect()
        assert [None] * len(old) == [ref() for ref in old]

    def test_the_new_plugin_has_its_own_numbers(self):
        """After a swap nothing writes to the old node's arrays, and the new one is measured."""
        chain = Chain([Smear()], channels=1)
        chain.stream.measure()
        old = chain.nodes[0].node
        chain.update(0, pole=0.5)
        chain.process(np.ones((1, 2 * FADE)))
        counted, last = len(old.histogram), old.last.copy()
        chain.process(-np.ones((1, 2 * FADE)))
        assert counted == len(old.histogram)
        assert np.array_equal(last, old.last)
        assert len(chain.nodes[0].node.histogram) > 0
        assert chain.nodes[0].node.last[0] < 0


class TestLive:
    def test_thousands_of_live_swaps(self):
        """Swaps and changes from two threads while it plays: no crash, flat memory, all freed."""
        chain = Chain([Smear(), Step()], channels=2, max_frames=64)
        heard = Memory()
        tables, nodes = [], []
        stop = threading.Event()

        def turn():
            k = 0
            while not stop.wait(0.001):
                k += 1
                with_room(lambda k=k: chain.update("t_step", factor=(k % 3) / 2, offset=0.0), chain)

        other = threading.Thread(target=turn)
        with Engine(chain, TimerBackend(block_frames=64), output=heard) as engine:
            other.start()
            tracemalloc.start()
            try:
                half = swap_for(2.0, chain, engine, tables, nodes)
                middle = tracemalloc.get_traced_memory()[0]
                rest = swap_for(2.0, chain, engine, tables, nodes)
                end = tracemalloc.get_traced_memory()[0]
            finally:
                stop.set()
                other.join()
                tracemalloc.stop()
            assert reaches(lambda: len(chain.stream._kept) == 1)
            assert "running" == engine.state
        gc.collect()
        alive = [ref for ref in tables if ref() is not None]
        assert half + rest > 50
        assert alive == [] or [chain.table] == [ref() for ref in alive]
        assert end - middle < 5e6 + 2000 * rest, (middle, end, rest)
        assert np.isfinite(heard.samples).all()
        assert 0 == chain.stream.record["events_lost"][0]

    def test_thousands_of_swaps_unpaced(self):
        """As fast as the stream can be played on one thread, swapped from another."""
        chain = Chain([Smear()], channels=1)
        spare = Chain([Smear()], channels=1)
        stop = threading.Event()
        x = np.ones((1, 256), np.float32)
        faults = []

        def play():
            while not stop.is_set():
                y = np.empty_like(x)
                chain.stream.run(x, y)
                if not np.isfinite(y).all():
                    faults.append(y)

        thread = threading.Thread(target=play)
        thread.start()
        tables = []
        del spare
        for k in range(1500):
            fresh = Chain([Smear(pole=(k % 9) / 10)], channels=1)
            tables.append(weakref.ref(fresh.table))
            with_room(lambda fresh=fresh: chain.swap(fresh), chain)
        assert reaches(lambda: len(chain.stream._kept) == 1)
        stop.set()
        thread.join()
        gc.collect()
        assert [] == faults
        assert [chain.table] == [ref() for ref in tables if ref() is not None]


def swap_for(seconds, chain, engine, tables, nodes):
    """Swap chains and settings for a while; give how often."""
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        fresh = Chain([Smear(pole=(count % 9) / 10), Step()], channels=2, max_frames=64)
        tables.append(weakref.ref(fresh.table))
        with_room(lambda fresh=fresh: engine.swap(fresh), chain)
        with_room(lambda: engine.update("t_smear", pole=0.3), chain)
        nodes.append(weakref.ref(chain.nodes[0].node))
        count += 1
    return count


def with_room(action, chain):
    """Do something, and wait where the queue is full."""
    while True:
        try:
            action()
        except StreamError:
            time.sleep(0.005)
            continue
        return
