# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore import Chain, ConfigError, Parallel, ParameterError
from rtcore.plugins import Delay


@settings(max_examples=20, deadline=None)
@given(
    frames=st.integers(0, 2000),
    block=st.integers(1, 600),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_delays_bit_for_bit(frames, block, dtype):
    """The sound comes out unchanged, exactly so many frames later, with zeros before it."""
    x = np.random.default_rng(frames).standard_normal((2, 1500)).astype(dtype)
    chain = Chain([Delay(delay_frames=frames)], dtype=dtype)
    pieces = [chain.process(x[:, k : k + block]) for k in range(0, 1500, block)]
    y = np.concatenate([*pieces, chain.flush()], axis=1)
    assert frames == chain.latency_frames == chain.tail_frames
    assert np.array_equal(np.pad(x, ((0, 0), (frames, 0))), y)


def test_time_and_frames_add_up():
    """A delay of 10 ms and 3 frames is 483 frames at 48 kHz."""
    assert 483 == Chain([Delay(delay_ms=10.0, delay_frames=3)]).latency_frames


def test_parallel_branches_are_aligned_around_it():
    """The declared latency delays the dry branch by the same, so that the sum is in phase."""
    x = np.random.default_rng(0).standard_normal((2, 300))
    chain = Chain([Parallel([Delay(delay_frames=50)], [])], dtype="float64")
    assert np.array_equal(2.0 * x, chain.render(x)[:, 50:])


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"delay_ms": -1}, "delay_ms: must be at least 0 ms, got -1"),
        ({"delay_frames": 1.5}, "delay_frames: must be a whole number, got 1.5"),
        ({"delay_ms": "long"}, "delay_ms: must be a number, got 'long'"),
    ],
)
def test_refuses(chosen, sentence):
    """A wrong value gives one sentence."""
    with pytest.raises(ParameterError) as caught:
        Delay(**chosen)
    assert sentence == str(caught.value)


def test_refuses_more_than_ten_seconds():
    """A delay that would need much memory is refused with its place."""
    with pytest.raises(ConfigError) as caught:
        Chain([Delay(delay_ms=10000.0, delay_frames=1)])
    expected = (
        "plugin[0].delay.delay_frames: the whole delay must be at most 10 s, which is 480000 "
        "frames at 48000 Hz, got 480001"
    )
    assert expected == str(caught.value)
