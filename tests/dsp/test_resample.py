# SPDX-License-Identifier: MIT
from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.errors import TypingError
from sounds import in_pieces
from spectral_plugins import ThereAndBack

from rtcore import Chain
from rtcore.dsp import ResamplerDesign, resample_hop
from rtcore.errors import PluginError

REALS = ("float32", "float64")
PAIRS = [
    (16000, 48000),
    (48000, 16000),
    (8000, 16000),
    (16000, 8000),
    (44100, 16000),
    (16000, 44100),
    (48000, 44100),
    (44100, 48000),
]
WIDTHS = (12, 32, 52, 64)

pairs, widths = st.sampled_from(PAIRS), st.sampled_from(WIDTHS)


@cache
def design_of(rates, half_width=32.0):
    return ResamplerDesign(*rates, half_width=half_width)


def converted(design, x, hops=None):
    """Convert sound in hops of so many of the smallest, by default all at once."""
    hops = hops or [x.size // design.down]
    history = design.history(1, design.hop_in(max(hops)))[0].astype(x.dtype)
    taps = design.taps.astype(x.dtype)
    pieces, at = [], 0
    for k in hops:
        y = np.full(design.hop_out(k), np.nan, x.dtype)
        resample_hop(x[at : at + design.hop_in(k)], y, history, taps, design.down)
        pieces.append(y)
        at += design.hop_in(k)
    return np.concatenate(pieces)


def noise(frames, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=frames).astype(dtype)


def whole(design, seconds):
    """Give a number of frames in whole hops that lasts about so long."""
    return design.hop_in(max(1, round(seconds * design.rate_in / design.down)))


def wave(hz, rate, frames, late_s=0.0):
    """Give a complex wave; late by some time."""
    return np.exp(2j * np.pi * hz * (np.arange(frames) / rate - late_s))


def heard(design, hz, seconds=0.05):
    """Play a wave of amplitude 1; give its complex gain and the RMS of all else, re the wave's."""
    frames = whole(design, seconds)
    x = wave(hz, design.rate_in, frames)
    y = converted(design, x.real.copy()) + 1j * converted(design, x.imag.copy())
    settled = y[2 * int(design.latency_out_frames) + 2 :]
    late_s = float(design.latency_out_frames / design.rate_out)
    expected = wave(hz, design.rate_out, y.size, late_s)[-settled.size :]
    gain = np.vdot(expected, settled) / settled.size
    return gain, np.sqrt(np.mean(np.abs(settled - gain * expected) ** 2))


def decibel(ratio):
    return 20 * np.log10(np.abs(ratio))


def in_band(frames, rate, top_hz, seed=0):
    """Give noise of RMS 1 that has nothing above a frequency, periodic in its frames."""
    spectrum = np.fft.rfft(noise(frames, seed=seed))
    spectrum[np.fft.rfftfreq(frames, 1 / rate) > top_hz] = 0
    x = np.fft.irfft(spectrum, n=frames)
    return x / np.sqrt(np.mean(x**2))


class TestPhysics:
    @settings(deadline=None, max_examples=60)
    @given(pairs, widths, st.floats(0.0, 1.0))
    def test_waves_in_the_pass_band(self, rates, width, place):
        """A wave of the pass band keeps its level to 0.1 dB and comes when the design says."""
        design = design_of(rates, width)
        hz = 20.0 + place * (design.pass_hz - 20.0)
        gain, rest = heard(design, hz)
        late_frames = -np.angle(gain) / (2 * np.pi * hz) * max(rates)
        assert abs(decibel(gain)) < 0.1
        assert abs(late_frames) < 0.01
        assert decibel(rest) < -78  # all images together; each has 80 dB

    @settings(deadline=None, max_examples=60)
    @given(st.sampled_from([p for p in PAIRS if p[0] > p[1]]), widths, st.floats(0.0, 1.0))
    def test_waves_that_the_lower_rate_cannot_carry(self, rates, width, place):
        """A wave from half the lower rate on does not come back as others: 80 dB down each."""
        design = design_of(rates, width)
        hz = design.stop_hz + place * (design.rate_in / 2 - design.stop_hz)
        gain, rest = heard(design, hz)
        assert decibel(np.hypot(abs(gain), rest)) < -78  # all of them together

    @pytest.mark.parametrize("width", WIDTHS)
    @pytest.mark.parametrize("rates", PAIRS)
    def test_stop_band(self, rates, width):
        """From half the lower rate on, the filter is 80 dB down everywhere."""
        design = design_of(rates, width)
        size = 1 << (design.prototype.size - 1).bit_length() + 4
        response = np.abs(np.fft.rfft(design.prototype, size)) / design.up
        hz = np.arange(response.size) * design.rate_in * design.up / size
        assert decibel(response[hz >= design.stop_hz].max()) < -80
        assert np.abs(decibel(response[hz <= design.pass_hz])).max() < 0.002

    @pytest.mark.parametrize("rates", PAIRS)
    def test_a_constant_stays_one(self, rates):
        """At 0 Hz the gain is 1, but for images 80 dB down."""
        design = design_of(rates)
        y = converted(design, np.ones(whole(design, 0.05)))
        settled = y[2 * int(design.latency_out_frames) + 1 :]
        assert 1.0 == pytest.approx(settled.mean(), abs=1e-4)
        assert np.abs(settled - 1).max() < 1.3e-4

    @pytest.mark.parametrize("rates", PAIRS)
    def test_noise_keeps_its_power(self, rates):
        """Noise of the pass band keeps its power to 0.01 dB, over whole periods."""
        design = design_of(rates)
        frames = whole(design, 0.5)
        x = np.tile(in_band(frames, rates[0], design.pass_hz), 2)
        y = converted(design, x)[-frames * design.up // design.down :]
        assert abs(decibel(np.sqrt(np.mean(y**2)))) < 0.01

    @pytest.mark.parametrize("width", [32, 52])
    @pytest.mark.parametrize("rates", [(48000, 16000), (16000, 8000), (44100, 16000)])
    def test_there_and_back(self, rates, width):
        """Sound that the lower rate can carry comes back as it was, 74 dB above what is added."""
        there, back = design_of(rates, width), design_of(rates[::-1], width)
        x = np.tile(in_band(whole(there, 0.3), rates[0], there.pass_hz), 2)
        y = converted(back, converted(there, x))
        late = there.latency_in_frames + back.latency_out_frames
        assert 1 == late.denominator
        rest = (y - np.roll(x, int(late)))[2 * int(late) :]
        assert decibel(np.sqrt(np.mean(rest**2))) < -74


class TestDesign:
    @given(pairs, st.floats(8.0, 80.0))
    @settings(deadline=None, max_examples=30)
    def test_latency(self, rates, width):
        """It is the same time on either side, whole frames at the higher rate, as asked."""
        design = ResamplerDesign(*rates, half_width=width)
        in_frames, out_frames = design.latency_in_frames, design.latency_out_frames
        assert Fraction(in_frames, rates[0]) == Fraction(out_frames, rates[1])
        higher = in_frames if rates[0] > rates[1] else out_frames
        lower = min(in_frames, out_frames)
        assert 1 == higher.denominator
        assert width - Fraction(min(rates), max(rates)) < lower <= width
        assert np.array_equal(design.prototype, design.prototype[::-1])

    def test_speech_takes_two_milliseconds_each_way(self):
        """By default 16 kHz is reached from 48 kHz in 2 ms, and the other way round."""
        there, back = ResamplerDesign(48000, 16000), ResamplerDesign(16000, 48000)
        assert (96, 32) == (there.latency_in_frames, there.latency_out_frames)
        assert (32, 96) == (back.latency_in_frames, back.latency_out_frames)
        assert (1, 3, 3, 1) == (there.up, there.down, back.up, back.down)

    @pytest.mark.parametrize(("width", "share"), [(32, 0.42), (52, 0.45), (65, 0.46)])
    def test_a_wider_filter_passes_more(self, width, share):
        """The pass band ends where the documentation says, in parts of the lower rate."""
        assert share == pytest.approx(design_of((48000, 16000), width).pass_hz / 16000, abs=1.1e-3)

    def test_hops(self):
        """Hops are whole multiples of the two rates in lowest terms."""
        design = design_of((44100, 16000))
        assert (441, 160, 1323, 480) == (
            design.hop_in(1),
            design.hop_out(1),
            design.hop_in(3),
            design.hop_out(3),
        )

    def test_equal_rates_change_nothing(self):
        """Between equal rates sound passes at once, bit for bit."""
        design, x = ResamplerDesign(48000, 48000), noise(100)
        assert (0, 0, 24000.0) == (
            design.latency_in_frames,
            design.latency_out_frames,
            design.pass_hz,
        )
        assert np.array_equal(x, converted(design, x))

    @pytest.mark.parametrize("stop_db", [50.0, 100.0, 140.0])
    def test_attenuation_as_asked(self, stop_db):
        """The stop band is as deep as asked."""
        design = ResamplerDesign(48000, 16000, half_width=64, stop_db=stop_db)
        response = np.abs(np.fft.rfft(design.prototype, 1 << 14))
        hz = np.fft.rfftfreq(1 << 14, 1 / 48000)
        assert decibel(response[hz >= 8000].max()) < -stop_db

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            (
                {"rate_in": 0},
                "a sample rate of 0 Hz cannot be converted; give whole numbers above 0",
            ),
            (
                {"rate_out": 44100.5},
                "a sample rate of 44100.5 Hz cannot be converted; give whole numbers above 0",
            ),
            (
                {"half_width": 7},
                "half_width: a filter of 7 frames to either side is too short; give at least 8",
            ),
            ({"stop_db": 30}, "stop_db: must be from 50 to 140 dB, got 30"),
        ],
    )
    def test_refuses(self, wrong, sentence):
        """A number out of range gives a sentence."""
        with pytest.raises(PluginError) as caught:
            ResamplerDesign(**{"rate_in": 48000, "rate_out": 16000, **wrong})
        assert sentence == str(caught.value)


class TestStreaming:
    @settings(deadline=None, max_examples=40)
    @given(pairs, widths, st.integers(0, 10**6))
    def test_equals_scipys_upfirdn(self, rates, width, seed):
        """The same taps in scipy's own polyphase filter give the same sound, but for rounding."""
        design = design_of(rates, width)
        x = noise(whole(design, 0.03), seed=seed)
        expected = scipy.signal.upfirdn(design.prototype, x, design.up, design.down)
        actual = converted(design, x)
        np.testing.assert_allclose(actual, expected[: actual.size], rtol=0, atol=2e-14)

    @pytest.mark.parametrize("rates", PAIRS)
    def test_float32_keeps_six_digits(self, rates):
        """In float32 the error stays in the seventh digit."""
        design = design_of(rates)
        x = noise(whole(design, 0.1), "float32")
        expected = converted(design, x.astype(float))
        np.testing.assert_allclose(converted(design, x), expected, rtol=0, atol=3e-6)

    def test_types_on_either_side(self):
        """Sound of another type is converted on the way; taps and history must agree."""
        design, x = design_of((16000, 48000)), noise(160, "float32").astype(float)
        taps, history = design.taps.astype("float32"), design.history(1, 160)[0].astype("float32")
        y = np.empty(480)
        resample_hop(x, y, history, taps, design.down)
        assert np.array_equal(converted(design, x.astype("float32")), y)
        with pytest.raises(TypingError, match="arrays must be of one type"):
            resample_hop(x, y, history, design.taps, design.down)

    @settings(deadline=None)
    @given(pairs, st.sampled_from(REALS), st.lists(st.integers(1, 6), min_size=1, max_size=12))
    def test_any_split_gives_the_same_bits(self, rates, dtype, hops):
        """Hops of any whole sizes in any order give the bits of one long hop."""
        design = design_of(rates, 12)
        x = noise(design.hop_in(sum(hops)), dtype)
        assert np.array_equal(converted(design, x), converted(design, x, hops))


class TestInKernels:
    @pytest.mark.parametrize("dtype", REALS)
    def test_there_and_back(self, dtype):
        """In a chain, speech comes back through 16 kHz when the chain says it does."""
        x = np.tile(0.1 * in_band(4800, 48000, 6700), (2, 2)).astype(dtype)
        chain = Chain([ThereAndBack()], sample_rate=48000, channels=2, dtype=dtype)
        y = chain.process(x)
        assert 96 + 96 + 47 == chain.latency_frames
        rest = (y - np.roll(x, chain.latency_frames, axis=1))[:, 500:]
        assert decibel(np.sqrt(np.mean(rest**2)) / 0.1) < -74

    @pytest.mark.parametrize("dtype", REALS)
    def test_any_chunking_gives_the_same_bits(self, dtype):
        """Blocks of any size give the same bits."""
        x = np.stack([noise(3000, dtype), noise(3000, dtype, seed=1)])
        chain = Chain([ThereAndBack()], sample_rate=48000, channels=2, dtype=dtype)
        expected = chain.process(x)
        for sizes in ([1], [7], [64], [512], [3, 100, 48, 1]):
            chain.reset()
            assert np.array_equal(expected, in_pieces(chain, x, sizes))

    def test_subnormal_sound_leaves_nothing_behind(self):
        """Sound too small for a normal number becomes silence; no memory keeps any of it."""
        x = np.full((1, 1024), 1e-40, np.float32)
        chain = Chain([ThereAndBack()], sample_rate=48000, channels=1, dtype="float32")
        y = chain.process(x)
        assert (0, 0) == (np.count_nonzero(y), chain.nodes[0].node.subnormals)
