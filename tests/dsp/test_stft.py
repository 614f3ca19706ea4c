# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sounds import in_pieces
from spectral_plugins import Spectral

from rtcore import Chain
from rtcore.dsp import (
    WINDOWS,
    cola_gain,
    fft_tables,
    irfft,
    overlap_add,
    push_hop,
    rfft,
    stft_window,
    window_frame,
)
from rtcore.errors import PluginError

REALS = ("float32", "float64")
LIMITS = {"float32": 2e-6, "float64": 1e-14}


def noise(shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def analysed(x, window, hop):
    """Give the spectra (hops, bins) of the windows that end with each whole hop."""
    n, history = window.size, np.zeros(window.size, x.dtype)
    tables = [t if t.dtype == np.int64 else t.astype(x.dtype) for t in fft_tables(n).values()]
    re, im = np.empty((2, x.size // hop, n // 2 + 1), x.dtype)
    frame = np.empty(n, x.dtype)
    for k in range(len(re)):
        push_hop(x[k * hop : (k + 1) * hop], history)
        window_frame(history, window.astype(x.dtype), frame)
        rfft(frame, re[k], im[k], *tables)
    return re, im


def synthesised(re, im, window, hop):
    """Give the sound of such spectra."""
    n, tail = window.size, np.zeros(window.size, re.dtype)
    tables = [t if t.dtype == np.int64 else t.astype(re.dtype) for t in fft_tables(n).values()]
    y = np.full(len(re) * hop, np.nan, re.dtype)
    frame = np.empty(n, re.dtype)
    for k in range(len(re)):
        irfft(re[k], im[k], frame, *tables)
        overlap_add(frame, window.astype(re.dtype), tail, y[k * hop : (k + 1) * hop])
    return y


def there_and_back(x, analysis, synthesis, hop):
    gain = cola_gain(analysis, synthesis, hop)
    return synthesised(*analysed(x, analysis, hop), synthesis / gain, hop)


def late(x, frames):
    return np.concatenate([np.zeros(frames), x])[: x.size]


#: Pairs of windows and by how much of their length they may hop.
PAIRS = [
    ("hann", "rect", (2, 4, 8)),
    ("hann", "hann", (3, 4, 8)),
    ("sqrt-hann", "sqrt-hann", (2, 4, 8)),
    ("hamming", "rect", (2, 4, 8)),
    ("vorbis", "vorbis", (2,)),
    ("rect", "hann", (2, 4)),
    ("rect", "rect", (1, 2, 4)),
]


class TestWindows:
    @pytest.mark.parametrize("n", [2, 3, 32, 320, 321, 512])
    @pytest.mark.parametrize("name", ["hann", "hamming"])
    def test_equal_scipys(self, name, n):
        """Periodic and symmetric windows are those that scipy gives under these names."""
        for suffix, symmetric in (("", False), ("-symmetric", True)):
            expected = getattr(scipy.signal.windows, name)(n, sym=symmetric)
            actual = stft_window(name + suffix, n)
            np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-15)

    @pytest.mark.parametrize("suffix", ["", "-symmetric"])
    @pytest.mark.parametrize("n", [2, 31, 512])
    def test_root_of_hann(self, n, suffix):
        """The square of the root of a window is the window."""
        expected = stft_window("hann" + suffix, n)
        np.testing.assert_allclose(stft_window("sqrt-hann" + suffix, n) ** 2, expected, atol=1e-15)

    def test_vorbis(self):
        """The slope of the Vorbis window has the values of its formula, written out for 4."""
        low, high = (
            np.sin(np.pi / 2 * np.sin(np.pi / 8) ** 2),
            np.cos(np.pi / 2 * np.sin(np.pi / 8) ** 2),
        )
        np.testing.assert_allclose(stft_window("vorbis", 4), [low, high, high, low], atol=1e-15)

    @given(st.sampled_from(WINDOWS), st.integers(1, 600))
    def test_between_zero_and_one(self, name, n):
        """No window is negative or above 1, and each is the same from both ends."""
        window = stft_window(name, n)
        same = window[1:] if name in ("hann", "sqrt-hann", "hamming") else window
        assert 0.0 <= window.min()
        assert window.max() <= 1.0
        assert window.shape == (n,)
        np.testing.assert_allclose(same, same[::-1], atol=1e-14)

    def test_a_misspelt_name(self):
        """The sentence names the nearest window and all others."""
        with pytest.raises(PluginError) as caught:
            stft_window("han", 8)
        expected = (
            f"there is no window 'han' (did you mean 'hann'?); there are: {', '.join(WINDOWS)}"
        )
        assert expected == str(caught.value)

    def test_no_frames(self):
        """A window of nothing is refused."""
        with pytest.raises(PluginError, match="a window of 0 frames is not possible"):
            stft_window("hann", 0)


class TestGain:
    @pytest.mark.parametrize(
        ("analysis", "synthesis", "share", "expected"),
        [
            ("hann", "rect", 2, 1.0),
            ("hann", "rect", 4, 2.0),
            ("hann", "hann", 4, 1.5),
            ("sqrt-hann", "sqrt-hann", 2, 1.0),
            ("vorbis", "vorbis", 2, 1.0),
            ("hamming", "rect", 2, 1.08),
            ("rect", "rect", 4, 4.0),
        ],
    )
    def test_known_pairs(self, analysis, synthesis, share, expected):
        """The sums of well-known pairs are those of the books."""
        pair = stft_window(analysis, 96), stft_window(synthesis, 96)
        assert expected == pytest.approx(cola_gain(*pair, 96 // share), rel=1e-12)

    @given(st.integers(2, 200), st.integers(1, 200), st.integers(0, 999))
    def test_agrees_with_scipy(self, n, hop, seed):
        """What adds up to a constant for scipy does so here, and nothing else."""
        assume(hop < n)
        name = WINDOWS[seed % len(WINDOWS)]
        window = stft_window(name, n)
        assume(window.any())
        if scipy.signal.check_COLA(window, n, n - hop, tol=1e-11):
            assert cola_gain(window, np.ones(n), hop) > 0
        elif not scipy.signal.check_COLA(window, n, n - hop, tol=1e-7):
            with pytest.raises(PluginError):
                cola_gain(window, np.ones(n), hop)

    def test_not_constant(self):
        """A pair that would colour the sound gives a sentence with the range of its gains."""
        window = stft_window("hann", 8)
        with pytest.raises(PluginError) as caught:
            cola_gain(window, window, 4)
        expected = (
            "windows of 8 frames every 4 add up to 0.5 to 1, not to a constant; "
            "choose another window or a hop that divides its length"
        )
        assert expected == str(caught.value)

    @pytest.mark.parametrize("hop", [0, 9, -1])
    def test_impossible_hops(self, hop):
        """A hop must be from 1 to the length of the window."""
        with pytest.raises(PluginError, match=f"a hop of {hop} frames does not suit windows of 8"):
            cola_gain(np.ones(8), np.ones(8), hop)


class TestThereAndBack:
    @settings(deadline=None)
    @given(
        st.sampled_from(PAIRS), st.integers(1, 20), st.sampled_from(REALS), st.integers(0, 10**6)
    )
    def test_any_sound_comes_back(self, pair, quarter, dtype, seed):
        """Any sound comes back as it was, a window less a hop late, but for rounding."""
        analysis, synthesis, shares = pair
        share = shares[seed % len(shares)]
        n = 2 * share * quarter
        windows, hop = (stft_window(analysis, n), stft_window(synthesis, n)), n // share
        x = noise(hop * 40, dtype, seed)
        actual = there_and_back(x, *windows, hop)
        np.testing.assert_allclose(actual, late(x, n - hop), rtol=0, atol=3 * LIMITS[dtype])

    @settings(deadline=None)
    @given(st.integers(0, 511), st.sampled_from(REALS))
    def test_an_impulse_stays_one(self, place, dtype):
        """An impulse anywhere comes back as one, and as nothing else."""
        window, x = stft_window("sqrt-hann", 512), np.zeros(2048, dtype)
        x[place] = 1
        actual = there_and_back(x, window, window, 128)
        expected = np.zeros(2048)
        expected[place + 384] = 1
        np.testing.assert_allclose(actual, expected, rtol=0, atol=LIMITS[dtype] / 5)

    def test_a_hop_that_does_not_divide_the_window(self):
        """A window with zeros at its ends may hop by what divides the rest; the delay fits."""
        window = np.concatenate([stft_window("hann", 96), np.zeros(4)])
        x = noise(48 * 30)
        actual = there_and_back(x, window, np.ones(100), 48)
        np.testing.assert_allclose(actual, late(x, 52), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("name", "n", "hop"), [("hann", 512, 128), ("sqrt-hann", 320, 160)])
def test_spectra_equal_scipys(name, n, hop):
    """The spectra are those of scipy's ShortTimeFFT, at the windows that end with our hops."""
    x, window = noise(hop * 50), stft_window(name, n)
    transform = scipy.signal.ShortTimeFFT(window, hop, fs=1.0, phase_shift=None)
    re, im = analysed(x, window, hop)
    # Its window p has its middle at p * hop, ours ends at (k + 1) * hop.
    first = 1 - n // 2 // hop
    expected = transform.stft(x, p0=first, p1=first + len(re)).T
    np.testing.assert_allclose(re + 1j * im, expected, rtol=0, atol=1e-12)


class TestInKernels:
    @pytest.mark.parametrize("dtype", REALS)
    def test_the_sound_comes_back(self, dtype):
        """In a chain the sound comes back when the chain says, in every channel."""
        x = 0.3 * noise((2, 6400), dtype)
        chain = Chain([Spectral()], sample_rate=48000, channels=2, dtype=dtype)
        y = chain.render(x)
        latency = chain.latency_frames
        assert 127 == latency  # a window less a hop, and what collecting a hop takes
        np.testing.assert_allclose(y[:, latency : latency + 6400], x, atol=LIMITS[dtype])

    @pytest.mark.parametrize("dtype", REALS)
    def test_any_chunking_gives_the_same_bits(self, dtype):
        """Blocks of any size give the same bits."""
        x = noise((2, 3000), dtype)
        chain = Chain([Spectral(n=256)], sample_rate=48000, channels=2, dtype=dtype)
        expected = chain.process(x)
        for sizes in ([1], [7], [64], [512], [3, 100, 48, 1]):
            chain.reset()
            assert np.array_equal(expected, in_pieces(chain, x, sizes))

    def test_subnormal_sound_leaves_nothing_behind(self):
        """Sound too small for a normal number becomes silence; no memory keeps any of it."""
        x = np.full((1, 1024), 1e-40, np.float32)
        chain = Chain([Spectral()], sample_rate=48000, channels=1, dtype="float32")
        y = chain.process(x)
        assert (0, 0) == (np.count_nonzero(y), chain.nodes[0].node.subnormals)
