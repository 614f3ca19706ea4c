# SPDX-License-Identifier: MIT
"""The helpers behind concealment: prediction, pitch, and the memory of a channel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcore import ParameterError
from rtcore.dsp import (
    ConcealmentTuning,
    conceal,
    concealment_memory,
    longest_fade_frames,
    rejoin,
    remember,
)
from rtcore.dsp.losses import packet_lost
from rtcore.dsp.pitch import find_period
from rtcore.dsp.prediction import autocorrelate, predict_residual, solve_predictor, synthesise

ORDER = 8


def predictor(x, order=ORDER, floor=0.0):
    """Give the autocorrelation and the predictor of a piece."""
    r, a = np.zeros(order + 1), np.zeros(order + 1)
    autocorrelate(np.concatenate([np.zeros(order), x]), order, r)
    solve_predictor(r, order, floor, a, np.zeros(order))
    return r, a


def test_autocorrelation():
    """Lags 0 to `order` are those that NumPy finds."""
    x = np.random.default_rng(0).standard_normal(100)
    expected = np.correlate(x, x, "full")[99 : 99 + ORDER + 1]
    assert expected == pytest.approx(predictor(x)[0], rel=1e-12)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), frames=st.integers(20, 300))
def test_predictor_solves_the_normal_equations(seed, frames):
    """The recursion gives what SciPy's Toeplitz solver gives, and a stable filter."""
    from scipy.linalg import solve_toeplitz

    r, a = predictor(np.random.default_rng(seed).standard_normal(frames))
    assert 1.0 == a[0]
    assert -solve_toeplitz(r[:-1], r[1:]) == pytest.approx(a[1:], abs=1e-9)
    assert 1.0 > np.abs(np.roots(a)).max()


def test_residual_and_synthesis_are_inverse():
    """What the predictor takes away its inverse gives back."""
    from scipy.signal import lfilter

    x = np.random.default_rng(1).standard_normal(200)
    a = predictor(x)[1]
    residual = np.zeros(200)
    predict_residual(x, a, ORDER, residual)
    assert lfilter(a, [1.0], x)[ORDER:] == pytest.approx(residual[ORDER:], abs=1e-12)
    line = np.concatenate([x[:ORDER], residual[ORDER:]])
    synthesise(line, a, ORDER, 200 - ORDER, np.zeros(ORDER))
    assert x == pytest.approx(line, abs=1e-9)


def period_of(x, *, low=20, high=136, window=160, step=1):
    """Search the period at the end of a sound at 8 kHz."""
    thin, scores = np.zeros(x.size // step), np.zeros(high - low + 4)
    return find_period(x, step, window, low, high, 0.9, thin, scores)


@settings(max_examples=40)
@given(period=st.integers(22, 130), step=st.integers(1, 2), seed=st.integers(0, 999))
def test_period_of_a_periodic_sound(period, step, seed):
    """A wave that repeats is found to repeat, at its period or a multiple of it."""
    wave = np.random.default_rng(seed).standard_normal(period)
    x = np.convolve(np.tile(wave, 20), np.ones(6) / 6.0, "valid")[-360:]
    lag, likeness = period_of(x, step=step)
    assert 0 == lag % period
    assert 0.999 < likeness <= 1.0 + 1e-9


def test_noise_has_no_period():
    """White noise resembles its past little."""
    likeness = [period_of(np.random.default_rng(k).standard_normal(360))[1] for k in range(20)]
    assert 0.4 > np.mean(likeness)


def test_silence_has_no_period():
    """Silence resembles nothing, and divides by nothing."""
    assert 0.0 == period_of(np.zeros(360))[1]


def run(x, lost, *, tuning=None, rate=16000.0):
    """Play one channel frame by frame, as a kernel with blocks of one frame."""
    memory, y = concealment_memory(rate, 1, tuning)[0], np.array(x)
    for i, gone in enumerate(lost):
        if gone:
            conceal(memory, y[i : i + 1], 1)
        else:
            rejoin(memory, y[i : i + 1], 1)
            remember(memory, y[i : i + 1], 1)
    return y


def test_one_frame_at_a_time_is_one_block():
    """Blocks of one frame give the bits of blocks of any size."""
    x = 0.1 * np.random.default_rng(5).standard_normal(3000)
    expected, memory = np.array(x), concealment_memory(16000.0)[0]
    remember(memory, expected[:1000], 1000)
    conceal(memory, expected[1000:2100], 1100)
    rejoin(memory, expected[2100:], 900)
    lost = (np.arange(3000) >= 1000) & (np.arange(3000) < 2100)
    assert expected.tobytes() == run(x, lost).tobytes()


def test_rejoin_says_how_much_it_changed():
    """After a loss the declared cross-fade is changed, and nothing behind it."""
    memory = concealment_memory(16000.0)[0]
    x = 0.1 * np.random.default_rng(6).standard_normal(1000)
    remember(memory, x, 1000)
    conceal(memory, np.zeros(320), 320)
    y = x.copy()
    changed = rejoin(memory, y, 1000)
    assert round(16 * (4.0 + 0.1 * 20.0)) == changed
    assert np.array_equal(x[changed:], y[changed:])
    assert not (x[:changed] == y[:changed]).any()
    assert 0 == rejoin(memory, y, 1000)


@pytest.mark.parametrize("lost_ms", [1, 20, 100, 2000])
def test_the_cross_fade_grows_with_the_loss(lost_ms):
    """It takes 4 ms and a tenth of what was lost, and never more than is declared."""
    memory = concealment_memory(16000.0)[0]
    remember(memory, np.ones(2000), 2000)
    conceal(memory, np.zeros(16 * lost_ms), 16 * lost_ms)
    changed = rejoin(memory, np.zeros(1000), 1000)
    assert int(16.0 * min(4.0 + 0.1 * lost_ms, 12.0)) == changed
    assert changed <= longest_fade_frames(16000.0)


def test_tuning_is_heard():
    """A substitute that is to end after 40 ms is silent from there on."""
    x = np.sin(np.arange(4000) * 0.08)
    lost = np.arange(4000) >= 2000
    y = run(x, lost, tuning=ConcealmentTuning(hold_ms=10.0, end_ms=40.0))
    assert y[2000 + 16 * 30]
    assert not y[2000 + 16 * 45 :].any()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"hold_ms": float("nan")}, "finite numbers of at least 0"),
        ({"fade_ms": -1.0}, "finite numbers of at least 0"),
        ({"end_ms": 60.0}, "needs hold_ms below end_ms"),
        ({"noise_below": 0.8}, "noise_below below voiced_above"),
        ({"grow_ms": 0.0}, "a grow_ms above 0"),
        ({"window_ms": 41.0}, "from 1 to 40, got 41 and 20"),
        ({"envelope_ms": 0.5}, "from 1 to 40, got 20 and 0.5"),
    ],
)
def test_tuning_that_cannot_be(wrong, sentence):
    """Numbers that do not fit together are refused with a sentence."""
    with pytest.raises(ParameterError, match=sentence):
        ConcealmentTuning(**wrong)


@pytest.mark.parametrize("rate", [1000.0, 7350.0, 16000.0, 384000.0])
def test_longest_windows_stay_in_the_memory(rate):
    """With the longest windows that are allowed a channel leaves its neighbours' rows alone."""
    tuning = ConcealmentTuning(window_ms=40.0, envelope_ms=40.0, most_periods=99.0)
    memory = concealment_memory(rate, 3, tuning)
    before = memory.copy()
    frames = round(rate / 10.0)
    x = np.random.default_rng(0).standard_normal(frames)
    for _ in range(3):
        remember(memory[1], x, frames)
        conceal(memory[1], np.zeros(2 * frames), 2 * frames)
        rejoin(memory[1], x.copy(), frames)
    assert np.array_equal(before[[0, 2]], memory[[0, 2]])


def test_no_number_in_the_past_is_silence():
    """A NaN or an Inf that a broken source left behind is not carried on."""
    for broken in (np.nan, np.inf):
        memory, y = concealment_memory(16000.0)[0], np.ones(320)
        remember(memory, np.full(1000, broken), 1000)
        conceal(memory, y, 320)
        assert not y.any()


def test_memories_of_channels_are_rows():
    """One row for each channel, all alike before the first sample."""
    memory = concealment_memory(48000.0, 3)
    assert (3, np.float64) == (len(memory), memory.dtype)
    assert np.array_equal(memory[0], memory[2])


@pytest.mark.parametrize(
    ("flags", "zeros", "samples", "expected"),
    [
        (1, 0, [[1.0, 1.0]], True),
        (0, 0, [[0.0, 0.0]], False),
        (0, 1, [[0.0, 0.0]], True),
        (0, 1, [[0.0, 0.0], [0.0, 1e-30]], False),
        (2, 0, [[1.0, 1.0]], False),
        (3, 0, [[1.0, 1.0]], True),
    ],
)
def test_what_counts_as_lost(flags, zeros, samples, expected):
    """The flag does, and where asked a block that is all zeros, in all channels."""
    assert expected == packet_lost(np.array(samples), flags, zeros)
