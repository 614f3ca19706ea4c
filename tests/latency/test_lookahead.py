# SPDX-License-Identifier: MIT
"""Planted systems are judged exactly, whatever they are made of."""

from __future__ import annotations

import numpy as np
import planted_systems as planted
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, fftconvolve, filtfilt

from rtcore import Chain
from rtcore.latency.lookahead import measure_lookahead, summarise
from rtcore.latency.result import Declared, Position
from rtcore.latency.scan import coverage
from rtcore.latency.systems.base import ChainSystem, SystemFaultError

RATE = 44100


def measure(system, **options):
    """Measure with a budget that covers the system's period, in a short sound."""
    width = 2 * system.period_samples + 16
    return measure_lookahead(system, **{"positions": width, "duration_s": 0.3, **options})


class TestPlanted:
    @settings(max_examples=200)
    @given(st.randoms(use_true_random=False), st.integers(0, 1 << 20))
    def test_any(self, rng, seed):
        """Random systems of every kind: the whole file is told from a look-ahead, that is exact."""
        system = planted.anything(rng)
        found = measure(system, seed=seed)
        assert system.whole_file == found.whole_file, system.name
        if not system.whole_file:
            assert abs(system.lookahead_samples - found.samples) <= 1, system.name
        assert system.deterministic == found.deterministic, system.name

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_counts_what_is_no_sound(self, bad):
        """Samples that are NaN or infinite are counted, whatever else is measured."""

        def broken(x):
            y = x.copy()
            y[:, 100:103] = bad
            return y

        found = measure(planted.Planted("broken", broken, lookahead_samples=0))
        assert (0, 3) == (found.samples, found.faulty_samples)
        assert 0 == measure(planted.fir(5)).faulty_samples

    @pytest.mark.parametrize("future", [0, 1, 219, 220, 221])
    def test_future_samples(self, future):
        """A FIR with so many future samples has exactly that look-ahead, and it is proved."""
        found = measure(planted.fir(future))
        assert (future, future, 1) == (found.samples, found.upper_samples, found.hop_samples)
        assert found.exact

    @pytest.mark.parametrize("samples", [0, 1, 110, 20_000, 120_000])
    def test_delay(self, samples):
        """A pure delay is a negative look-ahead, also when it is longer than the sounds."""
        assert -samples == measure(planted.delay(samples)).samples

    @pytest.mark.parametrize(("window", "hop", "frames"), [(512, 256, 0), (320, 160, 1)])
    def test_stft(self, window, hop, frames):
        """The worst phase of an STFT system is found, and its hop; no phase is left open."""
        found = measure(planted.stft(window, hop, frames))
        assert window - 1 + frames * hop == found.samples == found.upper_samples
        assert hop == found.hop_samples

    @pytest.mark.parametrize("phase", [0, 1234, 9999])
    def test_one_sample_in_ten_thousand(self, phase):
        """The default budget finds a single sample in 10,000 that knows the next one."""
        found = measure_lookahead(planted.rarely_ahead(10_000, 1, phase))
        assert 1 == found.samples
        assert found.period_samples > 10_000

    def test_what_is_too_rare_is_not_denied(self):
        """What recurs less often than the scan is wide may be missed: the width is told."""
        found = measure_lookahead(planted.rarely_ahead(30_000, 1, 29_999), positions=500)
        assert 0 == found.samples
        assert 500 <= found.period_samples < 30_000

    def test_what_is_left_open_is_told(self):
        """With a budget that is too small for every position the open gap bounds what may be."""
        slow = planted.delay(0)
        found = measure_lookahead(slow, positions=4000, budget_s=0.0)
        assert 0 == found.samples
        assert found.gap_samples > 1
        assert found.upper_samples >= found.samples
        assert not found.exact

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (planted.peak_normalised, "the whole file is normalised to its peak"),
            (planted.rms_normalised, "the whole file is normalised to its RMS level"),
            (planted.mean_removed, "the whole file's mean is removed"),
            (planted.backwards, "something is computed from the whole file"),
        ],
    )
    def test_the_cause_in_words(self, make, words):
        """A dependence on the whole file is told by its kind."""
        found = measure(make())
        assert found.whole_file
        assert found.upper_samples is None
        assert words in found.cause

    def test_a_long_look_ahead_is_no_whole_file(self):
        """A second of look-ahead is told from a normalisation by trying longer sounds."""
        found = measure_lookahead(planted.delay(-RATE), positions=16, duration_s=0.3)
        assert (False, RATE) == (found.whole_file, found.samples)

    def test_a_peak_so_far_is_causal(self):
        """A normalisation to the peak so far is not taken for one to the file's."""
        assert 0 == measure(planted.running_peak_normalised()).samples

    def test_noise_floor(self):
        """A dithered system is measured above its noise, which is told."""
        found = measure(planted.dithered(planted.fir(220), 1e-4))
        assert 220 == found.samples
        assert 1e-4 < found.noise_floor <= 2e-4


class TestRounding:
    @pytest.mark.parametrize("single", [False, True])
    def test_a_filter_by_fft_is_no_whole_file(self, single):
        """The rounding of an FFT over the whole file is told, and hides no look-ahead."""
        taps = np.linspace(0.2, 0.6, 48)

        def process(x):
            x = x.astype(np.float32 if single else np.float64)
            return fftconvolve(x, taps[np.newaxis].astype(x.dtype), axes=1)[:, 40 : 40 + x.shape[1]]

        found = measure(planted.Planted("by FFT", process, lookahead_samples=40))
        assert (False, 40) == (found.whole_file, found.samples)
        assert "count as none: they are rounding" in found.cause

    def test_forwards_and_backwards(self):
        """A filter that runs backwards looks as far ahead as its tail is more than rounding."""
        b, a = butter(1, 0.2)
        pole = -a[1]
        system = planted.Planted("both ways", lambda x: filtfilt(b, a, x), lookahead_samples=None)
        found = measure(system)
        assert not found.whole_file
        assert abs(np.log(1e-12) / np.log(pole) - found.samples) < 8
        assert "the far end of a filter's tail" in found.cause

    def test_faint_look_ahead_is_told_with_its_level(self):
        """What only changes the last bits is counted, and named as faint."""

        def process(x):
            return x + 1e-9 * planted.shifted(x, -30)

        found = measure(planted.Planted("faint", process, lookahead_samples=30))
        assert 30 == found.samples
        assert found.cause.endswith("which changes it by -180 dB re the output's peak")

    def test_a_slight_normalisation_is_no_rounding(self):
        """A factor that is nearly 1 is still one factor of the whole file."""

        def process(x):
            return x * (1.0 + 1e-7 * np.mean(x**2))

        found = measure(planted.Planted("slight", process, lookahead_samples=None))
        assert found.whole_file
        assert "by one factor (1 +" in found.cause


class TestSeldom:
    def test_a_glitch_in_few_runs(self):
        """What shows in one run only is noise, and no look-ahead."""
        rng = np.random.default_rng(3)

        def process(x):
            y = x.copy()
            if rng.random() < 0.1:
                y[:, rng.integers(200, x.shape[1] // 2)] += 1e-3
            return y

        system = planted.Planted("glitches", process, lookahead_samples=0)
        found = measure(system, positions=300)
        assert 0 == found.samples
        assert not found.deterministic

    def test_what_restores_clipped_sound(self):
        """Look-ahead where the sound is at full scale only is provoked."""

        def process(x):
            return np.where(np.abs(x) >= 1.0, 0.5 * planted.shifted(x, -60), x)

        assert 60 == measure(planted.Planted("declipper", process, lookahead_samples=60)).samples


class TestParts:
    @pytest.mark.parametrize("parts", [2, 10])
    def test_parts_of_the_file(self, parts):
        """Look-ahead that grows with the file is a dependence on the whole file."""

        def process(x):
            pieces = np.array_split(x, parts, axis=1)
            return np.concatenate([p / (1e-9 + np.abs(p).max()) for p in pieces], axis=1)

        found = measure(planted.Planted("in parts", process, lookahead_samples=None))
        assert found.whole_file
        assert "the look-ahead grows with the length of the sound" in found.cause

    def test_16_bits(self):
        """A normalisation is named though its output is rounded to 16 bits."""

        def process(x):
            return np.round(32767 * x / max(np.abs(x).max(), 1e-9)) / 32768

        found = measure(planted.Planted("16 bits", process, lookahead_samples=None))
        assert "the whole file is normalised to its peak" in found.cause

    def test_an_offset_that_is_no_mean(self):
        """A constant that is not the mean is not called one."""
        found = measure(
            planted.Planted("median", lambda x: x - np.median(x), lookahead_samples=None)
        )
        assert "the whole file's offset changes" in found.cause


class TestRefusals:
    def test_chaos(self):
        """A system that keeps its state between sounds is refused, with the remedy."""
        rng = np.random.default_rng(0)
        system = planted.Planted("moody", lambda x: rng.uniform(0.5, 1.0) * x, lookahead_samples=0)
        with pytest.raises(SystemFaultError, match=r"moody: two runs on one sound differ by .* dB"):
            measure(system)

    def test_deafness(self):
        """A system whose output does not depend on its input is refused."""
        with pytest.raises(SystemFaultError, match="no change of its input shows in its output"):
            measure(planted.constant(0.5))

    def test_channels_that_come_and_go(self):
        """A system must keep to one number of output channels."""
        system = planted.Planted(
            "fickle",
            lambda x: np.repeat(x, 1 + int(abs(x[0, -1]) > 0.6), axis=0),
            lookahead_samples=0,
        )
        with pytest.raises(SystemFaultError, match="another number of channels"):
            measure(system)


class TestCoverage:
    @settings(max_examples=50)
    @given(
        st.lists(st.integers(0, 3), min_size=40, max_size=120),
        st.sets(st.integers(0, 119), min_size=2),
    )
    def test_the_bound_holds(self, steps, tried):
        """Whatever positions were tried, none between them looks further ahead than the bound."""
        first = np.cumsum(steps)
        ats = sorted(at for at in tried if at < len(steps)) or [0, 1]
        best = max(at - int(first[at]) for at in ats)
        proof = coverage([(at, int(first[at])) for at in ats], best)
        inside = np.arange(ats[0], ats[-1] + 1)
        assert (inside - first[inside]).max() <= proof.upper
        assert (ats[0], ats[-1]) == proof.scanned

    def test_summary_of_given_positions(self):
        """Positions that somebody else tried are summed up in the same way."""
        positions = [Position(at, at - at % 64, "noise") for at in range(1000, 1200)]
        found = summarise(positions, 0.0, 201)
        assert (63, 63, 64, 200) == (
            found.samples,
            found.upper_samples,
            found.hop_samples,
            found.period_samples,
        )


class TestChains:
    def test_stereo(self):
        """A chain of two channels is measured with both, in its own type."""
        from rtcore.plugins import NALR, SoftClip

        chain = Chain([NALR(audiogram="N3"), SoftClip()], sample_rate=RATE)
        system = ChainSystem(chain, "nalr and softclip")
        found = measure_lookahead(system, positions=64, duration_s=0.2)
        assert 0 == found.samples == system.declared.lookahead_samples + 0
        assert Declared(latency_samples=110, lookahead_samples=0) == system.declared
