# SPDX-License-Identifier: MIT
"""Computing time: what is late is counted, what is counted adds up, and nothing is left behind."""

from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import Scale

from rtcore import Chain, Param, Plugin, Prepared, kernel
from rtcore.kernels.histogram import Histogram, histogram_add
from rtcore.latency.result import Declared
from rtcore.latency.systems.base import ChainSystem, System, SystemFaultError
from rtcore.latency.timing import chain_time
from rtcore.latency.timing.compute import measure_compute
from rtcore.latency.timing.durations import Durations, Meanwhile
from rtcore.latency.timing.hog import hog

SHORT_S = 0.4
ORDER = ("p50", "p95", "p99", "p99.9", "max")
#: Laps of the slow kernel: far more than any processor does in a block of 64 frames (1.3 ms),
#: which it needs 6 ms for at 5 GHz and one lap in each clock tick.
ENDLESS = 30_000_000.0
NANOSECONDS = st.integers(0, 10**10)


class Slow(Plugin):
    """Count for a long time before the sound goes on, each lap waiting for the one before."""

    id = "t_slow"
    laps = Param(ENDLESS)
    state = {"sum": "i8"}

    @kernel
    def process(x, y, state, laps):
        number = state.sum
        for _ in range(int(laps)):
            number = number * 6364136223846793005 + 1442695040888963407
        state.sum = number
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = x[c, i]


class Broken(Plugin):
    """Give NaN."""

    id = "t_broken"

    @kernel
    def process(x, y):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = np.nan


class Remembering(Plugin):
    """Count the frames that it was given."""

    id = "t_remembering"
    state = {"seen": "i8"}

    def prepare(self, spec):
        return Prepared()

    @kernel
    def process(x, y, state):
        state.seen += x.shape[1]
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = state.seen


class Sleeper:
    """A stream that sleeps for a time, and notes what it was given."""

    def __init__(self, seconds, block_samples=480):
        self.seconds = seconds
        self.block_samples = block_samples
        self.shapes = set()
        self.starts = []

    def process(self, x):
        self.shapes.add(x.shape)
        self.starts.append(time.monotonic())
        time.sleep(self.seconds)
        return x


class Fed(System):
    """A system that is fed block by block, from a planted stream."""

    kind = "callable"

    def __init__(self, stream, channels=2):
        super().__init__("fed", 48000, channels, Declared())
        self.stream = stream

    def run(self, x):
        return x

    def streaming(self):
        return self.stream


class Whole(System):
    """A system that knows whole sounds, and counts how often it ran."""

    def __init__(self, kind, seconds=0.0):
        super().__init__("whole", 16000, 1, Declared())
        self.kind = kind
        self.seconds = seconds
        self.shapes = []

    def run(self, x):
        self.shapes.append(x.shape)
        time.sleep(self.seconds)
        return x


def chain_system(*plugins, **options):
    """Make a system of plugins at 48 kHz."""
    return ChainSystem(Chain(list(plugins), sample_rate=48000, **options), "planted")


def ordered(ms):
    """Say whether percentiles rise."""
    return all(ms[a] <= ms[b] for a, b in itertools.pairwise(ORDER))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_chain_is_measured_idle_and_hogged_in_its_own_type(dtype):
    """Both runs have percentiles that rise, and a histogram that counts every block."""
    found = measure_compute(chain_system(Scale(), Remembering(), dtype=dtype), seconds=SHORT_S)
    assert ("paced", 64, SHORT_S) == (found.how, found.block_samples, found.seconds)
    assert pytest.approx(64 / 48) == found.deadline_ms
    for run in (found.idle, found.hogged):
        assert run.blocks > 0
        assert ordered(run.ms)
        assert run.blocks == sum(count for _, count in run.histogram)
        assert run.histogram[-1][0] >= run.ms["max"]
        assert ["t_scale", "t_remembering"] == [plugin["id"] for plugin in run.plugins]
        assert all(ordered(plugin) for plugin in run.plugins)


def test_the_plugins_take_no_longer_than_their_blocks():
    """What the plugins take lies within what the blocks take."""
    system = chain_system(Slow(laps=20_000.0), Scale())
    found = measure_compute(system, seconds=SHORT_S, hogged=False)
    plugins, run = found.idle.plugins, found.idle
    edges = 2e-3 * run.ms["max"] / SHORT_S  # blocks that the window's edges cut
    assert sum(plugin["rtf"] for plugin in plugins) <= run.rtf + edges
    assert plugins[0]["p50"] > plugins[1]["p50"]  # 20,000 laps against 128 products
    assert found.hogged is None


def test_a_chain_that_cannot_keep_up_is_late_all_the_time():
    """A kernel that needs several periods makes every block late, and its share exceeds 1."""
    found = measure_compute(chain_system(Slow()), seconds=SHORT_S, hogged=False)
    assert found.idle.blocks > 0
    assert found.idle.blocks == found.idle.late
    assert found.idle.rtf > 1.5
    assert found.idle.ms["p50"] > found.deadline_ms


def test_blocks_that_end_while_the_window_opens_or_closes_are_counted_once(monkeypatch):
    """What is late is late among the same blocks, however long the reading of the counts takes."""
    opened, closed = itertools.count(), itertools.count()

    class Sleepy(Meanwhile):
        def __init__(self, histogram):
            super().__init__(histogram)
            if next(opened) < 3:
                time.sleep(0.02)  # several blocks

        def read(self):
            found = super().read()
            if next(closed) < 2:
                time.sleep(0.02)
            return found

    monkeypatch.setattr(chain_time, "Meanwhile", Sleepy)
    found = measure_compute(chain_system(Slow()), seconds=SHORT_S, hogged=False)
    assert found.idle.blocks > 0
    assert found.idle.blocks == found.idle.late


def test_a_chain_is_left_as_if_it_had_never_played():
    """Sound, position and counts are forgotten; the next sound is the same as before."""
    system = chain_system(Remembering())
    x = np.zeros((2, 100), np.float32)
    before = system.chain.process(x)
    measure_compute(system, seconds=0.1)
    assert 0 == system.chain.stream.position
    assert 0 == len(system.chain.nodes[0].node.histogram)
    assert np.array_equal(before, system.chain.process(x))
    assert 0 == len(system.chain.nodes[0].node.histogram)


def test_blocks_keep_what_the_chain_was_promised():
    """Without a word about it, blocks are the smallest allowed ones of at least 64 samples."""
    system = chain_system(Scale(), block_frames=48)
    assert 96 == measure_compute(system, seconds=0.1, hogged=False).block_samples


def test_a_muted_plugin_is_no_measure():
    """A plugin that gives NaN is muted, and then costs nothing: no figure is given."""
    with pytest.raises(SystemFaultError, match=r"plugin\[0\].t_broken gave NaN or Inf"):
        measure_compute(chain_system(Broken()), seconds=0.1, hogged=False)


def test_a_stream_in_time_sees_every_block_when_it_is_due():
    """Blocks come no faster than real time, in the stream's own size, and none is late by rule."""
    stream, begin = Sleeper(0.0), time.monotonic()
    found = measure_compute(Fed(stream), seconds=SHORT_S, hogged=False)
    assert {(2, 480)} == stream.shapes
    assert 480 == found.block_samples
    assert 10.0 == found.deadline_ms
    assert found.idle.blocks <= SHORT_S / 0.01 + 2
    # No block before its time, however late others were; the warm-up has a schedule of its own.
    assert all(at - begin > 0.01 * (k - 2) for k, at in enumerate(stream.starts))


def test_a_stream_that_sleeps_too_long_is_late():
    """Blocks of 10 ms that take 15 are all late, and the real-time factor says so."""
    found = measure_compute(Fed(Sleeper(0.015)), seconds=SHORT_S)
    for run in (found.idle, found.hogged):
        assert run.blocks > 0
        assert run.blocks == run.late
        assert run.rtf >= 1.5
        assert run.ms["p50"] >= 15.0
        assert ordered(run.ms)


def test_a_stream_with_long_blocks_is_fed_at_least_once():
    """A block that is longer than the measurement is measured all the same."""
    found = measure_compute(Fed(Sleeper(0.0, 96000), channels=1), seconds=0.1, hogged=False)
    assert found.idle.blocks >= 1
    assert 2000.0 == found.deadline_ms


def test_whole_sounds_are_run_a_few_times():
    """What knows whole sounds only is run once to warm up, then five times, twice over."""
    system = Whole("callable")
    found = measure_compute(system, seconds=1.0)
    assert ("whole file", None, None, 4.0) == (
        found.how,
        found.block_samples,
        found.deadline_ms,
        found.seconds,
    )
    assert [(1, 64000)] * 11 == system.shapes
    assert (5, 5) == (found.idle.blocks, found.hogged.blocks)
    assert (0, 0) == (found.idle.late, found.hogged.late)


def test_slow_whole_sounds_are_run_until_the_time_is_over():
    """A run that takes longer than the whole time is made once, after the one to warm up."""
    system = Whole("callable", seconds=0.2)
    found = measure_compute(system, seconds=0.1, hogged=False)
    assert 2 == len(system.shapes)
    assert 1 == found.idle.blocks
    assert found.idle.ms["p50"] >= 200.0
    assert found.idle.rtf >= 0.05


def test_commands_are_not_hogged_and_their_start_counts():
    """Another process has no part in this one's lock; that its start is included is said."""
    found = measure_compute(Whole("command"), seconds=0.1)
    assert found.hogged is None
    assert "the start of the command included" in found.notes[0]


@pytest.mark.parametrize("system", [lambda: chain_system(Scale()), lambda: Fed(Sleeper(0.0))])
def test_progress_is_told_in_seconds(system):
    """All reports together are the time of both runs, without their warm-up."""
    told = []
    measure_compute(system(), seconds=SHORT_S, progress=told.append)
    assert pytest.approx(2 * SHORT_S, abs=0.05) == sum(told)
    assert min(told) >= 0.0


def test_whole_sounds_report_progress_after_each_run():
    """Five equal steps make up the time that was asked for."""
    told = []
    measure_compute(Whole("callable"), seconds=10.0, hogged=False, progress=told.append)
    assert [2.0] * 5 == told


def test_ctrl_c_leaves_no_thread_behind():
    """An interruption in the middle of the hogged run ends the engine and the hog."""
    system = chain_system(Remembering())
    before = set(threading.enumerate())
    left = [0.3]

    def interrupt(seconds):
        left[0] -= seconds
        if left[0] <= 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_compute(system, seconds=0.2, progress=interrupt)
    assert before == set(threading.enumerate())
    assert 0 == system.chain.stream.position


def test_the_hog_ends_with_its_block():
    """Its thread counts inside, and is gone afterwards, whatever happened."""
    with pytest.raises(RuntimeError, match="inside"), hog():
        assert "rtcore-hog" in {thread.name for thread in threading.enumerate()}
        raise RuntimeError("inside")
    assert "rtcore-hog" not in {thread.name for thread in threading.enumerate()}


@given(st.lists(NANOSECONDS, min_size=1, max_size=50))
def test_percentiles_are_durations_that_were_measured(values):
    """Each percentile is the smallest duration that so many do not exceed."""
    found = Durations.of(values)
    ranked = sorted(values)
    assert len(values) == found.count
    for percent in (50.0, 95.0, 99.0, 99.9, 100.0):
        rank = max(1, int(np.ceil(len(values) * percent / 100.0)))
        assert ranked[rank - 1] == found.percentile_ns(percent)


@given(st.lists(NANOSECONDS, max_size=20), st.lists(NANOSECONDS, max_size=20))
def test_only_what_came_meanwhile_is_counted(before, after):
    """What a histogram held before does not count: neither its buckets, its sum nor its maximum."""
    histogram, fresh = Histogram(), Histogram()
    for ns in before:
        histogram_add(np.uintp(histogram.address), ns)
    window = Meanwhile(histogram)
    for ns in after:
        histogram_add(np.uintp(histogram.address), ns)
        histogram_add(np.uintp(fresh.address), ns)
    found = window.read()
    assert len(after) == found.count
    assert sum(after) == found.sum_ns
    assert fresh.summary_ms() == found.summary_ms()
    assert len(after) == sum(count for _, count in found.histogram_ms())
