# SPDX-License-Identifier: MIT
"""Ears first: nothing passes the ceiling, and what need not be touched is not touched."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sounds import Noise, Scale, Step, cut, noise, sine
from waiting import reaches

from rtcore import Chain, StreamError
from rtcore.engine import Engine, FileBackend, JackBackend, Memory, Safety, TimerBackend
from rtcore.engine.core import protect
from rtcore.engine.safety import FADE_IN_S, PANIC_S, HowlWatch
from rtcore.hearing.calibration import Calibration

RATE = 48000
DTYPES = ["float32", "float64"]
CEILING = 10 ** (-12 / 20)


def stage(dtype="float32", *, settled=True, **settings):
    """A safety record, by default after its fade-in."""
    record = Safety(**settings).record(RATE, np.dtype(dtype))
    if settled:
        record["volume"] = record["volume_target"]
    return record


def guarded(record, x, sizes=(512,)):
    """Send a copy of a signal through the stage, in pieces."""
    pieces = []
    for piece in cut(x, sizes):
        y = np.array(piece, order="C")
        protect(np.uint64(record.ctypes.data), y)
        pieces.append(y)
    return np.concatenate(pieces, axis=1)


def turn(record, target, seconds):
    """What the engine writes to change the volume."""
    record["volume_step"] = 1 / (seconds * RATE)
    record["volume_target"] = target


@pytest.mark.parametrize("dtype", DTYPES)
class TestCeiling:
    @given(data=st.data())
    def test_never_passed(self, dtype, data):
        """No signal of whatever size and in whatever pieces comes out above the ceiling."""
        kind = np.dtype(dtype)
        huge = st.floats(-(2.0**100), 2.0**100, width=8 * kind.itemsize)
        loud = st.floats(-4.0, 4.0, width=8 * kind.itemsize)
        shape = st.tuples(st.integers(1, 3), st.integers(1, 200))
        x = data.draw(arrays(kind, shape, elements=st.one_of(loud, huge)))
        record = stage(dtype)
        y = guarded(record, x, data.draw(st.lists(st.integers(1, 60), min_size=1, max_size=3)))
        assert np.isfinite(y).all()
        assert np.abs(y.astype(np.float64)).max() <= CEILING
        assert 0 < record["gain"][0] <= 1 or np.abs(x).max() > 1e20

    @given(data=st.data())
    def test_transparent_below(self, dtype, data):
        """What stays below the ceiling goes through bit for bit."""
        kind = np.dtype(dtype)
        limit = float(stage(dtype)["ceiling"][0])
        quiet = st.floats(-limit, limit, width=8 * kind.itemsize)
        x = data.draw(arrays(kind, (2, 100), elements=quiet))
        record = stage(dtype)
        assert x.tobytes() == guarded(record, x, (7,)).tobytes()
        assert 0 == record["limited_frames"][0]

    def test_no_latency(self, dtype):
        """A peak is limited on the spot; the sample before it is untouched."""
        x = np.zeros((2, 100), dtype)
        x[:, 49] = 0.2
        x[0, 50] = 1.0
        y = guarded(stage(dtype), x)
        assert np.array_equal(x[:, :50], y[:, :50])
        assert CEILING * 0.999 < y[0, 50] <= CEILING

    def test_channels_share_the_gain(self, dtype):
        """The image does not wander: both channels are turned down alike."""
        x = np.full((2, 10), 1.0, dtype)
        x[1] = 0.5
        y = guarded(stage(dtype), x)
        assert np.allclose(0.5 * y[0], y[1], rtol=1e-6)

    def test_rests_again(self, dtype):
        """A second and a half after a peak the stage is bit-transparent again."""
        x = noise(1, 2 * RATE, dtype=dtype, peak=0.2)
        x[0, 10] = 1.0
        record = stage(dtype)
        y = guarded(record, x)
        assert not np.array_equal(x[:, 11:1000], y[:, 11:1000])
        rest = int(1.5 * RATE)
        assert np.array_equal(x[:, rest:], y[:, rest:])
        assert 1.0 == record["gain"][0]

    @given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=5))
    def test_no_cut_changes_a_bit(self, dtype, sizes):
        """The size of the blocks changes no sample, neither while it limits nor while it fades."""
        x = noise(2, 6000, dtype=dtype, peak=1.0)
        whole = guarded(stage(dtype, settled=False), x, (6000,))
        assert np.array_equal(whole, guarded(stage(dtype, settled=False), x, sizes))


class TestVolume:
    def test_fades_in_over_a_second(self):
        """From silence to the full sound in one second, in a straight line."""
        record = stage("float64", settled=False)
        y = guarded(record, np.full((1, RATE + 100), 0.1))[0]
        expected = 0.1 * np.minimum(np.arange(1, RATE + 101) / (FADE_IN_S * RATE), 1)
        assert np.allclose(expected, y, atol=1e-9)
        assert np.array_equal(np.full(99, 0.1), y[-99:])

    def test_panic_and_back(self):
        """Silent within 5 ms, exactly; and back over a second."""
        record = stage("float64")
        turn(record, 0.0, PANIC_S)
        y = guarded(record, np.full((1, 1000), 0.2))[0]
        silent = int(PANIC_S * RATE)
        assert np.array_equal(np.zeros(1000 - silent), y[silent:])
        assert np.abs(np.diff(y)).max() < 0.2 / silent * 1.01
        turn(record, 1.0, FADE_IN_S)
        y = guarded(record, np.full((1, RATE + 10), 0.2))[0]
        assert np.abs(np.diff(y)).max() < 0.2 / RATE * 1.01
        assert 0.2 == y[-1]

    def test_starts_quiet_where_that_is_wished(self):
        """Where microphone and loudspeaker share a machine it begins at -30 dB."""
        record = stage("float64", settled=False, start_db=-30.0)
        y = guarded(record, np.full((1, RATE), 0.1))[0]
        assert np.isclose(0.1 * 10 ** (-30 / 20), y[-1])


class TestSettings:
    def test_uncalibrated(self):
        """Until it is measured the ceiling is -12 dBFS."""
        assert np.isclose(CEILING, Safety().ceiling)
        assert "-12 dBFS (uncalibrated)" in Safety().describe()
        assert "--unsafe lifts the limit" in Safety().describe()

    @pytest.mark.parametrize("at_one", [94.0, 100.0, 112.0, 120.0])
    def test_calibrated(self, at_one):
        """Where it was measured the ceiling is 100 dB SPL."""
        safety = Safety(calibration=Calibration(db_spl_at_rms_1=at_one, measured=True))
        assert np.isclose(10 ** ((100 - at_one) / 20), safety.ceiling)
        assert "100 dB SPL" in safety.describe()

    def test_who_is_exempt(self):
        """Live backends are guarded by default; timer and file are not, so that they are exact."""
        assert Engine(Chain([]), JackBackend()).safety.enabled
        assert not Engine(Chain([]), TimerBackend()).safety.enabled
        assert not Engine(Chain([]), FileBackend()).safety.enabled
        loud = np.full((2, 1000), 0.9, np.float32)
        heard = Memory()
        with Engine(Chain([]), FileBackend(loud), output=heard) as engine:
            engine.wait(20)
            with pytest.raises(StreamError, match="safety stage is off"):
                engine.panic()
        assert np.array_equal(loud, heard.samples)


def feedback(gain, seconds, safety, delay=480):
    """Speak softly into a microphone that hears its loudspeaker; give what presses, in time."""
    counts, hall = [], np.zeros(delay)
    start = noise(1, delay, dtype="float64", peak=0.01)
    for _ in range(int(seconds * RATE) // delay):
        y = gain * hall + start
        hall = guarded(safety, y, (delay,))[0]
        counts.append((len(counts) * delay + delay, int(safety["pressed_frames"][0])))
    return counts


def suspects(counts):
    watch = HowlWatch()
    return [frames for frames, pressed in counts if watch.howls(frames, pressed, RATE)]


class TestHowling:
    @pytest.mark.parametrize("gain", [1.3, 2.0, 10.0])
    def test_a_loop_is_suspected(self, gain):
        """A loop with gain is noticed within two seconds."""
        assert suspects(feedback(gain, 3, stage("float64")))[0] < 2 * RATE

    @pytest.mark.parametrize("gain", [0.0, 0.5, 0.9])
    def test_a_stable_loop_is_not(self, gain):
        """A loop that dies away is left alone."""
        assert [] == suspects(feedback(gain, 3, stage("float64")))

    @pytest.mark.parametrize("loudness", [0.3, 1.0, 4.0])
    def test_bursts_are_not(self, loudness):
        """Bursts at the pace of syllables, however loud, are no howl."""
        t = np.arange(6 * RATE) / RATE
        envelope = np.maximum(np.sin(2 * np.pi * 4 * t), 0) ** 2
        x = loudness * envelope * noise(1, t.size, dtype="float64", peak=1.0)
        safety, counts = stage("float64"), []
        for piece in cut(x, (960,)):
            guarded(safety, piece, (960,))
            counts.append((len(counts) * 960 + 960, int(safety["pressed_frames"][0])))
        assert counts[-1][1] > 0
        assert [] == suspects(counts)


class LiveTimer(TimerBackend):
    """A timer that somebody might be listening to."""

    live = True


class TestEngine:
    def test_nothing_loud_whatever_happens(self):
        """Swaps and changes of a live chain never get past the ceiling; panic silences it."""
        heard = Memory()
        chain = Chain([Noise(), Scale(factor=10.0)])
        with Engine(chain, LiveTimer(), output=heard, safety=Safety(enabled=True)) as engine:
            engine._howl.SHARE = 2.0  # this test is about something else
            for factor in (10.0, -10.0, 5.0):
                engine.swap(Chain([Noise(), Step(factor=100 * factor)]))
                engine.update("t_step", factor=factor)
                time.sleep(0.1)
            assert reaches(lambda: engine.stats()["volume_db"] == 0)
            engine.panic()
            assert reaches(lambda: engine.stats()["volume_db"] == -150)
            position = engine.stats()["frames"]
            assert reaches(lambda: engine.stats()["frames"] > position + 4800)
            quiet = engine.stats()["frames"]
            engine.panic(on=False)
            assert reaches(lambda: engine.stats()["volume_db"] > -20)
            assert engine.stats()["limited_frames"] > 0
        y = heard.samples
        assert np.abs(y).max() <= CEILING
        assert not y[:, position + 64 : quiet - 64].any()
        assert y[:, -1000:].any()

    def test_howling_is_turned_down(self):
        """What stays at the ceiling is turned down by 20 dB, with a sentence."""
        said = []
        source = np.tile(sine(1, RATE, amplitude=0.99), (1, 20))
        engine = Engine(Chain([], channels=1), LiveTimer(source), on_message=said.append)
        with engine:
            assert reaches(lambda: len(said) > 0)
            assert reaches(lambda: engine.stats()["volume_db"] < -5)
        assert said[0].startswith("howling: turned down to -")
        assert "move the microphone away" in said[0]
