# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.errors import TypingError
from processors import PROCESSORS, outcome

from rtcore.dsp import fft_tables, irfft, rfft
from rtcore.errors import PluginError

REALS = ("float32", "float64")
#: Relative RMS error that no transform of fast factors may reach.
LIMITS = {"float32": 2e-7, "float64": 1e-15}
FAST = (2, 4, 6, 8, 10, 12, 16, 18, 20, 24, 30, 32, 40, 48, 50, 60, 64, 90, 96, 100, 128, 160, 162)
FAST += (200, 240, 250, 256, 320, 400, 480, 486, 512, 640, 768, 882, 960, 1000, 1024, 1250, 1536)
FAST += (1920, 2048, 3840, 4096, 6000, 8192)


def tables(n, dtype):
    return [t if t.dtype == np.int64 else t.astype(dtype) for t in fft_tables(n).values()]


def spectrum(x):
    re, im = np.full((2, x.size // 2 + 1), np.nan, x.dtype)
    rfft(x, re, im, *tables(x.size, x.dtype))
    return re, im


def sound(re, im):
    x = np.full(2 * re.size - 2, np.nan, re.dtype)
    irfft(re, im, x, *tables(x.size, x.dtype))
    return x


def noise(shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def error(actual, expected):
    return np.sqrt(np.mean(np.abs(actual - expected) ** 2) / np.mean(np.abs(expected) ** 2))


def forward_error(n, dtype):
    x = noise(n, dtype, seed=n)
    re, im = spectrum(x)
    return error(re + 1j * im.astype(complex), np.fft.rfft(x.astype(float)))


def backward_error(n, dtype):
    re, im = noise((2, n // 2 + 1), dtype, seed=n)
    return error(sound(re, im), np.fft.irfft(re.astype(float) + 1j * im, n=n))


class TestNumpy:
    @pytest.mark.parametrize("dtype", REALS)
    @pytest.mark.parametrize("n", FAST)
    def test_fast_lengths(self, n, dtype):
        """Lengths of fast factors give numpy's transform, but for the type's rounding."""
        errors = forward_error(n, dtype), backward_error(n, dtype)
        assert max(errors) < LIMITS[dtype], errors

    @settings(deadline=None)
    @given(st.integers(1, 1500), st.sampled_from(REALS))
    def test_any_even_length(self, half, dtype):
        """Any even length does; a large prime factor rounds that many times in a row."""
        largest = max(fft_tables(2 * half)["fft_factors"], default=1)
        errors = forward_error(2 * half, dtype), backward_error(2 * half, dtype)
        assert max(errors) < LIMITS[dtype] * (1 + largest / 100), errors

    @settings(deadline=None)
    @given(st.integers(1, 300), st.sampled_from(REALS))
    def test_there_and_back(self, half, dtype):
        """The inverse of the transform is the sound."""
        x = noise(2 * half, dtype, seed=half)
        assert error(sound(*spectrum(x)), x) < 2 * LIMITS[dtype] * (1 + half / 100)

    @settings(deadline=None)
    @given(st.integers(1, 200), st.integers(0, 1000))
    def test_a_wave_lies_in_one_bin(self, half, place):
        """A cosine of whole periods is one number, half its length."""
        n, bin_ = 2 * half, place % (half + 1)
        re, im = spectrum(np.cos(2 * np.pi * bin_ * np.arange(n) / n))
        expected = np.zeros(half + 1)
        expected[bin_] = n if bin_ in (0, half) else half
        np.testing.assert_allclose(re, expected, rtol=0, atol=1e-12 * n)
        np.testing.assert_allclose(im, 0.0, rtol=0, atol=1e-12 * n)


class TestExactness:
    @pytest.mark.parametrize("dtype", REALS)
    @pytest.mark.parametrize("n", [2, 6, 14, 60, 512, 882])
    def test_an_impulse_at_the_start_is_all_ones(self, n, dtype):
        """Products with 1 and 0 are exact, so the spectrum of an impulse is as well."""
        x = np.zeros(n, dtype)
        x[0] = 1
        re, im = spectrum(x)
        assert np.array_equal(np.ones(n // 2 + 1), re)
        assert np.array_equal(np.zeros(n // 2 + 1), im)

    @pytest.mark.parametrize("dtype", REALS)
    @pytest.mark.parametrize("n", [2, 4, 30, 154, 512])
    def test_both_ends_are_real(self, n, dtype):
        """At 0 and at half the sample rate the imaginary part is exactly 0, and is not read."""
        re, im = spectrum(noise(n, dtype))
        assert (0.0, 0.0) == (im[0], im[-1])
        expected = sound(re, im)
        im[0], im[-1] = np.nan, 7.0
        assert np.array_equal(expected, sound(re, im))

    @pytest.mark.parametrize("dtype", REALS)
    @pytest.mark.parametrize("n", [6, 100, 154, 480, 512, 1024])
    def test_bits_depend_on_the_sound_alone(self, n, dtype):
        """Neither what lies in the work memory nor the arrays' addresses change a bit."""
        x, bins = noise(n, dtype), n // 2 + 1
        expected = spectrum(x)
        parts = tables(n, dtype)
        for offset in range(1, 5):
            room = np.full(n + 2 * bins + 3 * offset, np.nan, dtype)
            shifted, re, im = np.split(room[3 * offset :], [n, n + bins])
            shifted[:] = x
            parts[-1][:] = np.nan
            rfft(shifted, re, im, *parts)
            assert np.array_equal(expected, (re, im))
            irfft(re, im, shifted, *parts)
            assert np.array_equal(sound(*expected), shifted)

    def test_inputs_stay_as_they_are(self):
        """Neither direction writes on its input."""
        x = noise(480)
        x.setflags(write=False)
        re, im = spectrum(x)
        kept = re.copy(), im.copy()
        sound(re, im)
        assert np.array_equal(kept, (re, im))


class TestTables:
    @pytest.mark.parametrize("n", [8, 360, 1000, 14322])
    def test_turning_factors_are_right_to_the_last_digit(self, n):
        """They are as near as float64 gets to those computed with many more digits."""
        table = fft_tables(n)
        k = np.arange(n // 4 + 1)
        angle = 2 * np.pi * k.astype(np.longdouble) / n
        angle += k * (np.longdouble(2) * np.longdouble("1.2246467991473532e-16") / n)
        for name, wanted in (("fft_cos", np.cos(angle)), ("fft_sin", -np.sin(angle))):
            actual = table[name][: k.size]
            assert np.abs(actual - wanted).max() < 2.3e-16

    def test_names_for_a_second_length(self):
        """A kernel with two transforms gives each a name."""
        expected = ["low_factors", "low_cos", "low_sin", "low_work"]
        assert expected == list(fft_tables(20, name="low"))

    @pytest.mark.parametrize("n", [-2, 0, 1, 15])
    def test_odd_lengths_are_refused(self, n):
        """Only even lengths are offered, and a sentence says so."""
        with pytest.raises(PluginError) as caught:
            fft_tables(n)
        sentence = f"a Fourier transform of {n} samples is not offered; choose an even length"
        assert sentence == str(caught.value)

    def test_arrays_that_vectors_would_misread_are_refused(self):
        """Neither every second number of an array nor tables of another type compile."""
        gaps, x = np.zeros((2, 9))[:, ::2], noise(8)
        with pytest.raises(TypingError, match="arrays must be of one type"):
            rfft(x, gaps[0], gaps[1], *tables(8, "float64"))
        with pytest.raises(TypingError, match="arrays must be of one type"):
            rfft(x, *np.zeros((2, 5)), *tables(8, "float32"))


CHILD = """
import numpy as np
from rtcore.dsp import ResamplerDesign, fft_tables, irfft, resample_hop, rfft
for dtype, limit in ((np.float32, 2e-7), (np.float64, 1e-15)):
    for n in (16, 60, 154, 480, 512):
        x = np.random.default_rng(0).normal(size=n).astype(dtype)
        t = [v if v.dtype == np.int64 else v.astype(dtype) for v in fft_tables(n).values()]
        re, im, y = np.empty(n // 2 + 1, dtype), np.empty(n // 2 + 1, dtype), np.empty_like(x)
        rfft(x, re, im, *t)
        wanted = np.fft.rfft(x.astype(float))
        error = np.abs(re + 1j * im.astype(complex) - wanted)
        assert np.sqrt(np.mean(error**2) / np.mean(np.abs(wanted) ** 2)) < limit
        irfft(re, im, y, *t)
        assert np.sqrt(np.mean((y - x) ** 2) / np.mean(x**2)) < 2 * limit
    design = ResamplerDesign(16000, 48000)
    x = np.random.default_rng(1).normal(size=400).astype(dtype)
    y, history = np.empty(1200, dtype), design.history(1, 400)[0].astype(dtype)
    resample_hop(x, y, history, design.taps.astype(dtype), design.down)
    spread = np.zeros(1200)
    spread[::3] = x
    wanted = np.convolve(spread, design.prototype)[:1200]
    assert np.abs(y - wanted).max() < (2e-6 if dtype is np.float32 else 1e-14)
for helper in (rfft, irfft, resample_hop):
    assert not any("fmaf" in code for code in helper.inspect_asm().values()), "calls libm"
"""


@pytest.mark.slow
@pytest.mark.parametrize("processor", PROCESSORS)
def test_other_processors(processor):
    """Compiled for a processor with shorter or longer vectors or without FMA it is as right."""
    assert (0, "") == outcome(CHILD, processor)
