# SPDX-License-Identifier: MIT
"""The round trip of a device, told from synthetic recordings."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore import Chain, DeviceError
from rtcore.errors import ParameterError
from rtcore.latency.delay import delay_between
from rtcore.latency.roundtrip.drift import clock_slope, slope
from rtcore.latency.roundtrip.loopback import (
    Probe,
    Tape,
    decibels,
    find_probe,
    order_for,
    probe_sound,
)
from rtcore.latency.roundtrip.looprun import Reported, Run, Setup
from rtcore.latency.roundtrip.measuring import RoundTrip, why_nothing

RATE = 48000
WAVE = probe_sound(10, 0.1)
FRAMES = 6000


def late(frames, gain=1.0, size=FRAMES):
    """The probe in silence, so much later, by any fraction of a frame."""
    spectrum = np.fft.rfft(WAVE.astype(np.float64), size)
    phase = np.exp(-2j * np.pi * np.arange(spectrum.size) * frames / size)
    return gain * np.fft.irfft(spectrum * phase, size)


def run_of(frames, *, blocks=(64, 64), reported=None, xruns=0, **echo):
    """A run in which the probe came back so late, or not at all."""
    found = None
    if frames is not None:
        heard = np.zeros(FRAMES, np.float32)
        heard[int(frames) : int(frames) + WAVE.size] = WAVE
        found = find_probe(WAVE, heard, RATE)
    return Run(found, blocks, reported, xruns, (-20.0,))


class TestProbe:
    def test_is_as_loud_as_asked_and_faded(self):
        """Its peak is the one that was asked for, and it neither begins nor ends with a click."""
        assert WAVE.size == 1023
        assert np.isclose(0.1, np.abs(WAVE).max())
        assert np.abs(WAVE[[0, -1]]).max() < 0.002
        assert np.all(WAVE != 0)

    @pytest.mark.parametrize(
        ("frames", "order"), [(0, 9), (511, 9), (1022, 9), (1023, 10), (19200, 14), (10**6, 14)]
    )
    def test_fits(self, frames, order):
        """The longest probe that fits is taken, within bounds."""
        assert order == order_for(frames)

    @pytest.mark.parametrize("block", [1, 7, 64, 512])
    def test_plays_from_the_frame_on_in_which_it_is_asked_for(self, block):
        """Frame by frame the same under any chunking, in one channel, again after each period."""
        probe = Probe(order=10, peak=0.1, channel=1, period_frames=1500)
        chain = Chain([probe], sample_rate=RATE, channels=3)
        chain.update(0, at_frame=100, go=1.0)
        silence = np.zeros((3, 3200), np.float32)
        y = np.hstack([chain.process(silence[:, k : k + block]) for k in range(0, 3200, block)])
        expected = np.zeros((3, 3200), np.float32)
        expected[1, 100 : 100 + WAVE.size] = WAVE
        expected[1, 1600 : 1600 + WAVE.size] = WAVE
        expected[1, 3100:] = WAVE[:100]
        assert np.array_equal(expected, y)


class TestFindProbe:
    @given(frames=st.integers(0, FRAMES - WAVE.size))
    def test_whole_frames_are_exact(self, frames):
        """A copy is found at its frame and known to be bit for bit the same."""
        echo = run_of(frames).echo
        assert (float(frames), True) == (echo.frames, echo.bit_exact)
        assert echo.confidence > 0.99
        assert (0.0, False, 0, ()) == (echo.gain_db, echo.inverted, echo.clipped, echo.echoes)

    @given(
        frames=st.floats(40.0, FRAMES - 1100.0),
        gain=st.floats(0.003, 5.0),
        sign=st.sampled_from([-1, 1]),
    )
    def test_parts_of_a_frame(self, frames, gain, sign):
        """A fractional delay is found to a hundredth of a frame, with its level and polarity."""
        echo = find_probe(WAVE, late(frames, sign * gain), RATE)
        assert abs(echo.frames - frames) < 0.01
        assert abs(echo.gain_db - decibels(gain)) < 0.3
        assert (sign < 0) == echo.inverted

    @given(seed=st.integers(0, 1 << 20))
    def test_far_below_noise(self, seed):
        """A probe 10 dB weaker than the noise around it is found to half a frame."""
        rng = np.random.default_rng(seed)
        wave = probe_sound(13, 0.1)
        heard = 0.3 * rng.standard_normal(20000)
        heard[777 : 777 + wave.size] += wave
        echo = find_probe(wave, heard, RATE)
        assert abs(echo.frames - 777) < 0.5
        assert 0.9 < echo.confidence < 0.999

    @given(seed=st.integers(0, 1 << 20), level=st.floats(1e-6, 1.0))
    def test_noise_alone_is_no_probe(self, seed, level):
        """Nothing is found where nothing is."""
        heard = level * np.random.default_rng(seed).standard_normal(FRAMES)
        assert find_probe(WAVE, heard, RATE) is None

    @pytest.mark.parametrize("heard", [np.zeros(FRAMES), np.zeros(WAVE.size), np.ones(FRAMES)])
    def test_silence_and_a_constant(self, heard):
        """Neither silence nor an offset is a probe."""
        assert find_probe(WAVE, heard, RATE) is None

    def test_feedback(self):
        """The first of several arrivals counts, and the others are named."""
        heard = late(100) + late(612, 0.8) + late(1124, 0.64)
        echo = find_probe(WAVE, heard, RATE)
        assert abs(echo.frames - 100.0) < 0.05
        assert (612.0, 1124.0) == echo.echoes
        assert echo.confidence < 0.5

    def test_an_early_echo_that_is_weaker(self):
        """Where the first arrival is the weaker one (by less than half) it is still the first."""
        assert abs(find_probe(WAVE, late(100, 0.7) + late(700), RATE).frames - 100.0) < 0.05

    def test_clipped(self):
        """Clipping is counted, and the delay holds."""
        echo = find_probe(WAVE, np.clip(late(99.0, 40.0), -1.0, 1.0), RATE)
        assert 99.0 == echo.frames
        assert echo.clipped > 500

    def test_through_a_narrow_path(self):
        """A path that lets 300 Hz to 4 kHz through, as a loudspeaker may, is measured as well."""
        from scipy.signal import butter, sosfilt

        band = butter(1, [300.0, 4000.0], "bandpass", fs=RATE, output="sos")
        wave = probe_sound(13, 0.1)
        heard = np.zeros(20000)
        heard[500 : 500 + wave.size] = wave
        echo = find_probe(wave, sosfilt(band, heard), RATE)
        assert 500 <= echo.frames < 504

    @pytest.mark.parametrize("frames", [0, 64, 333])
    def test_agrees_with_the_other_method(self, frames):
        """The lab's general measurement of delay gives the same."""
        sent = np.pad(WAVE.astype(np.float64), (0, 9000 - WAVE.size))
        heard = late(frames, size=9000)
        assert frames == delay_between(sent, heard, sample_rate=RATE).samples
        assert frames == find_probe(WAVE, heard, RATE).frames


class TestTape:
    def test_frames_have_numbers(self):
        """What was written is given back by its frame numbers, also after some was forgotten."""
        tape, whole = Tape(), np.arange(1000.0)[np.newaxis]
        for k in range(0, 1000, 64):
            tape.write(whole[:, k : k + 64])
        assert np.array_equal(whole[:, 10:200], tape.cut(10, 200))
        tape.forget(150)
        assert np.array_equal(whole[:, 150:200], tape.cut(10, 200))
        assert np.array_equal(whole[:, 500:], tape.cut(500, 5000))
        tape.stop_keeping()
        tape.write(whole)
        assert (2000, 0) == (tape.frames, tape.cut(0, 2000).size)


class TestSlope:
    @given(
        ppm=st.floats(-200, 200),
        noise=st.floats(0, 1e-6),
        jumps=st.lists(st.floats(2e-4, 1e-2), max_size=3),
        seed=st.integers(0, 1 << 20),
    )
    def test_known_drift(self, ppm, noise, jumps, seed):
        """A known drift is found within a few times its own uncertainty, across jumps."""
        rng = np.random.default_rng(seed)
        at = np.arange(60.0)
        values = 1e-6 * ppm * at + noise * rng.standard_normal(60)
        for k, jump in enumerate(jumps):
            values[15 * (k + 1) :] += jump
        found = slope(at, values, jump_s=1e-4, resolution_s=1e-8)
        assert len(jumps) == found.jumps
        assert abs(found.ppm - ppm) <= 3.0 * found.uncertainty_ppm + 1e-3

    def test_its_uncertainty_is_honest(self):
        """The true value lies within the stated range about as often as is claimed."""
        rng = np.random.default_rng(1)
        at = np.arange(40.0)
        inside = 0
        for _ in range(300):
            values = 3e-6 * at + 1e-5 * rng.standard_normal(40)
            found = slope(at, values, jump_s=1.0, resolution_s=1e-9)
            inside += abs(found.ppm - 3.0) <= found.uncertainty_ppm
        assert 0.9 < inside / 300

    def test_too_many_jumps(self):
        """A quantity that jumps all the time has no drift."""
        at = np.arange(60.0)
        values = np.cumsum(np.random.default_rng(2).exponential(1e-3, 60) * (at % 3 == 0))
        assert slope(at, values, jump_s=1e-4, resolution_s=1e-6) is None

    def test_small_jumps(self):
        """A jump that is smaller than half a block but stands out is none of the clock's."""
        at = np.arange(60.0)
        values = 5e-6 * at + 1e-6 * np.random.default_rng(3).standard_normal(60)
        values[[20, 21]] += 1e-4
        values[40:] += 2e-4
        found = slope(at, values, jump_s=6e-4, resolution_s=1e-6)
        assert abs(found.ppm - 5.0) <= 3.0 * found.uncertainty_ppm
        assert found.uncertainty_ppm < 1.0

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_too_few_points(self, count):
        """Of too few points nothing is said."""
        at = np.arange(float(count))
        assert slope(at, at, jump_s=1.0, resolution_s=1e-9) is None
        assert clock_slope(at, at, sample_rate=RATE, block_frames=64) is None

    @given(ppm=st.floats(-300, 300), seed=st.integers(0, 1 << 20))
    def test_a_clock_whose_blocks_come_late(self, ppm, seed):
        """A device's clock is found although the system delays blocks by up to milliseconds."""
        rng = np.random.default_rng(seed)
        frames = np.arange(0, 30 * RATE, 64 * 7)
        true_ns = frames / (RATE * (1.0 + 1e-6 * ppm)) * 1e9
        seen_ns = (true_ns + rng.exponential(2e5, frames.size)).astype(np.int64)
        found = clock_slope(frames, seen_ns, sample_rate=RATE, block_frames=64)
        assert abs(found.ppm - ppm) <= 3.0 * found.uncertainty_ppm + 0.1
        assert found.uncertainty_ppm < 5.0

    def test_a_schedule_that_begins_anew(self):
        """Where the device loses a moment, the clock on both sides of it counts."""
        frames = np.arange(0, 20 * RATE, 64 * 10)
        seen_ns = (frames / RATE * 1e9).astype(np.int64)
        seen_ns[frames.size // 3 :] += 5_000_000
        found = clock_slope(frames, seen_ns, sample_rate=RATE, block_frames=64)
        assert 1 == found.jumps
        assert abs(found.ppm) < 0.1


class TestVerdict:
    def trip(self, *frames, way="device", **options):
        return RoundTrip(
            "jack", Setup(float(RATE), way=way), tuple(run_of(f, **options) for f in frames)
        )

    def test_constant(self):
        """Equal runs are constant, and their sum in periods is told."""
        trip = self.trip(128, 128, way="loop")
        assert (True, 0.0, 128.0) == (trip.constant, trip.spread_frames, trip.median_frames)
        sums = trip.arithmetic
        assert (64, 2.0, 0.0, 64, False) == (
            sums.period_frames,
            sums.periods,
            sums.rest_frames,
            sums.expected_frames,
            sums.equal,
        )
        assert trip.is_always(128)
        assert not trip.is_always(129)

    @pytest.mark.parametrize("frames", [(64, 64, 128), (64, None, 64)])
    def test_not_constant(self, frames):
        """One restart that differs, or in which nothing came back, is enough."""
        trip = self.trip(*frames)
        assert not trip.constant
        assert not trip.is_always(64)

    def test_blocks_of_changing_size(self):
        """Without a period there is no arithmetic."""
        assert self.trip(64, blocks=(32, 64)).arithmetic.period_frames is None

    def test_json(self):
        """Every figure is in the JSON, and the difference to what was reported."""
        trip = self.trip(200, 200, reported=Reported(64, 128, "JACK port latencies"))
        told = json.loads(json.dumps(trip.as_dict()))
        assert [200.0, 200.0] == [run["frames"] for run in told["restarts"]]
        assert (192, 8.0) == tuple(
            told["reported"][key] for key in ("total_frames", "difference_frames")
        )
        assert told["constant"]
        assert 8.0 == told["arithmetic"]["rest_frames"]
        assert told["drift"] is None

    def test_notes(self):
        """What makes figures doubtful is said with a remedy."""
        heard = np.clip(late(100, 20.0) + late(612, 16.0), -1.0, 1.0)
        bad = Run(find_probe(WAVE, heard, RATE), (64, 64), None, 0, (0.0,))
        notes = RoundTrip("jack", Setup(float(RATE)), (bad, run_of(None))).notes()
        for words in ("in 1 of 2 restarts", "clipped", "direct monitoring", "hardly stands out"):
            assert any(words in note for note in notes)
        assert [] == self.trip(64).notes()

    @pytest.mark.parametrize(
        ("peaks", "elsewhere", "says"),
        [
            ((-200.0, -200.0), None, "nothing came back on input 1, not even noise"),
            ((-200.0, -20.0), 1, "came back on input 2 and not on input 1; give --input-channel 2"),
            ((0.0, -60.0), None, "input 1 is overloaded"),
            ((-50.0, -60.0), None, r"hears something \(peak -50 dBFS\), but not the probe within"),
        ],
    )
    def test_nothing_came_back(self, peaks, elsewhere, says):
        """The reason is guessed from what was heard, with a remedy each."""
        sentence = why_nothing(Run(None, (64, 64), None, 0, peaks, elsewhere), Setup(float(RATE)))
        with pytest.raises(DeviceError, match=says):
            raise DeviceError(sentence)

    def test_never_loud(self):
        """A level above the safe one is refused."""
        with pytest.raises(ParameterError, match="at most -12 dBFS"):
            Setup(float(RATE), level_dbfs=-11.0)
