# SPDX-License-Identifier: MIT
"""Late, failed and dropped hops: counted exactly, concealed without a click, all else untouched.

No clock decides anything here: a gate in the plugin lets each hop through when the test says so.
"""

from __future__ import annotations

import numpy as np
import pytest
from sounds import noise
from waiting import reaches
from workers import (
    GOOD,
    HOP,
    INFINITE,
    NAN,
    OPEN,
    STATUS,
    Device,
    Inline,
    Narrow,
    Planted,
    gate_of,
    steepest,
    worker_of,
)

from rtcore import Chain
from rtcore.dsp.concealment import longest_fade_frames

RATE = 48000
FADE = {"conceal": longest_fade_frames(RATE), "dry": 240, "silence": 240}
WAYS = list(FADE)


def sine(frames, channels=2, rate=RATE):
    """A tone, and a lower one beside it."""
    t = np.arange(frames) / rate
    rows = [0.5 * np.sin(2 * np.pi * f * t) for f in (440.0, 350.0)]
    return np.array(rows[:channels], np.float32)


def build(**settings):
    """A chain with blocks of one hop, so that hop k is due in block k + 1."""
    return Chain([Planted(**settings)], block_frames=HOP)


def inline(x, **settings):
    """What the inline plugin gives, one hop later."""
    y = Chain([Inline(**settings)], block_frames=HOP, channels=x.shape[0]).process(x)
    return np.concatenate([np.zeros_like(y[:, :HOP]), y[:, :-HOP]], axis=1)


def untouched(bad, blocks, way):
    """Mark the frames whose hop was on time and that no cross-fade after a bad one reaches."""
    frames = np.ones(blocks * HOP, bool)
    for hop in bad:
        begin = (hop + 1) * HOP
        frames[begin : begin + HOP + FADE[way]] = False
    return frames


def counts_of(chain):
    """Give (late in all, since the start, longest run), concealed frames, errors, resets."""
    stats = worker_of(chain).stats()
    return (*stats["late"].values(), stats["concealed_frames"], stats["errors"], stats["resets"])


def stalls(*gates):
    """Let hops through as far as the last (block, gate) whose block has come."""

    def through(hops):
        return [gate for begin, gate in gates if hops >= begin][-1]

    return through


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("gates", "late", "longest"),
    [
        ([(0, OPEN)], (), 0),
        ([(0, OPEN), (10, 10), (12, OPEN)], (10,), 1),
        ([(0, OPEN), (10, 10), (15, OPEN)], (10, 11, 12, 13), 4),
        ([(0, OPEN), (10, 10), (15, OPEN), (29, 29), (32, OPEN)], (10, 11, 12, 13, 29, 30), 4),
        ([(0, 0), (3, OPEN)], (0, 1), 2),
    ],
)
def test_stalls(way, gates, late, longest):
    """Each hop that is not there in time is late; the others are as if nothing had happened."""
    x = sine(80 * HOP)
    chain = build(worker_late=way)
    y = Device(chain).play(x, HOP, through=stalls(*gates))
    assert (len(late), len(late), longest, HOP * len(late), 0, 0) == counts_of(chain)
    good = untouched(late, 80, way)
    assert np.array_equal(inline(x)[:, good], y[:, good])
    assert steepest(y) < 2 * steepest(x)
    assert HOP == chain.latency_frames


@pytest.mark.parametrize("slower", [2, 10])
@pytest.mark.parametrize("way", WAYS)
def test_too_slow(slower, way):
    """A worker that never keeps up is always late, and the sound goes on without a click."""
    x = sine(60 * HOP)
    chain = build(worker_late=way)
    y = Device(chain).play(x, HOP, through=lambda hops: hops // slower)
    gate_of(chain)[0] = OPEN
    assert (59, 59, 59, 59 * HOP, 0, 0) == counts_of(chain)
    assert steepest(y) < 2 * steepest(x)


def test_random_stalls():
    """Whatever the stalls, the counts are those of a model of the queue."""
    random = np.random.default_rng(3)
    for _ in range(5):
        gates = np.minimum.accumulate((np.arange(100) - random.integers(0, 4, 100))[::-1])[::-1]
        gates = np.maximum(gates, 0)
        x = noise(2, 100 * HOP)
        chain = build(worker_late="dry")
        y = Device(chain).play(x, HOP, through=lambda hops, gates=gates: int(gates[hops]))
        gate_of(chain)[0] = OPEN
        late = [hop for hop in range(99) if gates[hop + 1] <= hop]
        assert len(late) == counts_of(chain)[0]
        good = untouched(late, 100, "dry")
        assert np.array_equal(inline(x)[:, good], y[:, good])


@pytest.mark.parametrize("block", [HOP // 2, 2 * HOP, 3 * HOP])
def test_other_blocks(block):
    """Whether a hop is late is decided once, when its first frame is due."""
    x = sine(60 * HOP)
    chain = Chain([Planted(worker_late="dry", worker_allowance_s=0.005)], block_frames=block)
    y = Device(chain).play(x, block, through=lambda hops: 20 if 20 <= hops < 33 else OPEN)
    late = worker_of(chain).stats()["late"]["total"]
    assert 0 < late < 13
    assert late * HOP == worker_of(chain).stats()["concealed_frames"]
    straight = Chain([Inline()], block_frames=block).process(x)
    shift = chain.latency_frames - (HOP - np.gcd(HOP, block))
    good = np.abs(y[:, shift:] - straight[:, :-shift]).max(axis=0) == 0
    assert good[: 20 * HOP].all()
    assert good[34 * HOP + 240 + block :].all()
    assert steepest(y) < 2 * steepest(x)


def test_dry_is_the_input_at_the_same_time():
    """Dry means the input, as late as the output would be."""
    x = noise(2, 60 * HOP)
    chain = build(worker_late="dry")
    y = Device(chain).play(x, HOP, through=stalls((0, OPEN), (10, 10), (40, OPEN)))
    begin, end = 11 * HOP + 240, 40 * HOP
    assert np.array_equal(x[:, begin - HOP : end - HOP], y[:, begin:end])


def test_silence_where_channels_differ():
    """Where the input cannot stand in for the output there is silence."""
    x = noise(2, 40 * HOP)
    chain = Chain([Narrow(worker_late="dry")], block_frames=HOP)
    y = Device(chain).play(x, HOP, through=stalls((0, OPEN), (10, 10), (30, OPEN)))
    assert np.array_equal(np.zeros((1, 29 * HOP - 11 * HOP - 240)), y[:, 11 * HOP + 240 : 29 * HOP])


@pytest.mark.parametrize("way", WAYS)
def test_overflow(way):
    """Too many hops that wait are dropped, and the processor begins afresh, once."""
    x = sine(100 * HOP, rate=4800)
    chain = Chain([Planted(worker_late=way)], block_frames=HOP, sample_rate=4800)
    most = worker_of(chain).most_waiting
    device = Device(chain)
    y = device.play(x, HOP, through=stalls((0, 0), (most + 5, OPEN)))
    stats = worker_of(chain).stats()
    assert (1, most) == (stats["resets"], stats["dropped_hops"])
    fresh = most + 1  # one was in hand, `most` waited, this one found no room
    assert most + 4 == stats["late"]["total"]
    expected = Chain([Inline()], block_frames=HOP, sample_rate=4800).process(x[:, fresh * HOP :])
    begin = (most + 5) * HOP + longest_fade_frames(4800) + 24
    assert np.array_equal(expected[:, begin - (fresh + 1) * HOP : -HOP], y[:, begin:])


def test_overload_for_ever():
    """A worker that hangs for good costs resets, and never more than its place in the queue."""
    x = sine(400 * HOP, rate=4800)
    chain = Chain([Planted()], block_frames=HOP, sample_rate=4800)
    most = worker_of(chain).most_waiting
    y = Device(chain).play(x, HOP, through=lambda _hops: 0)
    gate_of(chain)[0] = OPEN
    stats = worker_of(chain).stats()
    assert (399 // most, 399) == (stats["resets"], stats["late"]["longest_run"])
    assert np.array_equal(np.zeros_like(y), y)  # nothing good was ever heard


class TestFailures:
    @pytest.mark.parametrize("kind", [NAN, INFINITE, STATUS])
    @pytest.mark.parametrize("way", WAYS)
    def test_some(self, kind, way):
        """A hop that fails is concealed and counted; the sound goes on behind it."""
        plan = (GOOD,) * 20 + (kind, GOOD, GOOD, kind, kind) + (GOOD,) * 55
        bad = (20, 23, 24)
        x = sine(80 * HOP)
        chain = build(worker_late=way, plan=plan)
        y = Device(chain).play(x, HOP)
        assert (0, 0, 0, 3 * HOP, 3, 0) == counts_of(chain)
        good = untouched(bad, 80, way)
        assert np.array_equal(inline(x)[:, good], y[:, good])
        assert steepest(y) < 2 * steepest(x)
        assert not chain.stats()[0]["muted"]

    @pytest.mark.parametrize(("kind", "way"), [(NAN, "conceal"), (STATUS, "dry")])
    def test_a_second_of_them(self, kind, way):
        """Where nothing but failures comes for a second the plugin is muted, until a reset."""
        x = sine(1200 * HOP)
        plan = (GOOD,) * 10 + (kind,) * 1500 + (GOOD,) * 3000
        chain = build(worker_late=way, plan=plan)
        told = []
        chain.stream.on_event = told.append
        y = Device(chain).play(x[:, : 900 * HOP], HOP)
        assert not chain.stats()[0]["muted"]
        y = Device(chain).play(x, HOP)
        assert chain.stats()[0]["muted"]
        assert ["NaN or Inf"] == [event["what"] for event in told]
        assert np.array_equal(np.zeros((2, 100 * HOP)), y[:, -100 * HOP :])
        assert steepest(y) < 2 * steepest(x)
        chain.reset()
        assert not chain.stats()[0]["muted"]
        y = Device(chain).play(x[:, : 100 * HOP], HOP)
        assert np.array_equal(inline(x[:, : 100 * HOP]), y)


class TestWhileBehind:
    def test_reset(self):
        """A reset takes back what waits, and what still comes of it is thrown away."""
        x = noise(2, 30 * HOP)
        chain = build()
        device = Device(chain)
        device.play(x, HOP, through=stalls((0, OPEN), (10, 10)))
        chain.reset()
        gate_of(chain)[0] = OPEN
        y = device.play(x, HOP)
        assert np.array_equal(inline(x), y)

    def test_updates(self):
        """Changes made while it is behind reach the hops that they were made for."""
        x = sine(80 * HOP)
        chains = [build(worker_late="dry"), Chain([Inline()], block_frames=HOP)]
        for chain in chains:
            for frame, gain in ((11 * HOP, 0.5), (13 * HOP, 0.9), (14 * HOP, -0.25)):
                chain.update(0, gain=gain, at_frame=frame)
        y = Device(chains[0]).play(x, HOP, through=stalls((0, OPEN), (10, 10), (16, OPEN)))
        good = untouched(range(10, 15), 80, "dry")
        assert np.array_equal(
            chains[1].process(x)[:, good[HOP:].nonzero()[0]], y[:, HOP:][:, good[HOP:]]
        )

    def test_redesign(self):
        """What is replaced while it is behind fades out as it is, and nothing clicks."""
        x = sine(150 * HOP)
        chain = build()
        device = Device(chain)
        gates = stalls((0, OPEN), (10, 10))
        y = [device.play(x[:, : 20 * HOP], HOP, through=gates)]
        gate = gate_of(chain)
        chain.update(0, plan=(GOOD, GOOD))
        device = Device(chain)
        for k in range(20, 150):
            y.append(device.block(x[:, k * HOP : (k + 1) * HOP]))
            assert reaches(lambda: device.worker.idle)
        gate[0] = OPEN
        assert steepest(np.concatenate(y, axis=1)) < 2 * steepest(x)


def test_offline_waits_but_not_for_ever():
    """Offline a worker that hangs is waited for once, and from then on it is late."""
    x = noise(2, 40 * HOP)
    chain = build(worker_late="silence")
    worker = worker_of(chain)
    worker.give_up_s = 0.2
    gate_of(chain)[0] = 10
    y = chain.process(x)
    assert (29, 29) == counts_of(chain)[1:3]
    assert np.array_equal(inline(x)[:, : 11 * HOP], y[:, : 11 * HOP])
    gate_of(chain)[0] = OPEN
    assert reaches(lambda: worker.idle)
    y = chain.process(x)
    assert 29 == counts_of(chain)[0]  # it is waited for again once it has come back
