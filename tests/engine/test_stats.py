# SPDX-License-Identifier: MIT
"""What the engine counts is right."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import Bomb, Smear, Spin, noise, sine

from rtcore import Chain
from rtcore.engine import Engine, FileBackend, TimerBackend
from rtcore.kernels.histogram import Histogram, histogram_add

RATE = 48000


def counted(chain, backend):
    """Play to the end and give the statistics."""
    with Engine(chain, backend) as engine:
        assert engine.wait(60)
    return engine.stats()


class TestCounters:
    def test_exact_without_a_clock(self):
        """Blocks, frames and durations of a file are exact, and nothing is late."""
        stats = counted(
            Chain([Smear()]),
            FileBackend(
                noise(2, 6410),
            ),
        )
        assert (101, 6410) == (stats["blocks"], stats["frames"])
        assert [10, 64] == stats["block_frames"]
        assert round(6410 / RATE, 3) == stats["seconds"]
        assert {"total": 0, "since_start": 0, "longest_run": 0, "percent": 0.0} == stats["late"]
        assert (0, 0, 0) == tuple(
            stats[k] for k in ("input_dry_frames", "recorder_lost_frames", "limited_frames")
        )
        assert ("stopped", "file", 0) == (stats["state"], stats["backend"], stats["reopened"])

    def test_json(self):
        """All of it can be written as JSON."""
        stats = counted(Chain([Smear()]), FileBackend(noise(2, 1000)))
        assert stats == json.loads(json.dumps(stats))

    def test_histograms_count_every_block(self):
        """One duration for each block, one interval less, and no slack without a clock."""
        engine = Engine(Chain([Smear()]), FileBackend(noise(2, 6400)))
        with engine:
            engine.wait(20)
        counts = {name: len(h) for name, h in engine._native.histograms.items()}
        assert {"interval": 99, "busy": 100, "slack": 0} == counts
        assert 100 == len(engine.chain.nodes[0].node.histogram)
        assert (
            0
            < engine.chain.nodes[0].node.histogram.sum_ns
            < engine._native.histograms["busy"].sum_ns
        )

    def test_faults(self):
        """Muted plugins and repaired input are counted."""
        x = noise(2, 1000)
        x[0, 5] = np.nan
        stats = counted(Chain([Bomb(at=500)]), FileBackend(x))
        assert 1 == stats["input_faults"]
        assert (True, 1) == (stats["plugins"][0]["muted"], stats["plugins"][0]["faults"])

    def test_planted_lateness(self):
        """Blocks that take longer than they last are late; the longest run is known."""
        chain = Chain([Spin(rounds=20_000_000, every_frames=9600)])
        stats = counted(chain, TimerBackend(np.zeros((2, 28800)), block_frames=64))
        assert 3 <= stats["late"]["total"] <= stats["blocks"]
        assert stats["late"]["total"] == stats["late"]["since_start"]
        assert 1 <= stats["late"]["longest_run"] <= stats["late"]["total"]
        assert stats["busy_ms"]["max"] > 64 / 48
        assert stats["plugins"][0]["busy_ms"]["max"] > 64 / 48
        assert stats["late"]["percent"] == round(100 * stats["late"]["total"] / stats["blocks"], 3)


class TestLevels:
    @pytest.mark.parametrize("block", [64, 1000])
    def test_of_a_sine(self, block):
        """Peak and RMS of a sine are what the formulas say."""
        x = np.concatenate([sine(1, 3 * RATE, 1000.0), sine(1, 3 * RATE, 1000.0, amplitude=0.05)])
        stats = counted(Chain([]), FileBackend(x, block_frames=block))
        for end in ("input", "output"):
            for level, amplitude in zip(stats[end], (0.5, 0.05), strict=True):
                peak = 20 * np.log10(amplitude)
                assert abs(peak - level["peak_dbfs"]) < 0.01
                assert abs(peak - 20 * np.log10(np.sqrt(2)) - level["rms_dbfs"]) < 0.05
                assert abs(peak - level["recent_peak_dbfs"]) < 0.2
                assert 0 == level["clipped_samples"]

    def test_peaks_fall(self):
        """The recent peak falls 20 dB a second, the greatest stays."""
        x = np.zeros((2, 2 * RATE + 64), np.float32)
        x[:, 10] = 0.5
        level = counted(Chain([]), FileBackend(x))["input"][0]
        assert abs(level["peak_dbfs"] + 6.02) < 0.01
        assert abs(level["recent_peak_dbfs"] + 46.02) < 0.1

    def test_clipping(self):
        """Every sample at or above full scale is counted, in its channel."""
        x = np.zeros((2, 1000), np.float32)
        x[0, [1, 500, 999]] = (1.0, -1.0, 3.0)
        x[1, 7] = 0.9999
        stats = counted(Chain([]), FileBackend(x))
        assert [3, 0] == [level["clipped_samples"] for level in stats["input"]]
        assert [3, 0] == [level["clipped_samples"] for level in stats["output"]]

    def test_silence(self):
        """Silence has a floor and not minus infinity."""
        level = counted(Chain([]), FileBackend(np.zeros((2, 100))))["output"][0]
        assert (-150.0, -150.0) == (level["peak_dbfs"], level["rms_dbfs"])


class TestHistogram:
    @given(
        st.lists(st.integers(0, 10**12), min_size=1, max_size=200),
        st.sampled_from([0.1, 1, 50, 90, 95, 99, 99.9, 100]),
    )
    def test_percentiles(self, durations, percent):
        """A percentile is never too short, and 6.25 % too long at most."""
        histogram = Histogram()
        for ns in durations:
            histogram_add(np.uint64(histogram.address), ns)
        rank = max(1, int(np.ceil(len(durations) * percent / 100)))
        exact = sorted(durations)[rank - 1]
        found = histogram.percentile_ns(percent)
        assert exact <= found <= exact * 1.0625 + 1
        assert (len(durations), max(durations)) == (len(histogram), histogram.max_ns)
        assert sum(durations) == histogram.sum_ns

    def test_clear(self):
        """A cleared histogram is empty."""
        histogram = Histogram()
        histogram_add(np.uint64(histogram.address), 5)
        histogram.clear()
        assert (0, 0, 0) == (len(histogram), histogram.max_ns, histogram.percentile_ns(50))

    def test_absurd_durations(self):
        """Clocks that jump do no harm."""
        histogram = Histogram()
        for ns in (-5, 2**62):
            histogram_add(np.uint64(histogram.address), ns)
        assert 2 == len(histogram)
        assert 2**62 == histogram.max_ns
