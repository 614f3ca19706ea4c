# SPDX-License-Identifier: MIT
"""The joints of branches: delays by channel, and sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import in_pieces, noise

from rtcore import Chain
from rtcore.chain.align import Align, Sum

SIZES = st.lists(st.integers(1, 300), min_size=1, max_size=5)
DELAYS = st.lists(st.integers(0, 70), min_size=1, max_size=4)


def late(x, frames):
    return np.concatenate([np.zeros(frames, x.dtype), x])[: x.size]


@given(delays=DELAYS, sizes=SIZES, dtype=st.sampled_from(["float32", "float64"]))
@settings(max_examples=30)
def test_each_channel_has_its_own_delay(delays, sizes, dtype):
    """Channels are delayed by their own numbers of frames, bit for bit, in any pieces."""
    x = noise(len(delays), 600, dtype=dtype)
    chain = Chain([Align(delays=tuple(delays))], channels=len(delays), dtype=dtype)
    expected = [late(row, delay) for row, delay in zip(x, delays, strict=True)]
    assert np.array_equal(expected, in_pieces(chain, x, sizes))


@given(delays=DELAYS, sizes=SIZES, width=st.integers(1, 3))
@settings(max_examples=30)
def test_branches_are_added(delays, sizes, width):
    """Branches side by side are delayed, weighted and added, the same in any pieces."""
    gains_db = tuple(-3.0 * k for k in range(len(delays)))
    options = {"channels": width * len(delays), "dtype": "float64"}
    x = noise(width * len(delays), 600, dtype="float64")
    made = Sum(delays=tuple(delays), gains_db=gains_db)
    y = in_pieces(Chain([made], **options), x, sizes)
    expected = np.zeros((width, 600))
    for k, (delay, gain_db) in enumerate(zip(delays, gains_db, strict=True)):
        for c in range(width):
            expected[c] += 10 ** (gain_db / 20) * late(x[k * width + c], delay)
    assert np.allclose(expected, y, atol=1e-12)
    assert np.array_equal(Chain([made], **options).process(x), y)


@pytest.mark.parametrize("made", [Align(delays=(3, 0)), Sum(delays=(3, 0), gains_db=(0.0, 0.0))])
def test_reset(made):
    """After a reset nothing of what was delayed is heard."""
    chain = Chain([made], channels=2)
    chain.process(np.ones((2, 10)))
    chain.reset()
    assert not chain.process(np.zeros((2, 10))).any()
