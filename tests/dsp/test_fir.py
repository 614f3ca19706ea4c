# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from processors import PROCESSORS, outcome

from rtcore.dsp import fir_block, fir_buffers, fir_facts, main_peak

REALS = ("float32", "float64")
MAX_FRAMES = 512


@njit(nogil=True)
def run(x, taps, history, cuts, y):
    position, start = 0, 0
    for cut in cuts:
        # Kernels get contiguous blocks.
        out = np.empty((x.shape[0], cut - start), x.dtype)
        position = fir_block(x[:, start:cut].copy(), taps, history, position, out)
        y[:, start:cut] = out
        start = cut


def filtered(x, taps, cuts):
    """Filter (channels, frames) in blocks that end at the given frames."""
    buffers = fir_buffers(taps, x.shape[0], MAX_FRAMES)
    memory = {name: array.astype(x.dtype) for name, array in buffers.items()}
    y = np.full_like(x, np.nan)
    run(x, memory["taps"], memory["history"], np.asarray(cuts, np.int64), y)
    return y


def blocks_of(size, frames):
    return [*range(size, frames, size), frames]


def noise(shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


class TestConvolution:
    @settings(deadline=None)
    @given(st.integers(1, 700), st.integers(1, 3), st.integers(1, 2000), st.integers(1, MAX_FRAMES))
    def test_equals_numpy(self, taps, channels, frames, block):
        """Any number of taps, channels and frames gives numpy's convolution in float64."""
        h, x = noise((channels, taps), seed=taps) / taps, noise((channels, frames), seed=frames)
        expected = [np.convolve(a, b)[:frames] for a, b in zip(x, h, strict=True)]
        actual = filtered(x, h, blocks_of(block, frames))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)

    def test_float32_keeps_six_digits(self):
        """In float32 the error stays in the seventh digit of full scale."""
        h, x = noise((1, 221), "float32") / np.float32(221), noise((1, 5000), "float32")
        expected = np.convolve(x[0].astype(float), h[0].astype(float))[:5000]
        actual = filtered(x, h, blocks_of(64, 5000))[0]
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)

    def test_one_row_serves_all_channels(self):
        """One list of taps filters every channel."""
        h, x = noise(33), noise((3, 200))
        expected = filtered(x, np.stack([h] * 3), [200])
        assert np.array_equal(expected, filtered(x, h, [200]))

    def test_output_may_overwrite_input(self):
        """Input and output may be the same memory."""
        h, x = noise((2, 50)), noise((2, 300))
        expected = filtered(x, h, [300])
        memory, same = fir_buffers(h, 2, MAX_FRAMES), x.copy()
        fir_block(same, memory["taps"], memory["history"], 0, same)
        assert np.array_equal(expected, same)

    @pytest.mark.parametrize("dtype", REALS)
    def test_a_sample_is_heard_for_as_long_as_there_are_taps(self, dtype):
        """An impulse gives the taps themselves, bit for bit, and then exact zeros."""
        h = noise((1, 97), dtype)
        x = np.zeros((1, 1000), dtype)
        x[0, 5] = 1
        expected = np.zeros_like(x)
        expected[0, 5:102] = h
        assert np.array_equal(expected, filtered(x, h, blocks_of(100, 1000)))


class TestChunking:
    @pytest.mark.parametrize("dtype", REALS)
    @pytest.mark.parametrize("block", [1, 7, 31, 32, 64, 100, 512])
    def test_any_block_size_gives_the_same_bits(self, dtype, block):
        """Blocks of one size, odd or even, equal the longest blocks bit for bit."""
        h, x = noise((2, 221), dtype), noise((2, 3000), dtype)
        expected = filtered(x, h, blocks_of(MAX_FRAMES, 3000))
        assert np.array_equal(expected, filtered(x, h, blocks_of(block, 3000)))

    @settings(deadline=None)
    @given(
        st.sampled_from(REALS),
        st.integers(1, 300),
        st.lists(st.integers(1, MAX_FRAMES), min_size=1, max_size=30),
    )
    def test_any_cutting_gives_the_same_bits(self, dtype, taps, sizes):
        """Blocks of any sizes in any order equal the longest blocks bit for bit."""
        cuts = np.cumsum(sizes).tolist()
        h, x = noise((1, taps), dtype), noise((1, cuts[-1]), dtype)
        expected = filtered(x, h, blocks_of(MAX_FRAMES, cuts[-1]))
        assert np.array_equal(expected, filtered(x, h, cuts))


CHILD = """
import numpy as np
from rtcore.dsp import fir_block, fir_buffers
for dtype in (np.float32, np.float64):
    random = np.random.default_rng(0)
    x, taps = random.normal(size=(1, 500)).astype(dtype), random.normal(size=221) / 221
    results = []
    for cuts in ((500,), (1, 8, 40, 41, 200, 263, 500)):
        memory = {k: v.astype(dtype) for k, v in fir_buffers(taps, 1, 500).items()}
        y, start, position = np.empty_like(x), 0, 0
        for cut in cuts:
            out = np.empty((1, cut - start), dtype)
            block = x[:, start:cut].copy()
            position = fir_block(block, memory["taps"], memory["history"], position, out)
            y[:, start:cut], start = out, cut
        results.append(y)
    expected = np.convolve(x[0].astype(float), memory["taps"][0, :221].astype(float))[:500]
    assert np.array_equal(*results), "chunking changes bits"
    assert np.abs(results[0] - expected).max() < (1e-6 if dtype is np.float32 else 1e-12)
assert not any("fmaf" in code for code in fir_block.inspect_asm().values()), "calls libm"
"""


@pytest.mark.slow
@pytest.mark.parametrize("processor", PROCESSORS)
def test_other_processors(processor):
    """Compiled for a processor with shorter or longer vectors or without FMA it is as right."""
    assert (0, "") == outcome(CHILD, processor)


class TestFacts:
    @pytest.mark.parametrize(
        ("taps", "expected"),
        [
            ([1.0], 0),
            ([0, 0, -0.5, 0], 2),
            ([1, 2, 1], 1),
            ([1, 2, 2, 1], 1),  # half a frame cannot be declared: the first of the two peaks
            ([1, 1, 1, 1, 1], 2),  # a running mean is late by its middle
            ([1, 0, 0, 0, 1], 0),  # an echo is symmetric as well, and yet begins at once
            ([-1, 0, 1], 0),
            ([[0, 1, 0], [0, 0, 2]], 2),
            ([0, 0], 0),
        ],
    )
    def test_main_peak(self, taps, expected):
        """The delay is where the largest tap lies."""
        assert expected == main_peak(taps)

    def test_a_filter_looks_ahead_from_its_first_tap(self):
        """Zeros in front delay the sound but hear nothing of the future."""
        expected = {"latency_frames": 4, "lookahead_frames": 1, "tail_frames": 6}
        assert expected == fir_facts([0, 0, 0, 1, 2, 1, 0])

    def test_a_silent_filter_costs_nothing(self):
        """Taps of zeros neither delay nor look ahead."""
        expected = {"latency_frames": 0, "lookahead_frames": 0, "tail_frames": 3}
        assert expected == fir_facts(np.zeros(4))
