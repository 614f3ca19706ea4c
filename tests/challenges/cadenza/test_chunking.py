# SPDX-License-Identifier: MIT
"""Long sounds are cut as the official code cuts them; the end is faded with compat only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch_networks import needs_networks

from rtcore.challenges.cadenza.chunking import Chunk, chunks, in_chunks

RATE = 44100
#: Around one and two chunks, and shorter than a fade.
LENGTHS = (4411, 441_000, 485_100, 485_101, 970_200, 970_201)


def doubled(x):
    """Stand in for a network: two stems."""
    return np.stack([x, -0.5 * x])


def test_chunks_of_a_long_sound():
    """The first chunk is 11 s, the others begin 0.1 s before the end of the one before."""
    expected = [
        Chunk(0, 485_100, 0, 4410),
        Chunk(480_690, 970_200, 4410, 4410),
        Chunk(965_790, 1_000_000, 4410, 0),
    ]
    assert expected == list(chunks(1_000_000, RATE))


@given(frames=st.integers(442, 300_000), compat=st.booleans())
def test_what_a_sound_becomes(frames, compat):
    """What leaves a sound alone gives it back, in chunks of any number; compat fades the end."""
    rate = 4410  # chunks of 48,510 frames
    x = np.ones((1, frames), np.float32)
    y = in_chunks(x, rate, doubled, compat=compat)
    whole = 485 * rate // 44
    faded = 441 if compat and frames <= whole else 0
    assert (2, 1, frames) == y.shape
    assert np.allclose(1.0, y[0, 0, : frames - faded], rtol=0, atol=1e-6)
    assert (1.0 if not faded else 0.0) == pytest.approx(y[0, 0, -1], abs=1e-6)
    assert np.array_equal(-0.5 * y[0], y[1])


@pytest.mark.parametrize("frames", [485_100, 485_101])
def test_the_official_quirk(frames):
    """With compat the last 0.1 s of what fits into one chunk fade to exactly 0, else not."""
    x = np.ones((2, frames), np.float32)
    official, mended = (in_chunks(x, RATE, doubled, compat=compat) for compat in (True, False))
    assert np.allclose(1.0, mended[0], rtol=0, atol=1e-6)
    assert (0.0 if frames == 485_100 else 1.0) == official[0, 0, -1]
    assert (frames == 485_100) == bool(official[0, 0, -2205] < 0.51)


@needs_networks
@pytest.mark.parametrize("frames", LENGTHS)
def test_the_official_code_agrees(frames):
    """With compat any length comes out as from pyclarity's separate_sources."""
    import torch
    from clarity.utils.source_separation_support import separate_sources

    class FourStems(torch.nn.Module):
        def forward(self, x):
            return torch.stack([x, 0.5 * x, -x, 2.0 * x], 1)

    x = np.random.default_rng(frames).normal(0.0, 0.3, (2, frames)).astype(np.float32)
    expected = separate_sources(FourStems(), torch.from_numpy(x), RATE)[0]
    actual = in_chunks(x, RATE, lambda c: np.stack([c, 0.5 * c, -c, 2.0 * c]), compat=True)
    assert np.allclose(expected, actual, rtol=0, atol=1e-6)
