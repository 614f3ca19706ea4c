# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore import Chain, ParameterError
from rtcore.plugins import Limiter

REALS = st.sampled_from(["float32", "float64"])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    ceiling_db=st.floats(-60.0, 10.0),
    lookahead_ms=st.sampled_from([0.0, 0.02, 1.0, 5.0]),
    release_ms=st.sampled_from([1.0, 50.0, 1000.0]),
    dtype=REALS,
)
def test_no_sample_is_above_the_ceiling(seed, ceiling_db, lookahead_ms, release_ms, dtype):
    """Bursts of any level, silence and single peaks: the largest output is the ceiling or less."""
    rng = np.random.default_rng(seed)
    levels = 10.0 ** rng.uniform(-3.0, 2.0, 60)
    x = rng.standard_normal((2, 6000)) * np.repeat(levels, 100)
    x[:, rng.integers(0, 6000, 5)] = 1000.0
    limiter = Limiter(ceiling_db=ceiling_db, lookahead_ms=lookahead_ms, release_ms=release_ms)
    y = Chain([limiter], dtype=dtype).render(x.astype(dtype))
    assert float(np.abs(y).max()) <= 10.0 ** (ceiling_db / 20.0)


@settings(max_examples=20, deadline=None)
@given(ceiling_db=st.floats(-60.0, 10.0), dtype=REALS, seed=st.integers(0, 999))
def test_below_the_ceiling_it_is_a_pure_delay(ceiling_db, dtype, seed):
    """Sound that never passes the ceiling comes out bit for bit, late by the look-ahead."""
    x = np.random.default_rng(seed).uniform(-1.0, 1.0, (2, 4000)) * 10.0 ** (ceiling_db / 20.0)
    x = (x * (1.0 - 1e-6)).astype(dtype)
    chain = Chain([Limiter(ceiling_db=ceiling_db)], dtype=dtype)
    y = chain.render(x)
    assert 96 == chain.latency_frames
    assert x.tobytes() == y[:, 96:].tobytes()


def test_transparent_again_after_a_peak():
    """Some release times after a peak the gain is exactly 1 again."""
    x = 0.5 * np.random.default_rng(3).uniform(-1.0, 1.0, (2, 48000))
    x[:, 100] = 30.0
    chain = Chain([Limiter(release_ms=20.0)], dtype="float64")
    y = chain.render(x)[:, 96:]
    assert not np.array_equal(x[:, 101:1000], y[:, 101:1000])
    assert np.array_equal(x[:, 24000:], y[:, 24000:])


def test_the_gain_moves_smoothly_into_a_peak():
    """Ahead of a peak of +20 dB the gain falls along a ramp over the look-ahead, without a step."""
    x = np.full((1, 2000), 0.1)
    x[0, 1000] = 10.0
    gain = Chain([Limiter(ceiling_db=0.0)], channels=1, dtype="float64").render(x)[0, 96:] / x[0]
    assert (1.0, 1.0) == (gain[0], gain[900])
    assert 0.1 == pytest.approx(gain[1000], rel=1e-6)
    assert np.abs(np.diff(gain[:1001])).max() == pytest.approx(0.9 / 97, rel=1e-3)
    assert np.abs(np.diff(gain[1000:])).max() < 0.9 / 97


def test_release_time():
    """After a peak the gain covers 63 % of its way back in one release time."""
    x = np.full((1, 30000), 0.1)
    x[0, 1000] = 10.0
    chain = Chain([Limiter(ceiling_db=0.0, release_ms=100.0)], channels=1, dtype="float64")
    gain = chain.render(x)[0, 96:] / x[0]
    # The peak holds the gain down for one window, and the mean delays it by half of one.
    assert 1.0 - 0.9 * np.exp(-1.0) == pytest.approx(gain[1000 + 4800 + 97], abs=0.01)


def test_both_channels_get_the_same_gain():
    """A peak in one ear turns the other down as well, so that the direction stays."""
    x = np.full((2, 2000), 0.1)
    x[0, 1000] = 10.0
    y = Chain([Limiter(ceiling_db=0.0)], dtype="float64").render(x)[:, 96:]
    assert np.array_equal(y[0, 900:1000], y[1, 900:1000])
    assert y[1, 1000] == pytest.approx(0.01, rel=1e-6)


@pytest.mark.parametrize("start_db", [0.0, -40.0])
def test_true_to_a_ceiling_that_moves(start_db):
    """While the ceiling moves no sample is above the higher of its two ends."""
    x = np.random.default_rng(5).standard_normal((2, 20000))
    chain = Chain([Limiter(ceiling_db=start_db)], dtype="float32")
    before = chain.process(x[:, :5000])
    chain.update("limiter", ceiling_db=-20.0)
    moving, after = chain.process(x[:, 5000:5960]), chain.process(x[:, 5960:])
    assert np.abs(before).max() <= 10.0 ** (start_db / 20.0)
    assert np.abs(moving).max() <= 10.0 ** (max(start_db, -20.0) / 20.0)
    assert np.abs(after).max() <= 0.1


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"ceiling_db": 30}, "ceiling_db: must be at most 20 dB, got 30"),
        ({"lookahead_ms": 101}, "lookahead_ms: must be at most 100 ms, got 101"),
        ({"release_ms": 0}, "release_ms: must be at least 1 ms, got 0"),
    ],
)
def test_refuses(chosen, sentence):
    """A wrong value gives one sentence."""
    with pytest.raises(ParameterError) as caught:
        Limiter(**chosen)
    assert sentence == str(caught.value)
