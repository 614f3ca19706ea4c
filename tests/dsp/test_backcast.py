# SPDX-License-Identifier: MIT
"""Linear prediction backwards: what a piece of sound tells of the samples before it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from rtcore.dsp import backcast, burg_predictor


def before(x, samples, order):
    """Give the samples before a piece."""
    out, scratch = np.zeros(samples), np.full((3, x.size + order + samples), np.nan)
    backcast(x, order, out, scratch)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hz", [110.0, 440.0, 3000.0])
def test_a_tone_is_continued_backwards(hz, dtype):
    """The 5 ms before 10 ms of a steady tone are the tone; the error is 20 dB below it."""
    t = np.arange(240) / 16000.0
    x = 0.5 * np.sin(2.0 * np.pi * hz * t + 0.3)
    told = before(x[80:].astype(dtype), 80, 64)
    assert 0.01 * np.mean(x[:80] ** 2) > np.mean((told - x[:80]) ** 2)


def test_a_voice_like_sound_is_continued_backwards():
    """Pulses at 250 Hz through a resonance: most of the power of the 4 ms before is told."""
    pulses = (np.arange(2000) % 64 == 0).astype(float)
    x = lfilter([1.0], [1.0, -1.6, 0.8], pulses)[1000:]
    told = before(x[64:224], 64, 128)
    assert 0.1 * np.mean(x[:64] ** 2) > np.mean((told - x[:64]) ** 2)


def test_the_predictor_of_a_known_process_is_found():
    """The coefficients of an autoregressive process come out of a long piece of it."""
    wanted = np.array([1.0, -1.5, 0.9, -0.2])
    x = lfilter([1.0], wanted, np.random.default_rng(0).standard_normal(20000))
    a, spare = np.zeros(4), np.zeros((2, x.size))
    burg_predictor(x, 3, a, spare[0], spare[1])
    np.testing.assert_allclose(a, wanted, atol=0.02)


def test_nothing_comes_before_silence():
    """Digital silence tells of silence, and one click in it of no more than itself."""
    assert not before(np.zeros(160), 80, 64).any()
    click = np.zeros(160)
    click[0] = 1.0
    assert 1.0 >= np.abs(before(click, 80, 64)).max()


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(3, 200),
    level_db=st.floats(-200.0, 180.0),
    kind=st.sampled_from(["noise", "tone", "step", "steps", "decay", "DC"]),
)
def test_no_sound_makes_it_grow(seed, size, level_db, kind):
    """Whatever the piece, far before it nothing is louder than a few times its peak."""
    rng, n = np.random.default_rng(seed), np.arange(size)
    x = {
        "noise": lambda: rng.standard_normal(size),
        "tone": lambda: np.sin(n * rng.uniform(0.0, np.pi) + rng.uniform(0.0, 6.0)),
        "step": lambda: (n > size // 2) * 1.0,
        "steps": lambda: rng.integers(-1, 2, size) * 1.0,
        "decay": lambda: 0.5**n,
        "DC": lambda: np.ones(size),
    }[kind]() * 10.0 ** (level_db / 20.0)
    told = before(x, 240, 2 * size // 5)
    assert np.isfinite(told).all()
    assert 4.0 * np.abs(x).max() >= np.abs(told).max()
